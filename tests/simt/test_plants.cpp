/// One bug of each kind, planted: in the builds that must catch it, it is caught, and its sound twin is not.

#include <cmath>
#include <cstring>
#include <set>

#include "tests/simt/simt_test.hpp"

namespace simt::test {
namespace {

constexpr unsigned kBlocks = 3, kThreads = 64;
constexpr int kSize = kBlocks * kThreads;

using Kernel = void (*)(float* values, int n);

__device__ unsigned global_index() { return blockIdx.x * kThreads + threadIdx.x; }

template <bool kPlanted>
__global__ void neighbour_kernel(float* values, int) {
  __shared__ float tile[kThreads];
  tile[threadIdx.x] = static_cast<float>(threadIdx.x);
  if (!kPlanted) __syncthreads();
  values[global_index()] = tile[(threadIdx.x + 33) % kThreads];
}

template <bool kPlanted>
__global__ void add_next_kernel(float* values, int n) {
  const auto i = static_cast<int>(global_index());
  const float next = i + 1 < n + (kPlanted ? 1 : 0) ? values[i + 1] : 0.0f;
  if (next != 0.0f) values[i] = next;  // all are zero: no thread writes
}

template <bool kPlanted>
__global__ void half_filled_kernel(float* values, int) {
  __shared__ float tile[kThreads];
  if (threadIdx.x < kThreads / (kPlanted ? 2 : 1)) tile[threadIdx.x] = 1.0f;
  __syncthreads();
  values[global_index()] = tile[(threadIdx.x + 1) % kThreads];
}

template <bool kPlanted>
__global__ void half_warp_kernel(float* values, int) {
  constexpr unsigned kLower = 0x0000ffffu;
  if (threadIdx.x < 16) values[global_index()] = __shfl_sync(kLower, 1.0f, kPlanted ? 16 : 15);
}

template <bool kPlanted>
__global__ void early_exit_kernel(float* values, int n) {
  const bool outside = static_cast<int>(global_index()) >= n - 5;
  if (kPlanted && outside) return;
  __syncthreads();
  if (!outside) values[global_index()] = 1.0f;
}

template <bool kPlanted>
__global__ void last_block_wins_kernel(float* values, int) {
  values[kPlanted ? threadIdx.x : global_index()] = static_cast<float>(blockIdx.x);
}

template <bool kPlanted>
__global__ void sum_kernel(float* values, int) {
  const float term = 1.0f / static_cast<float>(1 + global_index());
  if (kPlanted) {
    atomicAdd(values, term);
  } else {
    values[global_index()] = term;  // another kernel adds in order
  }
}

enum class By : unsigned { fault = 1, poison = 2, orders = 4, address_sanitizer = 8, thread_sanitizer = 16 };
constexpr unsigned operator|(By a, By b) { return static_cast<unsigned>(a) | static_cast<unsigned>(b); }

struct Plant {
  const char* name;
  unsigned caught_by;
  Kernel planted;
  Kernel sound;
  bool caught(By by) const { return caught_by & static_cast<unsigned>(by); }
};

const Plant kPlants[] = {
    {"RemovedBarrier", By::orders | By::thread_sanitizer, neighbour_kernel<true>, neighbour_kernel<false>},
    {"IndexOnePastTheEnd", unsigned(By::address_sanitizer), add_next_kernel<true>, add_next_kernel<false>},
    {"UninitializedSharedRead", unsigned(By::poison), half_filled_kernel<true>, half_filled_kernel<false>},
    {"ShuffleOutsideItsMask", unsigned(By::fault), half_warp_kernel<true>, half_warp_kernel<false>},
    {"DivergentBarrier", unsigned(By::fault), early_exit_kernel<true>, early_exit_kernel<false>},
    {"RaceBetweenBlocks", By::orders | By::thread_sanitizer, last_block_wins_kernel<true>,
     last_block_wins_kernel<false>},
    {"ReductionInOrderOfArrival", unsigned(By::orders), sum_kernel<true>, sum_kernel<false>},
};

std::vector<float> result(Kernel kernel) {
  std::vector<float> values(kSize, 0.0f);
  run(kernel, kBlocks, kThreads, 0, values.data(), kSize);
  return values;
}

bool raises_fault(Kernel kernel) {
  return !fault_of([=] { result(kernel); }).empty();
}

bool gives_nan(Kernel kernel) {
  for (const float value : result(kernel)) {
    if (std::isnan(value)) return true;
  }
  return false;
}

bool depends_on_order(Kernel kernel) {
  std::set<std::vector<uint32_t>> seen;
  for (const std::string& name : all_orders()) {
    const ScopedOrder order(name);
    const std::vector<float> values = result(kernel);
    std::vector<uint32_t> bits(values.size());
    std::memcpy(bits.data(), values.data(), values.size() * sizeof(float));
    seen.insert(bits);
  }
  return seen.size() > 1;
}

[[noreturn, maybe_unused]] void run_and_exit(Kernel kernel) {
  result(kernel);
  std::exit(0);
}

class SimtPlantDeathTest : public ::testing::TestWithParam<Plant> {};

TEST_P(SimtPlantDeathTest, IsCaught) {
  const Plant& plant = GetParam();
  bool expected = false;
  EXPECT_FALSE(raises_fault(plant.sound) || gives_nan(plant.sound) || depends_on_order(plant.sound));
  if (plant.caught(By::fault)) {
    expected = true;
    EXPECT_TRUE(raises_fault(plant.planted));
  }
  if (plant.caught(By::poison)) {
    expected = true;
    EXPECT_TRUE(gives_nan(plant.planted));
  }
#if defined(__SANITIZE_THREAD__)
  if (plant.caught(By::thread_sanitizer)) {
    // In a process of its own: ThreadSanitizer looks away in the copy of a process that has had more than one thread.
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(run_and_exit(plant.planted), ::testing::ExitedWithCode(66), "data race(.|\n)*test_plants.cpp");
    return;  // in this process the report would stay
  }
#endif
  if (plant.caught(By::orders)) {
    expected = true;
    EXPECT_TRUE(depends_on_order(plant.planted));
  }
#if defined(__SANITIZE_ADDRESS__)
  if (plant.caught(By::address_sanitizer)) {
    expected = true;
    EXPECT_DEATH(run_and_exit(plant.planted), "heap-buffer-overflow(.|\n)*test_plants.cpp");
  }
#endif
  if (!expected) GTEST_SKIP() << "another lane catches this one";
}

INSTANTIATE_TEST_SUITE_P(Simt, SimtPlantDeathTest, ::testing::ValuesIn(kPlants),
                         [](const auto& plant) { return std::string(plant.param.name); });

}  // namespace
}  // namespace simt::test
