#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "kernels/core/blas_cpu.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/core/philox.hpp"

namespace sheaf::gemm_test {
namespace {

/// Products of small whole numbers, which are exact in any order.
bool is_right(uint64_t seed) {
  const RandomKey key{7, Purpose::test, 0};
  uint32_t draw = 0;
  const auto next = [&](uint32_t n) { return bounded(random_u32(key, seed, draw++), n); };
  const int64_t m = 1 + next(24), n = 1 + next(24), k = 1 + next(24);
  const bool ta = next(2) == 1, tb = next(2) == 1;
  const auto beta = static_cast<float>(next(2));
  std::vector<float> a(static_cast<size_t>(m * k)), b(static_cast<size_t>(k * n)), c(static_cast<size_t>(m * n), 1.0f);
  for (std::vector<float>* values : {&a, &b}) {
    for (float& value : *values) value = static_cast<float>(next(7)) - 3.0f;
  }
  cpu::gemm({m, n, k, a.data(), ta ? m : k, ta, b.data(), tb ? k : n, tb, beta, c.data(), n});
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      float sum = beta;
      for (int64_t l = 0; l < k; ++l) {
        sum += a[static_cast<size_t>(ta ? l * m + i : i * k + l)] * b[static_cast<size_t>(tb ? j * k + l : l * n + j)];
      }
      if (c[static_cast<size_t>(i * n + j)] != sum) return false;
    }
  }
  return true;
}

// A library that is not made for threads gives a few wrong ones in a hundred thousand.
TEST(Gemm, ThreadsDoNotDisturbEachOther) {
  const Context context(Device{}, ContextOptions{0, 4, false});
  cpu::reserve_gemm(context);
  std::atomic<int> wrong{0};
  parallel_for(context, 200'000, 100, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) wrong += is_right(static_cast<uint64_t>(r)) ? 0 : 1;
  });
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace sheaf::gemm_test
