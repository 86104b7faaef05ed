/// Kernels with a race, each beside its sound twin. In one order of threads a race may give the right result. Over the
/// orders of SHEAF_SIMT_ORDER it must not give the same result everywhere, and the sound twin must.

#include <cstdint>
#include <cstring>
#include <set>

#include "tests/simt/simt_test.hpp"

namespace simt::test {
namespace {

constexpr unsigned kThreads = 96;

/// The different results of a kernel over all orders, bit by bit.
std::set<std::vector<int>> results(void (*kernel)(int*), unsigned n_blocks) {
  std::set<std::vector<int>> seen;
  for (const std::string& name : all_orders()) {
    const ScopedOrder order(name);
    std::vector<int> out(n_blocks * kThreads, 0);
    run(kernel, n_blocks, kThreads, 0, out.data());
    seen.insert(out);
  }
  return seen;
}

/// ThreadSanitizer sees an unordered pair of accesses whatever comes out, but none between atomics.
enum class Kind { unordered_accesses, order_of_arrival };

void expect_found(Kind kind, void (*racy)(int*), void (*sound)(int*), unsigned n_blocks = 1) {
#if defined(__SANITIZE_THREAD__)
  EXPECT_EQ(results(sound, n_blocks).size(), 1u);  // a report of ThreadSanitizer ends the program with status 66
  if (kind == Kind::order_of_arrival) return;
  std::vector<int> out(n_blocks * kThreads, 0);
  const auto run_and_exit = [&] {
    run(racy, n_blocks, kThreads, 0, out.data());
    std::exit(0);
  };
  EXPECT_EXIT(run_and_exit(), ::testing::ExitedWithCode(66), "data race");
#else
  (void)kind;
  EXPECT_GT(results(racy, n_blocks).size(), 1u);
  EXPECT_EQ(results(sound, n_blocks).size(), 1u);
#endif
}

// One thread writes, all read: right by chance when the writer comes first.
template <bool kSound>
__global__ void broadcast_kernel(int* out) {
  __shared__ int value;
  if (threadIdx.x == 0) value = 7;
  if (kSound) __syncthreads();
  out[threadIdx.x] = value;
}

TEST(SimtRaceDeathTest, NoBarrierBetweenWriteAndRead) {
  expect_found(Kind::unordered_accesses, broadcast_kernel<false>, broadcast_kernel<true>);
}

// The last thread writes: right by chance in the reverse order.
template <bool kSound>
__global__ void broadcast_from_last_kernel(int* out) {
  __shared__ int value;
  if (threadIdx.x == kThreads - 1) value = 7;
  if (kSound) __syncthreads();
  out[threadIdx.x] = value;
}

TEST(SimtRaceDeathTest, NoBarrierAfterTheLastThreadsWrite) {
  expect_found(Kind::unordered_accesses, broadcast_from_last_kernel<false>, broadcast_from_last_kernel<true>);
}

// Shared memory is written again while slower threads still read the round before.
template <bool kSound>
__global__ void reuse_kernel(int* out) {
  __shared__ int values[kThreads];
  int sum = 0;
  for (int round = 0; round < 3; ++round) {
    values[threadIdx.x] = static_cast<int>(threadIdx.x) * (round + 1);
    __syncthreads();
    sum += values[(threadIdx.x + 1) % kThreads];
    if (kSound) __syncthreads();
  }
  out[threadIdx.x] = sum;
}

TEST(SimtRaceDeathTest, NoBarrierBeforeReuse) {
  expect_found(Kind::unordered_accesses, reuse_kernel<false>, reuse_kernel<true>);
}

// The same across warps, with sums of a warp between the uses: only a warp that runs ahead writes too early.
template <bool kSound>
__global__ void partial_sums_kernel(int* out) {
  __shared__ int partial[kThreads / 32];
  int total = 0;
  for (int round = 0; round < 2; ++round) {
    const int sum = __reduce_add_sync(0xffffffffu, static_cast<int>(threadIdx.x) + 100 * round);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
    __syncthreads();
    for (const int p : partial) total += p * (round + 1);
    if (kSound) __syncthreads();
  }
  out[threadIdx.x] = total;
}

TEST(SimtRaceDeathTest, NoBarrierBeforeTheNextPartialSums) {
  expect_found(Kind::unordered_accesses, partial_sums_kernel<false>, partial_sums_kernel<true>);
}

// "A warp runs in lockstep": not since Volta.
template <bool kSound>
__global__ void lockstep_kernel(int* out) {
  __shared__ int values[kThreads];
  values[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (kSound) __syncwarp();
  out[threadIdx.x] = values[threadIdx.x ^ 1u];
}

TEST(SimtRaceDeathTest, NoWarpBarrierBetweenLanes) {
  expect_found(Kind::unordered_accesses, lockstep_kernel<false>, lockstep_kernel<true>);
}

// Read, add, write without an atomic. The halves without a barrier run to their ends one after the other unless
// something stands between them. The fence is such a place.
template <bool kSound>
__global__ void count_kernel(int* out) {
  if (kSound) {
    atomicAdd(&out[0], 1);
  } else {
    const int before = out[0];
    __threadfence();
    out[0] = before + 1;
  }
}

TEST(SimtRaceDeathTest, CountsWithoutAnAtomic) {
  expect_found(Kind::unordered_accesses, count_kernel<false>, count_kernel<true>);
}

// A place in a list depends on who comes first.
template <bool kSound>
__global__ void append_kernel(int* out) {
  __shared__ int n;
  if (threadIdx.x == 0) n = 0;
  __syncthreads();
  const int place = atomicAdd(&n, 1);
  out[kSound ? static_cast<int>(threadIdx.x) : place] = static_cast<int>(threadIdx.x);
}

TEST(SimtRaceDeathTest, AListInOrderOfArrival) {
  expect_found(Kind::order_of_arrival, append_kernel<false>, append_kernel<true>);
}

// A float sum by atomics depends on the order of the blocks.
template <bool kSound>
__global__ void float_sum_kernel(int* out) {
  auto* sum = reinterpret_cast<float*>(out);
  const float value = 1.0f / static_cast<float>(1 + threadIdx.x + blockIdx.x * kThreads);
  if (kSound) {
    sum[blockIdx.x * kThreads + threadIdx.x] = value;
  } else {
    atomicAdd(sum, value);
  }
}

TEST(SimtRaceDeathTest, FloatAtomics) {
  expect_found(Kind::order_of_arrival, float_sum_kernel<false>, float_sum_kernel<true>, 4);
}

// The last writer wins, and blocks have no order.
template <bool kSound>
__global__ void blocks_overwrite_kernel(int* out) {
  const unsigned at = kSound ? blockIdx.x * kThreads + threadIdx.x : threadIdx.x;
  out[at] = static_cast<int>(blockIdx.x) + 1;
}

TEST(SimtRaceDeathTest, BlocksWriteOnePlace) {
  expect_found(Kind::unordered_accesses, blocks_overwrite_kernel<false>, blocks_overwrite_kernel<true>, 3);
}

TEST(SimtRaceDeathTest, ASeedGivesTheSameOrderEveryTime) {
  const ScopedOrder order("shuffle:42");
  std::vector<int> first(kThreads, 0), second(kThreads, 0);
  run(append_kernel<false>, 1u, kThreads, 0, first.data());
  run(append_kernel<false>, 1u, kThreads, 0, second.data());
  EXPECT_EQ(first, second);
}

}  // namespace
}  // namespace simt::test
