#include <cmath>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/scaled_add.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"

namespace sheaf {
namespace {

struct Case {
  int64_t n, m;
  float keep, weight;
  bool with_x, with_row_bias, with_bias;
};

class ScaledAddTest : public test::OpTest {
 protected:
  void expect_right(const Case& c) {
    const std::vector<float> x = test::random_floats(c.n * c.m, 911), before = test::random_floats(c.n * c.m, 912),
                             rows = test::random_floats(c.n, 913), bias{0.75f};
    const Buffer<float> device_x(context(), x), device_rows(context(), rows), device_bias(context(), bias);
    test::Guarded<float> out(context(), before);
    dense::scaled_add(context(), {.keep = c.keep,
                                  .weight = c.weight,
                                  .x = c.with_x ? device_x.matrix(c.n, c.m) : MatrixView<const float>{},
                                  .row_bias = c.with_row_bias ? device_rows.view() : VectorView<const float>{},
                                  .bias = c.with_bias ? device_bias.view() : VectorView<const float>{},
                                  .out = out.matrix(c.n, c.m)});
    out.expect_intact();
    const std::vector<float> got = out.to_host();
    for (int64_t at = 0; at < c.n * c.m; ++at) {
      const auto i = static_cast<size_t>(at), r = static_cast<size_t>(at / c.m);
      const double kept = static_cast<double>(c.keep) * static_cast<double>(before[i]);
      const double added = c.with_x ? static_cast<double>(c.weight) * static_cast<double>(x[i]) : 0.0;
      const double own = (c.with_row_bias ? static_cast<double>(rows[r]) : 0.0) + (c.with_bias ? 0.75 : 0.0);
      // Two products and three sums, each rounded once.
      const double bound = 5.0 * test::kRound * (std::abs(kept) + std::abs(added) + std::abs(own) + 0.75);
      EXPECT_NEAR(static_cast<double>(got[i]), kept + added + own, bound) << c.n << " x " << c.m << ", element " << at;
    }
  }
};

TEST_P(ScaledAddTest, AgreesWithDoubles) {
  for (const int64_t n : {0, 1, 15, 16, 17, 100}) {
    for (const int64_t m : {1, 31, 257}) {
      expect_right({n, m, 1.0f, 0.5f, true, true, true});
      expect_right({n, m, 0.25f, -2.0f, true, false, false});
      expect_right({n, m, 1.0f, 1.0f, false, true, false});
      expect_right({n, m, 0.0f, 3.0f, true, false, true});
    }
  }
}

TEST_P(ScaledAddTest, WhatIsNotKeptIsNotRead) {
  const Buffer<float> x(context(), std::vector<float>{1.0f, 2.0f});
  Buffer<float> out(context(), std::vector<float>(2, std::numeric_limits<float>::quiet_NaN()));
  dense::scaled_add(context(), {.keep = 0.0f, .weight = 2.0f, .x = x.matrix(1, 2), .out = out.matrix(1, 2)});
  EXPECT_EQ(out.to_host(), (std::vector<float>{2.0f, 4.0f}));
}

TEST_P(ScaledAddTest, RefusesWrongShapes) {
  Buffer<float> x(context(), 4), out(context(), 6), bias(context(), 2);
  EXPECT_THROW(dense::scaled_add(context(), {.x = x.matrix(2, 2), .out = out.matrix(2, 3)}), UsageError);
  EXPECT_THROW(dense::scaled_add(context(), {.row_bias = bias.view(), .out = out.matrix(3, 2)}), UsageError);
  EXPECT_THROW(dense::scaled_add(context(), {.bias = bias.view(), .out = out.matrix(2, 3)}), UsageError);
}

SHEAF_ON_EVERY_BACKEND(ScaledAddTest);

}  // namespace
}  // namespace sheaf
