/// Kernels with a planted bug: what each detector must find, and that it says where.

#include <algorithm>
#include <cmath>

#include "tests/simt/simt_test.hpp"

namespace simt::test {
namespace {

constexpr unsigned kFull = 0xffffffffu;

std::string at_line(int line) { return "test_faults.cpp:" + std::to_string(line) + " "; }

void expect_words(const std::string& text, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    EXPECT_NE(text.find(word), std::string::npos) << "lacks '" << word << "': " << text;
  }
}

/// The fault that a launch of one or more blocks raises, the same kind in every order of threads.
template <class... Parameters, class... Arguments>
void expect_fault(const std::vector<std::string>& words, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                  Arguments... arguments) {
  for (const std::string& name : all_orders()) {
    const ScopedOrder order(name);
    SCOPED_TRACE(name);
    expect_words(fault_of([&] { run(kernel, grid, block, 0, arguments...); }), words);
  }
}

// --- Barriers --------------------------------------------------------------------------------------------------------

constexpr int kLineOfBarrierAfterExit = __LINE__ + 3;
__global__ void barrier_after_exit_kernel(unsigned n_stay) {
  if (blockIdx.x == 1 && threadIdx.x >= n_stay) return;
  __syncthreads();
}

TEST(SimtFault, SomeThreadsLeaveBeforeTheBarrier) {
  for (const unsigned n_stay : {1u, 17u, 63u}) {
    expect_fault({"barrier_after_exit_kernel", "block (1, 0, 0)", "has left the kernel", "block barrier",
                  at_line(kLineOfBarrierAfterExit)},
                 barrier_after_exit_kernel, 3u, 64, n_stay);
  }
}

constexpr int kLineOfBarriersApart = __LINE__ + 3;
__global__ void barriers_apart_kernel() {
  if (threadIdx.x < 5) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

TEST(SimtFault, ThreadsWaitAtDifferentBarriers) {
  expect_fault({"barriers_apart_kernel", at_line(kLineOfBarriersApart), at_line(kLineOfBarriersApart + 2)},
               barriers_apart_kernel, 1u, 32);
}

constexpr int kLineOfStrayBarrier = __LINE__ + 2;
__global__ void barrier_against_shuffle_kernel(int* out) {
  if (threadIdx.x == 3) __syncthreads();
  out[threadIdx.x] = __shfl_xor_sync(kFull, 1, 1);
}

TEST(SimtFault, AThreadWaitsAtABarrierWhileItsWarpShuffles) {
  std::vector<int> out(64);
  expect_fault({"barrier_against_shuffle_kernel", "block barrier", at_line(kLineOfStrayBarrier)},
               barrier_against_shuffle_kernel, 1u, 64, out.data());
  expect_fault({"waits for ever in the shuffle", "for lane 3", "thread (3, 0, 0) waits at the block barrier"},
               barrier_against_shuffle_kernel, 1u, 32, out.data());
}

// --- Exchanges of a warp ---------------------------------------------------------------------------------------------

__global__ void shuffle_after_exit_kernel(int* out) {
  if (threadIdx.x == 9) return;
  out[threadIdx.x] = __shfl_xor_sync(kFull, 1, 2);
}

TEST(SimtFault, AShuffleNamesALaneThatHasLeft) {
  std::vector<int> out(32);
  expect_fault({"shuffle_after_exit_kernel", "for lane 9", "has left the kernel"}, shuffle_after_exit_kernel, 1u, 32,
               out.data());
}

TEST(SimtFault, AShuffleNamesALaneThatTheBlockLacks) {
  std::vector<int> out(32);
  expect_fault({"shuffle_after_exit_kernel", "for lane 9"}, shuffle_after_exit_kernel, 1u, 20, out.data());
  expect_fault({"shuffle_after_exit_kernel", "for lane 5", "the block has no such thread"}, shuffle_after_exit_kernel,
               1u, 5, out.data());
}

__global__ void shuffle_in_a_branch_kernel(int* out) {
  out[threadIdx.x] = 0;
  if (threadIdx.x % 2 == 0) out[threadIdx.x] = __shfl_down_sync(kFull, 1, 2);
  __syncwarp();
}

TEST(SimtFault, AShuffleThatHalfAWarpReaches) {
  std::vector<int> out(32);
  expect_fault({"shuffle_in_a_branch_kernel", "shuffle", "__syncwarp"}, shuffle_in_a_branch_kernel, 1u, 32, out.data());
}

__global__ void reads_outside_mask_kernel(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0x0000ffffu, 1, 16);
}

TEST(SimtFault, AShuffleReadsOutsideItsMask) {
  std::vector<int> out(32);
  expect_fault({"reads_outside_mask_kernel", "reads lane 16", "not in the mask"}, reads_outside_mask_kernel, 1u, 32,
               out.data());
}

__global__ void not_in_own_mask_kernel(unsigned* out) { out[threadIdx.x] = __ballot_sync(0x0000ffffu, 1); }

TEST(SimtFault, ALaneIsNotInItsOwnMask) {
  std::vector<unsigned> out(32);
  expect_fault({"not_in_own_mask_kernel", "its own lane"}, not_in_own_mask_kernel, 1u, 32, out.data());
}

__global__ void masks_differ_kernel(int* out) {
  const unsigned mask = threadIdx.x == 0 ? kFull : kFull - 1u;
  out[threadIdx.x] = __shfl_sync(mask, 1, 4);
  if (threadIdx.x == 0) __syncwarp();
}

TEST(SimtFault, LanesGiveDifferentMasks) {
  std::vector<int> out(32);
  expect_fault({"masks_differ_kernel", "waits for ever"}, masks_differ_kernel, 1u, 32, out.data());
}

__global__ void odd_width_kernel(int* out) { out[threadIdx.x] = __shfl_sync(kFull, 1, 0, 12); }

TEST(SimtFault, TheWidthOfAShuffleIsNoPowerOfTwo) {
  std::vector<int> out(32);
  expect_fault({"odd_width_kernel", "width"}, odd_width_kernel, 1u, 32, out.data());
}

// --- Others ----------------------------------------------------------------------------------------------------------

__global__ void trap_kernel() {
  if (blockIdx.y == 1 && threadIdx.x == 6) __trap();
}

// --- Products of warpgroups ------------------------------------------------------------------------------------------

__global__ void product_without_fence_kernel() {
  float d[8][4] = {};
  const uint32_t a[4] = {};
  warpgroup_multiply(true, true, d, a, uint64_t{1} << 62, false);
  warpgroup_commit();
  warpgroup_wait(0);
}
TEST(SimtFault, AProductWithoutItsFence) {
  expect_fault({"product_without_fence_kernel", "wgmma.fence"}, product_without_fence_kernel, 1u, 128);
}

__global__ void product_before_wait_kernel(float* early, float* late) {
  for (int i = static_cast<int>(threadIdx.x); i < 2048; i += 128) {
    reinterpret_cast<uint16_t*>(dynamic_shared())[i] = 0x3f80;  // 1 in bf16, wherever it stands
  }
  __syncthreads();
  float d[8][4] = {};
  d[0][0] = 5.0f;
  const uint32_t one = 0x3f803f80, a[4] = {one, one, one, one};
  warpgroup_fence();
  warpgroup_multiply(true, true, d, a, uint64_t{1} << 62 | uint64_t{64} << 32, true);
  warpgroup_commit();
  early[threadIdx.x] = d[0][0];
  warpgroup_wait(0);
  late[threadIdx.x] = d[0][0];
}
TEST(SimtFault, AResultBeforeTheWaitIsNan) {
  for (const std::string& name : all_orders()) {
    const ScopedOrder order(name);
    std::vector<float> early(128), late(128);
    run(product_before_wait_kernel, 1u, 128, 4096, early.data(), late.data());
    for (const float x : early) EXPECT_TRUE(std::isnan(x));
    for (const float x : late) EXPECT_EQ(x, 21.0f);
  }
}

TEST(SimtFault, Trap) {
  expect_fault({"trap_kernel", "__trap", "block (0, 1, 0)", "thread (6, 0, 0)"}, trap_kernel, dim3(1, 2), 8);
}

__global__ void idle_kernel() {}
__global__ void nested_kernel() { run(idle_kernel, 1u, 1, 0); }

TEST(SimtFault, AKernelLaunchesAKernel) { expect_fault({"idle_kernel", "launches"}, nested_kernel, 1u, 4); }

TEST(SimtFault, TheNextLaunchIsSound) {
  EXPECT_NE(fault_of([] { run(barriers_apart_kernel, 1u, 32, 0); }), "");
  EXPECT_EQ(fault_of([] { run(barrier_after_exit_kernel, 1u, 256, 0, 256u); }), "");
}

// --- Memory faults end the program, with a word on what was running --------------------------------------------------

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

__global__ void past_dynamic_shared_kernel(int at) {
  reinterpret_cast<volatile int*>(dynamic_shared())[at + static_cast<int>(threadIdx.x)] = 1;
}

TEST(SimtDeathTest, PastTheEndOfDynamicSharedMemory) {
  run(past_dynamic_shared_kernel, 1u, 4, 16 * sizeof(int), 12);
  EXPECT_DEATH(run(past_dynamic_shared_kernel, 1u, 4, 16 * sizeof(int), 13),
               "past_dynamic_shared_kernel, block \\(0, 0, 0\\), thread \\(3, 0, 0\\): past the end of dynamic shared");
}

__global__ void null_kernel(int* null) {
  if (threadIdx.x == 2) *null = 1;
}

TEST(SimtDeathTest, NullPointer) {
  int* null = nullptr;
  EXPECT_DEATH(run(null_kernel, 1u, 4, 0, null),
               "null_kernel, block \\(0, 0, 0\\), thread \\(2, 0, 0\\): memory fault");
}

__device__ int deep(int n) {
  volatile int frame[256];
  frame[n % 256] = n;
  return n == 0 ? 0 : deep(n - 1) + frame[n % 256];
}

__global__ void recursive_kernel(int depth, int* out) { *out = deep(depth); }

TEST(SimtDeathTest, StackOverflow) {
  int out = 0;
  EXPECT_DEATH(run(recursive_kernel, 1u, 1, 0, 1 << 20, &out), "recursive_kernel.*: stack overflow");
}

#endif

#if defined(__SANITIZE_ADDRESS__)

__global__ void one_too_many_kernel(const int* in, int* out, int n) {
  const auto i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i <= n) out[threadIdx.x] += in[i];
}

TEST(SimtDeathTest, ReadsOnePastTheEnd) {
  const std::vector<int> in(100, 1);
  std::vector<int> out(64, 0);
  run(one_too_many_kernel, 2u, 64, 0, in.data(), out.data(), 99);
  EXPECT_DEATH(run(one_too_many_kernel, 2u, 64, 0, in.data(), out.data(), 100),
               "heap-buffer-overflow(.|\n)*one_too_many_kernel");
}

__global__ void local_overrun_kernel(int n, int* out) {
  int values[4] = {};
  for (int i = 0; i <= n; ++i) values[i] = out[i] + i;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x % 4];
}

TEST(SimtDeathTest, WritesPastALocalArray) {
  std::vector<int> out(64, 0);
  run(local_overrun_kernel, 1u, 64, 0, 3, out.data());
  EXPECT_DEATH(run(local_overrun_kernel, 1u, 64, 0, 4, out.data()), "local_overrun_kernel|out of bounds");
}

__global__ void shared_overrun_kernel(unsigned n, int* out) {
  __shared__ int values[8];
  if (threadIdx.x < n) values[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x % 8];
}

TEST(SimtDeathTest, WritesPastAStaticSharedArray) {
  std::vector<int> out(32, 0);
  run(shared_overrun_kernel, 1u, 32, 0, 8u, out.data());
  EXPECT_DEATH(run(shared_overrun_kernel, 1u, 32, 0, 9u, out.data()), "test_faults.cpp.* out of bounds");
}

#endif

}  // namespace
}  // namespace simt::test
