#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "kernels/core/blas_cpu.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/core/philox.hpp"

namespace sheaf::gemm_test {
namespace {

/// A product of small whole numbers, which is exact in any order.
struct Product {
  explicit Product(uint64_t seed) {
    const RandomKey key{7, Purpose::test, 0};
    uint32_t draw = 0;
    const auto next = [&](uint32_t below) { return bounded(random_u32(key, seed, draw++), below); };
    m = 1 + next(24), n = 1 + next(24), k = 1 + next(24);
    ta = next(2) == 1, tb = next(2) == 1;
    a.resize(static_cast<size_t>(m * k));
    b.resize(static_cast<size_t>(k * n));
    for (std::vector<float>* values : {&a, &b}) {
      for (float& value : *values) value = static_cast<float>(next(7)) - 3.0f;
    }
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        float& sum = expected.emplace_back(0.0f);
        for (int64_t l = 0; l < k; ++l) {
          sum +=
              a[static_cast<size_t>(ta ? l * m + i : i * k + l)] * b[static_cast<size_t>(tb ? j * k + l : l * n + j)];
        }
      }
    }
  }
  bool is_right(std::vector<float>& c) const {
    c.assign(expected.size(), -1.0f);
    cpu::gemm({m, n, k, a.data(), ta ? m : k, ta, b.data(), tb ? k : n, tb, 0.0f, c.data(), n});
    return c == expected;
  }

  int64_t m, n, k;
  bool ta, tb;
  std::vector<float> a, b, expected;
};

// A library that is not made for threads gives some wrong ones in a million: openblas-serial failed this in every run.
TEST(Gemm, ThreadsDoNotDisturbEachOther) {
  const Context context(Device{}, ContextOptions{0, 4, false});
  std::vector<Product> products;
  for (uint64_t p = 0; p < 256; ++p) products.emplace_back(p);
  std::vector<std::vector<float>> out(4);
  cpu::reserve_gemm(context);
  std::atomic<int> wrong{0};
  parallel_for(context, 2'000'000, 4096, [&](int64_t begin, int64_t end, int thread) {
    std::vector<float>& c = out[static_cast<size_t>(thread)];
    for (int64_t r = begin; r < end; ++r) wrong += products[static_cast<size_t>(r % 256)].is_right(c) ? 0 : 1;
  });
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace sheaf::gemm_test
