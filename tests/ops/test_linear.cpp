#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/linear.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/layers.hpp"

namespace sheaf {
namespace {

struct Case {
  int64_t n, n_in, n_out;
  bool relu;
  std::vector<float> x, weight, bias, d_out;
};

Case random_case(int64_t n, int64_t n_in, int64_t n_out, bool relu) {
  return {n,
          n_in,
          n_out,
          relu,
          test::random_floats(n * n_in, 400),
          test::random_floats(n_out * n_in, 401),
          test::random_floats(n_out, 402),
          test::random_floats(n * n_out, 403)};
}

std::vector<float> forward(Context& context, const Case& c) {
  const Buffer<float> x(context, c.x), weight(context, c.weight), bias(context, c.bias);
  test::Guarded<float> out(context, c.n * c.n_out);
  dense::linear(context, {.x = x.matrix(c.n, c.n_in),
                          .weight = weight.matrix(c.n_out, c.n_in),
                          .bias = bias.view(),
                          .relu = c.relu,
                          .out = out.matrix(c.n, c.n_out)});
  out.expect_intact();
  return out.to_host();
}

struct Gradients {
  std::vector<float> x, weight, bias, d;
};

Gradients backward(Context& context, const Case& c, const std::vector<float>& out) {
  const Buffer<float> x(context, c.x), weight(context, c.weight), kept(context, out);
  test::Guarded<float> d_out(context, c.d_out), d_x(context, c.n * c.n_in), d_weight(context, c.n_out * c.n_in),
      d_bias(context, c.n_out);
  dense::linear_backward(context, {.x = x.matrix(c.n, c.n_in),
                                   .weight = weight.matrix(c.n_out, c.n_in),
                                   .relu = c.relu,
                                   .out = kept.matrix(c.n, c.n_out),
                                   .d_out = d_out.matrix(c.n, c.n_out),
                                   .d_x = d_x.matrix(c.n, c.n_in),
                                   .d_weight = d_weight.matrix(c.n_out, c.n_in),
                                   .d_bias = d_bias.view()});
  for (const auto* guarded : {&d_out, &d_x, &d_weight, &d_bias}) guarded->expect_intact();
  return {d_x.to_host(), d_weight.to_host(), d_bias.to_host(), d_out.to_host()};
}

void expect_near(const std::vector<float>& got, const ref::Sums& expected, const char* what) {
  ASSERT_EQ(got.size(), expected.value.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected.value[i], expected.bound(i)) << what << ", element " << i;
  }
}

void expect_right(Context& context, const Case& c) {
  SCOPED_TRACE(testing::Message() << c.n << " rows, " << c.n_in << " to " << c.n_out << (c.relu ? ", relu" : ""));
  const std::vector<double> x = test::to_double(c.x), weight = test::to_double(c.weight);
  const std::vector<float> out = forward(context, c);
  ref::Sums expected = ref::linear(c.n_in, x, weight, test::to_double(c.bias));
  ASSERT_EQ(out.size(), expected.value.size());
  std::vector<double> d = test::to_double(c.d_out);
  for (size_t i = 0; i < out.size(); ++i) {
    const double right = c.relu ? std::max(0.0, expected.value[i]) : expected.value[i];
    EXPECT_NEAR(out[i], right, expected.bound(i)) << "out, element " << i;
    if (c.relu && !(out[i] > 0.0f)) d[i] = 0.0;
  }
  const Gradients got = backward(context, c, out);
  const ref::LinearGradients gradients = ref::linear_backward(c.n_in, x, weight, d);
  expect_near(got.x, gradients.x, "d_x");
  expect_near(got.weight, gradients.weight, "d_weight");
  expect_near(got.bias, gradients.bias, "d_bias");
  for (size_t i = 0; i < d.size(); ++i) EXPECT_EQ(got.d[i], d[i]) << "D, element " << i;
}

class LinearTest : public test::OpTest {};

TEST_P(LinearTest, AgreesWithOracle) {
  for (const int64_t n : {1, 2, 63, 65, 129, 257}) expect_right(context(), random_case(n, 12, 9, n % 2 == 0));
  for (const int64_t n_in : {1, 15, 16, 17, 64, 67}) expect_right(context(), random_case(33, n_in, 20, true));
  for (const int64_t n_out : {1, 3, 63, 64, 65, 130}) expect_right(context(), random_case(20, 18, n_out, false));
}

// Pieces of the reduction over rows: one, one full, one and a rest, several.
TEST_P(LinearTest, ManyRows) {
  for (const int64_t n :
       {dense::kLinearPiece - 1, dense::kLinearPiece, dense::kLinearPiece + 1, 3 * dense::kLinearPiece + 5}) {
    expect_right(context(), random_case(n, 5, 6, true));
  }
}

TEST_P(LinearTest, ByHand) {
  const Case c{2, 2, 3, true, {1, 2, 3, -1}, {1, 0, 0, 1, -1, -1}, {0, 1, 0.5f}, {1, 2, 4, 8, 16, 32}};
  const std::vector<float> out = forward(context(), c);
  EXPECT_EQ(out, (std::vector<float>{1, 3, 0, 3, 0, 0}));
  const Gradients g = backward(context(), c, out);
  EXPECT_EQ(g.d, (std::vector<float>{1, 2, 0, 8, 0, 0}));
  EXPECT_EQ(g.x, (std::vector<float>{1, 2, 8, 0}));
  EXPECT_EQ(g.weight, (std::vector<float>{25, -6, 2, 4, 0, 0}));
  EXPECT_EQ(g.bias, (std::vector<float>{9, 2, 0}));
}

TEST_P(LinearTest, NothingToDo) {
  EXPECT_TRUE(forward(context(), random_case(0, 4, 3, false)).empty());
  const Gradients none = backward(context(), random_case(0, 4, 3, true), {});
  EXPECT_EQ(none.weight, std::vector<float>(12, 0.0f));
  EXPECT_EQ(none.bias, std::vector<float>(3, 0.0f));
}

TEST_P(LinearTest, GradientsAgreeWithFiniteDifferences) {
  const Case c = random_case(4, 5, 3, false);
  const std::vector<double> x = test::to_double(c.x), weight = test::to_double(c.weight),
                            bias = test::to_double(c.bias);
  const std::vector<double> d = test::to_double(c.d_out);
  const auto weighted = [&](const ref::Sums& out) {
    return std::inner_product(out.value.begin(), out.value.end(), d.begin(), 0.0);
  };
  const ref::LinearGradients g = ref::linear_backward(5, x, weight, d);
  constexpr double kStep = 1e-3, kError = 1e-10;  // a linear function: no error but rounding
  for (size_t i = 0; i < x.size(); ++i) {
    const auto f = [&](const std::vector<double>& at) { return weighted(ref::linear(5, at, weight, bias)); };
    EXPECT_NEAR(g.x.value[i], test::central_difference(f, x, i, kStep), kError);
  }
  for (size_t i = 0; i < weight.size(); ++i) {
    const auto f = [&](const std::vector<double>& at) { return weighted(ref::linear(5, x, at, bias)); };
    EXPECT_NEAR(g.weight.value[i], test::central_difference(f, weight, i, kStep), kError);
  }
}

TEST_P(LinearTest, SameBitsOnAnyNumberOfThreads) {
  const Case c = random_case(2 * dense::kLinearPiece + 77, 6, 7, true);
  const auto one = make_context(1), three = make_context(3);
  const std::vector<float> out = forward(*one, c);
  EXPECT_TRUE(test::same_bits(out, forward(*three, c)));
  const Gradients a = backward(*one, c, out), b = backward(*three, c, out);
  EXPECT_TRUE(test::same_bits(a.x, b.x));
  EXPECT_TRUE(test::same_bits(a.weight, b.weight));
  EXPECT_TRUE(test::same_bits(a.bias, b.bias));
}

TEST_P(LinearTest, RefusesWrongShapes) {
  Buffer<float> buffer(context(), 64);
  const auto m = [&](int64_t rows, int64_t cols) { return MatrixView<float>{buffer.data(), rows, cols}; };
  const auto v = [&](int64_t n) { return VectorView<float>{buffer.data(), n}; };
  EXPECT_THROW(dense::linear(context(), {m(4, 3), m(2, 4), v(2), false, m(4, 2)}), UsageError);
  EXPECT_THROW(dense::linear(context(), {m(4, 3), m(2, 3), v(3), false, m(4, 2)}), UsageError);
  EXPECT_THROW(dense::linear(context(), {m(4, 3), m(2, 3), v(2), false, m(3, 2)}), UsageError);
  EXPECT_THROW(dense::linear_backward(context(), {m(4, 3), m(2, 3), true, {}, m(4, 2), m(4, 3), m(2, 3), v(2)}),
               UsageError);
  EXPECT_THROW(dense::linear_backward(context(), {m(4, 3), m(2, 3), false, {}, m(4, 2), m(4, 2), m(2, 3), v(2)}),
               UsageError);
  EXPECT_THROW(dense::linear_backward(context(), {m(4, 3), m(2, 3), false, {}, m(4, 2), m(4, 3), m(3, 2), v(2)}),
               UsageError);
}

SHEAF_ON_EVERY_BACKEND(LinearTest);

}  // namespace
}  // namespace sheaf
