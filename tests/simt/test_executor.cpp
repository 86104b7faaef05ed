/// What the executor emulates: indices, barriers, warp exchanges, atomics, shared memory. In every order of threads.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "tests/simt/simt_test.hpp"

namespace simt::test {
namespace {

constexpr unsigned kFull = 0xffffffffu;

class InEveryOrder : public ::testing::TestWithParam<std::string> {
 protected:
  InEveryOrder() : order_(GetParam()) {}

 private:
  ScopedOrder order_;
};

std::string plain_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), ':', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Simt, InEveryOrder, ::testing::ValuesIn(all_orders()), plain_name);

// --- Indices ---------------------------------------------------------------------------------------------------------

__global__ void visit_kernel(int* visits) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  visits[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1 + static_cast<int>(thread);
}

TEST_P(InEveryOrder, EveryThreadOfEveryBlockRunsOnce) {
  const dim3 grid(3, 2, 4), block(5, 3, 2);
  std::vector<int> visits(24 * 30, 0);
  run(visit_kernel, grid, block, 0, visits.data());
  for (size_t i = 0; i < visits.size(); ++i) ASSERT_EQ(visits[i], 1 + static_cast<int>(i % 30)) << i;
}

// --- Barriers --------------------------------------------------------------------------------------------------------

// Each round every thread adds its neighbour's value of the round before.
__global__ void rounds_kernel(int n_rounds, int* out) {
  __shared__ int values[1024];
  values[threadIdx.x] = static_cast<int>(threadIdx.x);
  __syncthreads();
  for (int round = 0; round < n_rounds; ++round) {
    const int next = values[(threadIdx.x + 1) % blockDim.x];
    __syncthreads();
    values[threadIdx.x] += next;
    __syncthreads();
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = values[threadIdx.x];
}

TEST_P(InEveryOrder, BarriersSeparateRounds) {
  for (const unsigned n : {1u, 2u, 31u, 32u, 33u, 256u, 1000u, 1024u}) {
    constexpr int kRounds = 5;
    std::vector<int> out(3 * n, -1), expected(n), next(n);
    run(rounds_kernel, 3u, n, 0, kRounds, out.data());
    for (unsigned i = 0; i < n; ++i) expected[i] = static_cast<int>(i);
    for (int round = 0; round < kRounds; ++round) {
      for (unsigned i = 0; i < n; ++i) next[i] = expected[i] + expected[(i + 1) % n];
      expected = next;
    }
    for (unsigned i = 0; i < 3 * n; ++i) ASSERT_EQ(out[i], expected[i % n]) << n << " threads, thread " << i;
  }
}

__global__ void barrier_votes_kernel(const int* predicates, int* counts, int* alls, int* anys) {
  const unsigned t = threadIdx.x;
  counts[t] = __syncthreads_count(predicates[t]);
  alls[t] = __syncthreads_and(predicates[t]);
  anys[t] = __syncthreads_or(predicates[t]);
}

TEST_P(InEveryOrder, BarriersThatCount) {
  constexpr unsigned kThreads = 77;
  for (const int n_true : {0, 1, 30, 76, 77}) {
    std::vector<int> predicates(kThreads, 0), counts(kThreads), alls(kThreads), anys(kThreads);
    for (int i = 0; i < n_true; ++i) predicates[static_cast<size_t>(i)] = i + 1;  // any value but 0 is true
    run(barrier_votes_kernel, 1u, kThreads, 0, predicates.data(), counts.data(), alls.data(), anys.data());
    for (unsigned t = 0; t < kThreads; ++t) {
      EXPECT_EQ(counts[t], n_true);
      EXPECT_EQ(alls[t] != 0, n_true == 77);
      EXPECT_EQ(anys[t] != 0, n_true > 0);
    }
  }
}

__global__ void warp_barrier_kernel(int* out) {
  __shared__ int values[64];
  const unsigned t = threadIdx.x;
  values[t] = static_cast<int>(t);
  __syncwarp();
  out[t] = values[t ^ 31u];
}

TEST_P(InEveryOrder, WarpBarrier) {
  std::vector<int> out(64, -1);
  run(warp_barrier_kernel, 1u, 64, 0, out.data());
  for (int t = 0; t < 64; ++t) EXPECT_EQ(out[static_cast<size_t>(t)], t ^ 31);
}

// --- Shuffles --------------------------------------------------------------------------------------------------------

template <class T>
__global__ void shuffles_kernel(int argument, int width, T* out) {
  const T mine = static_cast<T>(threadIdx.x) * static_cast<T>(3);
  T* of_lane = out + threadIdx.x * 4;
  of_lane[0] = static_cast<T>(__shfl_sync(kFull, mine, argument, width));
  of_lane[1] = static_cast<T>(__shfl_up_sync(kFull, mine, static_cast<unsigned>(argument), width));
  of_lane[2] = static_cast<T>(__shfl_down_sync(kFull, mine, static_cast<unsigned>(argument), width));
  of_lane[3] = static_cast<T>(__shfl_xor_sync(kFull, mine, argument, width));
}

// The tables of the CUDA programming guide, "Warp shuffle functions".
template <class T>
void expect_shuffles() {
  for (const int width : {1, 2, 8, 16, 32}) {
    for (const int argument : {0, 1, 3, 7, 16, 31}) {
      std::vector<T> out(64 * 4);
      run(shuffles_kernel<T>, 1u, 64, 0, argument, width, out.data());
      for (int t = 0; t < 64; ++t) {
        const int lane = t % 32, warp = t - lane, start = lane / width * width;
        const int sources[4] = {start + argument % width, lane - argument >= start ? lane - argument : lane,
                                lane + argument < start + width ? lane + argument : lane,
                                (lane ^ argument) < start + width ? lane ^ argument : lane};
        for (int kind = 0; kind < 4; ++kind) {
          ASSERT_EQ(out[static_cast<size_t>(t * 4 + kind)], static_cast<T>((warp + sources[kind]) * 3))
              << "kind " << kind << " width " << width << " argument " << argument << " thread " << t;
        }
      }
    }
  }
}

static_assert(std::is_same_v<decltype(__shfl_sync(0u, true, 0)), int>);

TEST_P(InEveryOrder, ShufflesOfEveryType) {
  expect_shuffles<int>();
  expect_shuffles<unsigned>();
  expect_shuffles<float>();
  expect_shuffles<double>();
  expect_shuffles<long long>();
  expect_shuffles<unsigned long long>();
  expect_shuffles<short>();
}

// Two halves of a warp exchange independently, one of them more often.
__global__ void divided_warp_kernel(int* out) {
  int value = static_cast<int>(threadIdx.x);
  if (threadIdx.x < 16) {
    for (int offset = 8; offset > 0; offset /= 2) value += __shfl_xor_sync(0x0000ffffu, value, offset);
  } else {
    value = __shfl_sync(0xffff0000u, value, 31);
  }
  out[threadIdx.x] = value + __shfl_xor_sync(kFull, value, 16);
}

TEST_P(InEveryOrder, GroupsOfAWarpExchangeIndependently) {
  std::vector<int> out(32, -1);
  run(divided_warp_kernel, 1u, 32, 0, out.data());
  for (const int value : out) EXPECT_EQ(value, 120 + 31);
}

// --- Votes, matches, reductions --------------------------------------------------------------------------------------

__global__ void votes_kernel(unsigned truth, unsigned* ballots, int* anys, int* alls) {
  const int predicate = static_cast<int>(truth >> threadIdx.x & 1u) * 8;
  ballots[threadIdx.x] = __ballot_sync(kFull, predicate);
  anys[threadIdx.x] = __any_sync(kFull, predicate);
  alls[threadIdx.x] = __all_sync(kFull, predicate);
}

TEST_P(InEveryOrder, Votes) {
  for (const unsigned truth : {0u, 1u, 0x80000000u, 0x12345678u, 0x7fffffffu, kFull}) {
    std::vector<unsigned> ballots(32);
    std::vector<int> anys(32), alls(32);
    run(votes_kernel, 1u, 32, 0, truth, ballots.data(), anys.data(), alls.data());
    for (size_t lane = 0; lane < 32; ++lane) {
      EXPECT_EQ(ballots[lane], truth);
      EXPECT_EQ(anys[lane] != 0, truth != 0);
      EXPECT_EQ(alls[lane] != 0, truth == kFull);
    }
  }
}

// Odd lanes leave; the others vote with a mask that still names them, as CUDA allows.
__global__ void vote_after_exit_kernel(unsigned* ballots) {
  if (threadIdx.x % 2) return;
  ballots[threadIdx.x] = __ballot_sync(kFull, 1);
  __syncwarp();
}

TEST_P(InEveryOrder, LanesThatHaveLeftAreAbsentFromVotes) {
  std::vector<unsigned> ballots(20, 0);
  run(vote_after_exit_kernel, 1u, 20, 0, ballots.data());
  for (size_t lane = 0; lane < 20; lane += 2) EXPECT_EQ(ballots[lane], 0x00055555u);
}

__global__ void matches_kernel(const int* values, unsigned* any, unsigned* all, int* all_agree) {
  any[threadIdx.x] = __match_any_sync(kFull, values[threadIdx.x]);
  all[threadIdx.x] = __match_all_sync(kFull, values[threadIdx.x], &all_agree[threadIdx.x]);
}

TEST_P(InEveryOrder, Matches) {
  for (const int n_values : {1, 5}) {
    std::vector<int> values(32), agree(32);
    std::vector<unsigned> any(32), all(32);
    for (int i = 0; i < 32; ++i) values[static_cast<size_t>(i)] = i % n_values;
    run(matches_kernel, 1u, 32, 0, values.data(), any.data(), all.data(), agree.data());
    for (size_t lane = 0; lane < 32; ++lane) {
      unsigned same = 0;
      for (size_t other = 0; other < 32; ++other) same |= unsigned{values[other] == values[lane]} << other;
      EXPECT_EQ(any[lane], same);
      EXPECT_EQ(all[lane], n_values == 1 ? kFull : 0u);
      EXPECT_EQ(agree[lane], n_values == 1);
    }
  }
}

__global__ void reductions_kernel(const int* values, int* out, unsigned* out_unsigned) {
  const int v = values[threadIdx.x];
  const auto u = static_cast<unsigned>(v);
  int* row = out + threadIdx.x * 3;
  row[0] = __reduce_add_sync(kFull, v);
  row[1] = __reduce_min_sync(kFull, v);
  row[2] = __reduce_max_sync(kFull, v);
  unsigned* unsigned_row = out_unsigned + threadIdx.x * 5;
  unsigned_row[0] = __reduce_min_sync(kFull, u);
  unsigned_row[1] = __reduce_max_sync(kFull, u);
  unsigned_row[2] = __reduce_and_sync(kFull, u | 4u);
  unsigned_row[3] = __reduce_or_sync(kFull, u);
  unsigned_row[4] = __reduce_xor_sync(kFull, u);
}

TEST_P(InEveryOrder, WarpReductions) {
  std::vector<int> values(32), out(32 * 3);
  std::vector<unsigned> out_unsigned(32 * 5);
  int sum = 0;
  unsigned all_or = 0, all_xor = 0, all_and = kFull;
  for (int i = 0; i < 32; ++i) {
    const int v = (i * 37) % 32 - 10;
    values[static_cast<size_t>(i)] = v;
    sum += v;
    all_or |= static_cast<unsigned>(v);
    all_xor ^= static_cast<unsigned>(v);
    all_and &= static_cast<unsigned>(v) | 4u;
  }
  run(reductions_kernel, 1u, 32, 0, values.data(), out.data(), out_unsigned.data());
  for (size_t lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(out[lane * 3], sum);
    EXPECT_EQ(out[lane * 3 + 1], -10);
    EXPECT_EQ(out[lane * 3 + 2], 21);
    const unsigned expected[5] = {0u, static_cast<unsigned>(-1), all_and, all_or, all_xor};
    for (size_t i = 0; i < 5; ++i) EXPECT_EQ(out_unsigned[lane * 5 + i], expected[i]) << i;
  }
}

// --- Atomics ---------------------------------------------------------------------------------------------------------

struct Cells {
  int sum = 0, least = 1000, most = -1000, difference = 0;
  unsigned all = kFull, some = 0, parity = 0, exchanged = 0, lock = 0, guarded = 0;
  unsigned long long wide = 0, widest = 0;
  float f = 0;
  double d = 0;
};

__global__ void atomics_kernel(Cells* c, unsigned* tickets) {
  const auto t = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const auto u = static_cast<unsigned>(t);
  tickets[atomicAdd(&c->sum, 1)] += 1;
  atomicSub(&c->difference, t);
  atomicMin(&c->least, t - 7);
  atomicMax(&c->most, t);
  atomicAnd(&c->all, ~(1u << (u % 32)) | 0x80u);
  atomicOr(&c->some, 1u << (u % 32));
  atomicXor(&c->parity, u);
  atomicExch(&c->exchanged, 5u);
  atomicAdd(&c->wide, 1ull << 33);
  atomicMax(&c->widest, static_cast<unsigned long long>(t) << 34);
  atomicAdd(&c->f, 0.5f);
  atomicAdd(&c->d, 0.25);
  while (atomicCAS(&c->lock, 0u, 1u) != 0u) __nanosleep(20);
  const unsigned before = c->guarded;
  __threadfence();
  c->guarded = before + 1;
  atomicExch(&c->lock, 0u);
}

TEST_P(InEveryOrder, Atomics) {
  constexpr unsigned kThreads = 5 * 70;
  Cells c;
  std::vector<unsigned> tickets(kThreads, 0);
  run(atomics_kernel, 5u, 70, 0, &c, tickets.data());
  EXPECT_EQ(c.sum, 350);
  EXPECT_TRUE(std::all_of(tickets.begin(), tickets.end(), [](unsigned n) { return n == 1; }));
  EXPECT_EQ(c.difference, -349 * 350 / 2);
  EXPECT_EQ(c.least, -7);
  EXPECT_EQ(c.most, 349);
  EXPECT_EQ(c.all, 0x80u);
  EXPECT_EQ(c.some, kFull);
  unsigned parity = 0;
  for (unsigned t = 0; t < kThreads; ++t) parity ^= t;
  EXPECT_EQ(c.parity, parity);
  EXPECT_EQ(c.exchanged, 5u);
  EXPECT_EQ(c.wide, 350ull << 33);
  EXPECT_EQ(c.widest, 349ull << 34);
  EXPECT_EQ(c.f, 175.0f);
  EXPECT_EQ(c.d, 87.5);
  EXPECT_EQ(c.guarded, kThreads);
}

// --- Shared memory ---------------------------------------------------------------------------------------------------

template <int kSize>
__global__ void reads_before_writing_kernel(float* out_static, float* out_dynamic) {
  __shared__ float values[kSize];
  auto* dynamic = reinterpret_cast<float*>(dynamic_shared());
  const unsigned t = threadIdx.x, at = blockIdx.x * blockDim.x + t;
  out_static[at] = values[t];
  out_dynamic[at] = dynamic[t];
  values[t] = 1.0f;
  dynamic[t] = 1.0f;
}

TEST_P(InEveryOrder, SharedMemoryIsNanBeforeEachBlock) {
  std::vector<float> out_static(4 * 8, 0.0f), out_dynamic(4 * 8, 0.0f);
  run(reads_before_writing_kernel<8>, 4u, 8, 8 * sizeof(float), out_static.data(), out_dynamic.data());
  for (size_t i = 0; i < out_static.size(); ++i) {
    EXPECT_TRUE(std::isnan(out_static[i])) << i;
    EXPECT_TRUE(std::isnan(out_dynamic[i])) << i;
  }
}

__global__ void dynamic_address_kernel(uintptr_t* out) { *out = reinterpret_cast<uintptr_t>(dynamic_shared()); }

TEST(Simt, DynamicSharedMemoryIsAlignedForVectors) {
  const int most = 227 * 1024;
  ASSERT_EQ(cudaFuncSetAttribute(dynamic_address_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most),
            cudaSuccess);
  for (const size_t bytes : {size_t{1}, size_t{16}, size_t{100}, size_t{most}}) {
    uintptr_t address = 1;
    run(dynamic_address_kernel, 1u, 1, bytes, &address);
    EXPECT_EQ(address % 16, 0u) << bytes;
  }
}

// --- Numbers ---------------------------------------------------------------------------------------------------------

TEST(Simt, Bits) {
  EXPECT_EQ(__popc(0xf0f00001u), 9);
  EXPECT_EQ(__popcll(0xf000000000000001ull), 5);
  EXPECT_EQ(__clz(0), 32);
  EXPECT_EQ(__clz(1), 31);
  EXPECT_EQ(__clz(-1), 0);
  EXPECT_EQ(__clzll(1), 63);
  EXPECT_EQ(__ffs(0), 0);
  EXPECT_EQ(__ffs(8), 4);
  EXPECT_EQ(__ffsll(1ll << 40), 41);
  EXPECT_EQ(__brev(1u), 0x80000000u);
  EXPECT_EQ(__brev(0x00000f35u), 0xacf00000u);
  EXPECT_EQ(__brevll(2ull), 1ull << 62);
  EXPECT_EQ(__umulhi(0xffffffffu, 0xffffffffu), 0xfffffffeu);
  EXPECT_EQ(__mulhi(-2, 0x40000000), -1);
  EXPECT_EQ(__umul64hi(1ull << 63, 6ull), 3ull);
  EXPECT_EQ(__funnelshift_l(0x80000000u, 1u, 1), 3u);
  EXPECT_EQ(__funnelshift_r(2u, 1u, 1), 0x80000001u);
  EXPECT_EQ(__float_as_uint(1.0f), 0x3f800000u);
  EXPECT_EQ(__uint_as_float(0x40000000u), 2.0f);
  EXPECT_EQ(__float_as_int(-0.0f), std::numeric_limits<int>::min());
  EXPECT_EQ(__double_as_longlong(__longlong_as_double(0x3ff0000000000001)), 0x3ff0000000000001);
}

TEST(Simt, FusedMultiplyAddRoundsOnceAndTheOthersTwice) {
  const float a = 1.0f + 0x1.0p-23f;
  EXPECT_EQ(__fmaf_rn(a, a, -1.0f), 0x1.0p-22f + 0x1.0p-46f);
  EXPECT_EQ(__fadd_rn(__fmul_rn(a, a), -1.0f), 0x1.0p-22f);
  EXPECT_EQ(__saturatef(std::numeric_limits<float>::quiet_NaN()), 0.0f);
  EXPECT_EQ(__float2int_rn(2.5f), 2);
  EXPECT_EQ(max(2, -3), 2);
  EXPECT_EQ(min(1.0f, std::numeric_limits<float>::quiet_NaN()), 1.0f);
}

// --- What is not a kernel's fault ------------------------------------------------------------------------------------

__global__ void throws_kernel(int thrower, int* out) {
  if (static_cast<int>(threadIdx.x) == thrower) throw std::domain_error("thrown in a kernel");
  __syncthreads();
  out[threadIdx.x] = 1;
}

TEST_P(InEveryOrder, ExceptionsPassAndTheNextLaunchIsSound) {
  for (const int thrower : {0, 17, 63}) {
    std::vector<int> out(64, 0);
    EXPECT_THROW(run(throws_kernel, 1u, 64, 0, thrower, out.data()), std::domain_error);
    EXPECT_EQ(out, std::vector<int>(64, 0));
    run(throws_kernel, 1u, 64, 0, -1, out.data());
    EXPECT_EQ(out, std::vector<int>(64, 1));
  }
}

TEST(Simt, RefusesAnUnknownOrder) {
  int visit = 0;
  for (const char* text : {"backward", "shuffle", "shuffle:", "shuffle:x", "shuffle:1 "}) {
    const ScopedOrder order(text);
    EXPECT_THROW(run(visit_kernel, 1u, 1, 0, &visit), std::invalid_argument) << text;
  }
  EXPECT_EQ(visit, 0);
}

}  // namespace
}  // namespace simt::test
