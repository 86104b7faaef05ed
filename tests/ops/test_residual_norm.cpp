#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/residual_norm.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/layers.hpp"

namespace sheaf {
namespace {

struct Case {
  int64_t n, dim;
  ref::Dropout dropout;
  std::vector<float> x, residual, weight, bias, d_normed, d_residual;
};

Case random_case(int64_t n, int64_t dim, bool with_residual, float rate, float offset = 0.0f) {
  Case c{n,
         dim,
         {rate, {.seed = 5, .purpose = Purpose::dropout, .step = 9}, int64_t{3} << 40},
         test::random_floats(n * dim, 410, offset - 1.0f, offset + 1.0f),
         {},
         test::random_floats(dim, 412, 0.5f, 1.5f),
         test::random_floats(dim, 413),
         test::random_floats(n * dim, 414),
         {}};
  if (with_residual) {
    c.residual = test::random_floats(n * dim, 411);
    c.d_residual = test::random_floats(n * dim, 415);
  }
  return c;
}

struct Outputs {
  std::vector<float> sum, normed, moments;
};

MatrixView<const float> rows_of(const Buffer<float>& buffer, int64_t cols) {
  return {buffer.data(), buffer.size() / cols, cols};
}

Outputs forward(Context& context, const Case& c, bool in_place = false) {
  test::Guarded<float> x(context, c.x), sum(context, c.n * c.dim), normed(context, c.n * c.dim),
      moments(context, c.n * 2);
  const Buffer<float> residual(context, c.residual), weight(context, c.weight), bias(context, c.bias);
  test::Guarded<float>& target = in_place ? x : sum;
  dense::residual_norm(context, {.x = x.matrix(c.n, c.dim),
                                 .residual = rows_of(residual, c.dim),
                                 .weight = weight.view(),
                                 .bias = bias.view(),
                                 .rate = c.dropout.rate,
                                 .key = c.dropout.key,
                                 .first_row = c.dropout.first_row,
                                 .sum = target.matrix(c.n, c.dim),
                                 .normed = normed.matrix(c.n, c.dim),
                                 .moments = moments.matrix(c.n, 2)});
  for (const auto* guarded : {&x, &sum, &normed, &moments}) guarded->expect_intact();
  return {target.to_host(), normed.to_host(), moments.to_host()};
}

struct Gradients {
  std::vector<float> sum, x, weight, bias;
};

Gradients backward(Context& context, const Case& c, const Outputs& out, bool in_place = false) {
  const Buffer<float> sum(context, out.sum), moments(context, out.moments), weight(context, c.weight),
      d_residual(context, c.d_residual);
  test::Guarded<float> d_normed(context, c.d_normed), d_sum(context, c.n * c.dim), d_x(context, c.n * c.dim),
      d_weight(context, c.dim), d_bias(context, c.dim);
  test::Guarded<float>& target = in_place ? d_normed : d_sum;
  dense::residual_norm_backward(context, {.sum = sum.matrix(c.n, c.dim),
                                          .moments = moments.matrix(c.n, 2),
                                          .weight = weight.view(),
                                          .d_normed = d_normed.matrix(c.n, c.dim),
                                          .d_residual = rows_of(d_residual, c.dim),
                                          .rate = c.dropout.rate,
                                          .key = c.dropout.key,
                                          .first_row = c.dropout.first_row,
                                          .d_sum = target.matrix(c.n, c.dim),
                                          .d_x = d_x.matrix(c.n, c.dim),
                                          .d_weight = d_weight.view(),
                                          .d_bias = d_bias.view()});
  for (const auto* guarded : {&d_normed, &d_sum, &d_x, &d_weight, &d_bias}) guarded->expect_intact();
  return {target.to_host(), d_x.to_host(), d_weight.to_host(), d_bias.to_host()};
}

ref::ResidualNorm exact(const Case& c, const std::vector<double>& x, const std::vector<double>& residual) {
  return ref::residual_norm(c.dim, x, residual, test::to_double(c.weight), test::to_double(c.bias), c.dropout);
}

void expect_near(const std::vector<float>& got, const ref::Bounded& expected, const char* what) {
  ASSERT_EQ(got.size(), expected.value.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected.value[i], expected.bound[i]) << what << ", element " << i;
  }
}

void expect_right(Context& context, const Case& c) {
  SCOPED_TRACE(testing::Message() << c.n << " rows of " << c.dim << (c.residual.empty() ? "" : " with a residual")
                                  << ", rate " << c.dropout.rate);
  const ref::ResidualNorm expected = exact(c, test::to_double(c.x), test::to_double(c.residual));
  const Outputs got = forward(context, c);
  expect_near(got.normed, expected.normed, "normed");
  for (size_t i = 0; i < got.sum.size(); ++i) {
    EXPECT_NEAR(got.sum[i], expected.sum[i], 1e-6 * (2 + std::abs(expected.sum[i]))) << "sum, element " << i;
  }
  const ref::ResidualNormGradients gradients =
      ref::residual_norm_backward(c.dim, expected, test::to_double(c.weight), test::to_double(c.d_normed),
                                  test::to_double(c.d_residual), c.dropout);
  for (const bool in_place : {false, true}) {
    const Gradients d = backward(context, c, got, in_place);
    expect_near(d.sum, gradients.sum, "d_sum");
    expect_near(d.x, gradients.x, "d_x");
    expect_near(d.weight, gradients.weight, "d_weight");
    expect_near(d.bias, gradients.bias, "d_bias");
  }
  EXPECT_TRUE(test::same_bits(forward(context, c, true).normed, got.normed)) << "in place";
}

class ResidualNormTest : public test::OpTest {};

TEST_P(ResidualNormTest, AgreesWithOracle) {
  for (const int64_t n : {1, 2, 5, 63, 65, 129}) expect_right(context(), random_case(n, 32, n % 2 == 0, 0.3f));
  for (const int64_t dim : {1, 2, 3, 4, 5, 31, 64, 127, 130, 257}) {
    expect_right(context(), random_case(9, dim, dim % 2 == 0, dim % 3 == 0 ? 0.5f : 0.0f));
  }
  expect_right(context(), random_case(7, 48, true, 0.0f, 100.0f));  // a mean far from zero
}

TEST_P(ResidualNormTest, ManyRows) {
  for (const int64_t n :
       {dense::kResidualNormPiece - 1, dense::kResidualNormPiece, 2 * dense::kResidualNormPiece + 3}) {
    expect_right(context(), random_case(n, 6, true, 0.2f));
  }
}

TEST_P(ResidualNormTest, ByHand) {
  const Case c{1, 4, {}, {1, 1, 1, 1}, {0, 0, 2, 2}, {2, 2, 2, 4}, {0, 0, 0, 1}, {}, {}};
  const Outputs got = forward(context(), c);
  EXPECT_EQ(got.sum, (std::vector<float>{1, 1, 3, 3}));
  EXPECT_EQ(got.moments[0], 2.0f);
  const std::vector<double> expected{-2, -2, 2, 5};
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(got.normed[i], expected[i], 4e-5);  // epsilon beside a variance of 1
  const Case flat{1, 4, {}, {3, 3, 3, 3}, {}, {2, 2, 2, 4}, {0, 7, 0, 1}, {}, {}};
  EXPECT_EQ(forward(context(), flat).normed, flat.bias);
}

TEST_P(ResidualNormTest, NoRows) {
  const Gradients none = backward(context(), random_case(0, 3, false, 0.1f), {});
  EXPECT_EQ(none.weight, std::vector<float>(3, 0.0f));
  EXPECT_EQ(none.bias, std::vector<float>(3, 0.0f));
}

TEST_P(ResidualNormTest, GradientsAgreeWithFiniteDifferences) {
  const Case c = random_case(3, 7, true, 0.4f);
  const std::vector<double> x = test::to_double(c.x), residual = test::to_double(c.residual);
  const std::vector<double> d_normed = test::to_double(c.d_normed), d_residual = test::to_double(c.d_residual);
  const auto weighted = [&](const ref::ResidualNorm& out) {
    return std::inner_product(
        out.sum.begin(), out.sum.end(), d_residual.begin(),
        std::inner_product(out.normed.value.begin(), out.normed.value.end(), d_normed.begin(), 0.0));
  };
  const ref::ResidualNormGradients g =
      ref::residual_norm_backward(7, exact(c, x, residual), test::to_double(c.weight), d_normed, d_residual, c.dropout);
  constexpr double kStep = 1e-5, kError = 1e-7;
  for (size_t i = 0; i < x.size(); ++i) {
    const auto of_x = [&](const std::vector<double>& at) { return weighted(exact(c, at, residual)); };
    const auto of_residual = [&](const std::vector<double>& at) { return weighted(exact(c, x, at)); };
    EXPECT_NEAR(g.x.value[i], test::central_difference(of_x, x, i, kStep), kError);
    EXPECT_NEAR(g.sum.value[i], test::central_difference(of_residual, residual, i, kStep), kError);
  }
}

TEST_P(ResidualNormTest, SameBitsOnAnyNumberOfThreads) {
  const Case c = random_case(3 * dense::kResidualNormPiece + 5, 9, true, 0.25f);
  const auto one = make_context(1), three = make_context(3);
  const Outputs a = forward(*one, c), b = forward(*three, c);
  EXPECT_TRUE(test::same_bits(a.normed, b.normed));
  const Gradients da = backward(*one, c, a), db = backward(*three, c, b);
  EXPECT_TRUE(test::same_bits(da.x, db.x));
  EXPECT_TRUE(test::same_bits(da.weight, db.weight));
  EXPECT_TRUE(test::same_bits(da.bias, db.bias));
}

TEST_P(ResidualNormTest, RefusesWrongArguments) {
  Buffer<float> buffer(context(), 64);
  const auto m = [&](int64_t rows, int64_t cols) { return MatrixView<float>{buffer.data(), rows, cols}; };
  const auto v = [&](int64_t n) { return VectorView<float>{buffer.data(), n}; };
  dense::ResidualNormArgs good{m(4, 3), {}, v(3), v(3), 0.0f, {}, 0, m(4, 3), m(4, 3), m(4, 2)};
  const auto refused = [&](auto&& change) {
    dense::ResidualNormArgs args = good;
    change(args);
    EXPECT_THROW(dense::residual_norm(context(), args), UsageError);
  };
  refused([](auto& a) { a.rate = 1.0f; });
  refused([](auto& a) { a.first_row = -1; });
  refused([&](auto& a) { a.residual = m(3, 3); });
  refused([&](auto& a) { a.weight = v(4); });
  refused([&](auto& a) { a.normed = m(4, 2); });
  refused([&](auto& a) { a.moments = m(4, 1); });
  EXPECT_THROW(dense::residual_norm_backward(
                   context(), {m(4, 3), m(4, 2), v(3), m(4, 2), {}, 0.0f, {}, 0, m(4, 3), m(4, 3), v(3), v(3)}),
               UsageError);
  EXPECT_THROW(dense::residual_norm_backward(
                   context(), {m(4, 3), m(4, 2), v(3), m(4, 3), {}, -0.5f, {}, 0, m(4, 3), m(4, 3), v(3), v(3)}),
               UsageError);
}

SHEAF_ON_EVERY_BACKEND(ResidualNormTest);

}  // namespace
}  // namespace sheaf
