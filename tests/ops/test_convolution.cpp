#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/convolution.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/layers.hpp"

namespace sheaf {
namespace {

using dense::ConvolutionPooling;

struct Case {
  ref::ConvolutionShape shape;
  ConvolutionPooling pooling;
  std::vector<float> x, filters, bias, d_out;
  int64_t first_column = 0, n_columns = 0;  // of out and d_out
  std::vector<float> d_x_before = {};       // is added to, unless empty
};

Case random_case(const ref::ConvolutionShape& s, ConvolutionPooling pooling, int64_t before = 0, int64_t after = 0) {
  const int64_t n_columns = before + s.n_filters + after;
  return {s,
          pooling,
          test::random_floats(s.n * s.length * s.channels, 500),
          test::random_floats(s.n_filters * s.width * s.channels, 501),
          test::random_floats(s.n_filters, 502, -0.5f, 0.5f),
          test::random_floats(s.n * n_columns, 503),
          before,
          n_columns};
}

/// Columns first_column .. of rows of n_columns.
template <class T>
std::vector<T> own_columns(const Case& c, const std::vector<T>& values) {
  std::vector<T> own;
  for (int64_t r = 0; r < c.shape.n; ++r) {
    const auto from = values.begin() + r * c.n_columns + c.first_column;
    own.insert(own.end(), from, from + c.shape.n_filters);
  }
  return own;
}

struct Outputs {
  std::vector<float> hidden, out, all_columns;
  std::vector<int32_t> winner;
};

Outputs forward(Context& context, const Case& c) {
  const ref::ConvolutionShape& s = c.shape;
  const bool has_winner = c.pooling == ConvolutionPooling::max;
  const Buffer<float> x(context, c.x), filters(context, c.filters), bias(context, c.bias);
  test::Guarded<float> hidden(context, s.n * s.positions() * s.n_filters);
  test::Guarded<float> out(context, std::vector<float>(static_cast<size_t>(s.n * c.n_columns), -7.0f));
  test::Guarded<int32_t> winner(context, has_winner ? s.n * s.n_filters : 0);
  dense::convolution(context, {.x = x.matrix(s.n, s.length * s.channels),
                               .channels = s.channels,
                               .filters = filters.matrix(s.n_filters, s.width * s.channels),
                               .bias = bias.view(),
                               .pooling = c.pooling,
                               .hidden = hidden.matrix(s.n, s.positions() * s.n_filters),
                               .first_column = c.first_column,
                               .out = out.matrix(s.n, c.n_columns),
                               .winner = has_winner ? winner.matrix(s.n, s.n_filters) : MatrixView<int32_t>{}});
  hidden.expect_intact();
  out.expect_intact();
  winner.expect_intact();
  return {hidden.to_host(), own_columns(c, out.to_host()), out.to_host(), winner.to_host()};
}

struct Gradients {
  std::vector<float> d, x, filters, bias;
};

Gradients backward(Context& context, const Case& c, const Outputs& kept) {
  const ref::ConvolutionShape& s = c.shape;
  const bool has_winner = c.pooling == ConvolutionPooling::max;
  const Buffer<float> x(context, c.x), filters(context, c.filters), d_out(context, c.d_out);
  const Buffer<int32_t> winner(context, kept.winner);
  test::Guarded<float> hidden(context, kept.hidden), d_x(context, s.n * s.length * s.channels),
      d_x_before(context, c.d_x_before), d_filters(context, s.n_filters * s.width * s.channels),
      d_bias(context, s.n_filters);
  test::Guarded<float>& target = c.d_x_before.empty() ? d_x : d_x_before;
  dense::convolution_backward(context,
                              {.x = x.matrix(s.n, s.length * s.channels),
                               .channels = s.channels,
                               .filters = filters.matrix(s.n_filters, s.width * s.channels),
                               .pooling = c.pooling,
                               .hidden = hidden.matrix(s.n, s.positions() * s.n_filters),
                               .winner = has_winner ? winner.matrix(s.n, s.n_filters) : MatrixView<const int32_t>{},
                               .first_column = c.first_column,
                               .d_out = d_out.matrix(s.n, c.n_columns),
                               .add_to_d_x = !c.d_x_before.empty(),
                               .d_x = target.matrix(s.n, s.length * s.channels),
                               .d_filters = d_filters.matrix(s.n_filters, s.width * s.channels),
                               .d_bias = d_bias.view()});
  for (const auto* guarded : {&hidden, &target, &d_filters, &d_bias}) guarded->expect_intact();
  return {hidden.to_host(), target.to_host(), d_filters.to_host(), d_bias.to_host()};
}

void expect_near(const std::vector<float>& got, const ref::Sums& expected, const char* what) {
  ASSERT_EQ(got.size(), expected.value.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], expected.value[i], expected.bound(i)) << what << ", element " << i;
  }
}

void expect_right(Context& context, const Case& c) {
  const ref::ConvolutionShape& s = c.shape;
  SCOPED_TRACE(testing::Message() << s.n << " sequences of " << s.length << " x " << s.channels << ", " << s.n_filters
                                  << " filters of " << s.width
                                  << (c.pooling == ConvolutionPooling::max ? ", max" : ", mean"));
  const std::vector<double> x = test::to_double(c.x), filters = test::to_double(c.filters);
  const Outputs got = forward(context, c);
  ref::Sums hidden = ref::convolution(s, x, filters, test::to_double(c.bias));
  for (double& value : hidden.value) value = std::max(0.0, value);
  expect_near(got.hidden, hidden, "hidden");
  // The pooling is compared on the h that the op found, so that near ties have one winner. A maximum is one of them.
  const ref::Pooled pooled = ref::pooled(s, c.pooling, test::to_double(got.hidden));
  if (c.pooling == ConvolutionPooling::max) {
    EXPECT_EQ(got.winner, pooled.winner);
  }
  const double roundings = c.pooling == ConvolutionPooling::max ? 0.0 : static_cast<double>(s.positions() + 1);
  for (size_t i = 0; i < got.out.size(); ++i) {
    ASSERT_NEAR(got.out[i], pooled.value[i], roundings * test::kRound * pooled.magnitude[i]) << "out, element " << i;
  }
  for (size_t at = 0; at < got.all_columns.size(); ++at) {
    const int64_t column = static_cast<int64_t>(at) % c.n_columns - c.first_column;
    if (column < 0 || column >= s.n_filters) {
      ASSERT_EQ(got.all_columns[at], -7.0f) << "not its own column: " << at;
    }
  }
  const std::vector<double> d =
      ref::pooled_backward(s, c.pooling, test::to_double(got.hidden), test::to_double(own_columns(c, c.d_out)));
  ref::ConvolutionGradients expected = ref::convolution_backward(s, x, filters, d);
  for (size_t i = 0; i < c.d_x_before.size(); ++i) {
    expected.x.add(static_cast<int64_t>(i), static_cast<double>(c.d_x_before[i]));
  }
  const Gradients g = backward(context, c, got);
  ASSERT_EQ(g.d.size(), d.size());
  for (size_t i = 0; i < d.size(); ++i) ASSERT_EQ(static_cast<double>(g.d[i]), d[i]) << "D, element " << i;
  expect_near(g.x, expected.x, "d_x");
  expect_near(g.filters, expected.filters, "d_filters");
  expect_near(g.bias, expected.bias, "d_bias");
}

class ConvolutionTest : public test::OpTest {};

TEST_P(ConvolutionTest, AgreesWithOracle) {
  for (const ConvolutionPooling pooling : {ConvolutionPooling::max, ConvolutionPooling::mean}) {
    for (const int64_t n : {1, 2, 63, 65}) expect_right(context(), random_case({n, 5, 4, 3, 6}, pooling));
    for (const int64_t width : {1, 2, 6, 7}) expect_right(context(), random_case({9, 7, 3, width, 5}, pooling));
    for (const int64_t channels : {1, 17}) expect_right(context(), random_case({9, 4, channels, 2, 3}, pooling));
    for (const int64_t filters : {1, 65}) expect_right(context(), random_case({5, 3, 2, 2, filters}, pooling));
    expect_right(context(), random_case({6, 4, 3, 2, 5}, pooling, 3, 2));
    Case added = random_case({70, 4, 3, 2, 5}, pooling, 1, 0);
    added.d_x_before = test::random_floats(70 * 4 * 3, 504);
    expect_right(context(), added);
  }
}

// Pieces of the sums over rows: one full, one and a rest, several.
TEST_P(ConvolutionTest, ManyRows) {
  constexpr int64_t kPiece = dense::kConvolutionPiece;
  for (const int64_t n : {kPiece, kPiece + 1, 2 * kPiece + 5}) {
    expect_right(context(),
                 random_case({n, 3, 2, 2, 3}, n % 2 == 0 ? ConvolutionPooling::max : ConvolutionPooling::mean));
  }
}

TEST_P(ConvolutionTest, ByHand) {
  // Differences and sums of neighbours of (1, 3, 3, 2) and (-1, -2, -2, -2).
  Case c{{2, 4, 1, 2, 2}, ConvolutionPooling::max, {1, 3, 3, 2, -1, -2, -2, -2}, {-1, 1, 1, 1},
         {0, -2},         {1, 10, 2, 20}};
  c.n_columns = 2;
  const Outputs max = forward(context(), c);
  EXPECT_EQ(max.hidden, (std::vector<float>{2, 2, 0, 4, 0, 3, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(max.out, (std::vector<float>{2, 4, 0, 0}));
  EXPECT_EQ(max.winner, (std::vector<int32_t>{0, 1, 0, 0}));
  const Gradients g = backward(context(), c, max);
  EXPECT_EQ(g.d, (std::vector<float>{1, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(g.x, (std::vector<float>{-1, 11, 10, 0, 0, 0, 0, 0}));
  EXPECT_EQ(g.filters, (std::vector<float>{1, 3, 30, 30}));
  EXPECT_EQ(g.bias, (std::vector<float>{1, 10}));
  c.pooling = ConvolutionPooling::mean;
  c.d_out = {3, 6, 3, 6};
  const Outputs mean = forward(context(), c);
  EXPECT_EQ(mean.out, (std::vector<float>{2.0f / 3.0f, 3, 0, 0}));
  const Gradients m = backward(context(), c, mean);
  EXPECT_EQ(m.d, (std::vector<float>{1, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(m.x, (std::vector<float>{1, 5, 4, 2, 0, 0, 0, 0}));
}

// Of equal positions the lowest wins, and it alone has the gradient.
TEST_P(ConvolutionTest, TheLowestOfEqualPositionsWins) {
  Case c = random_case({3, 6, 2, 2, 40}, ConvolutionPooling::max);
  for (size_t i = 0; i < c.x.size(); ++i) c.x[i] = i / 2 % 6 < 3 ? 0.5f : 0.25f;  // 0.5 0.5 0.5 0.25 0.25 0.25
  expect_right(context(), c);
  const Outputs got = forward(context(), c);
  for (size_t i = 0; i < got.winner.size(); ++i) EXPECT_TRUE(got.winner[i] != 1 && got.winner[i] != 4) << i;
}

TEST_P(ConvolutionTest, ANaNIsTheMaximumAndTheMeanAndHasNoGradient) {
  for (const ConvolutionPooling pooling : {ConvolutionPooling::max, ConvolutionPooling::mean}) {
    Case c = random_case({2, 5, 1, 1, 1}, pooling);
    c.filters = {1};
    c.bias = {0};
    const float nan = std::numeric_limits<float>::quiet_NaN();
    c.x = {1, nan, 5, nan, 2, 1, 2, 3, 2, 1};
    const Outputs got = forward(context(), c);
    EXPECT_TRUE(std::isnan(got.out[0]));
    EXPECT_TRUE(std::isnan(got.hidden[1]));
    if (pooling == ConvolutionPooling::max) {
      EXPECT_EQ(got.winner, (std::vector<int32_t>{1, 2}));
    }
    const Gradients g = backward(context(), c, got);
    EXPECT_EQ(g.d[1], 0.0f);
    EXPECT_EQ(g.x[1], 0.0f);
    EXPECT_EQ(g.d[2], pooling == ConvolutionPooling::max ? 0.0f : c.d_out[0] / 5.0f);
  }
}

TEST_P(ConvolutionTest, NothingToDo) {
  const Case none = random_case({0, 4, 3, 2, 5}, ConvolutionPooling::max);
  const Gradients g = backward(context(), none, forward(context(), none));
  EXPECT_EQ(g.filters, std::vector<float>(30, 0.0f));
  EXPECT_EQ(g.bias, std::vector<float>(5, 0.0f));
  Case unfiltered = random_case({2, 4, 3, 2, 0}, ConvolutionPooling::mean, 1, 0);
  EXPECT_EQ(backward(context(), unfiltered, forward(context(), unfiltered)).x, std::vector<float>(24, 0.0f));
  unfiltered.d_x_before = test::random_floats(24, 505);
  EXPECT_EQ(backward(context(), unfiltered, forward(context(), unfiltered)).x, unfiltered.d_x_before);
}

TEST_P(ConvolutionTest, GradientsAgreeWithFiniteDifferences) {
  for (const ConvolutionPooling pooling : {ConvolutionPooling::max, ConvolutionPooling::mean}) {
    const Case c = random_case({3, 5, 2, 3, 4}, pooling);
    const ref::ConvolutionShape& s = c.shape;
    const std::vector<double> d_out = test::to_double(c.d_out), x = test::to_double(c.x),
                              filters = test::to_double(c.filters), bias = test::to_double(c.bias);
    const auto rectified = [&](const std::vector<double>& at_x, const std::vector<double>& at_filters,
                               const std::vector<double>& at_bias) {
      std::vector<double> hidden = ref::convolution(s, at_x, at_filters, at_bias).value;
      for (double& value : hidden) value = std::max(0.0, value);
      return hidden;
    };
    const auto weighted = [&](const std::vector<double>& hidden) {
      const std::vector<double> out = ref::pooled(s, pooling, hidden).value;
      return std::inner_product(out.begin(), out.end(), d_out.begin(), 0.0);
    };
    const ref::ConvolutionGradients g =
        ref::convolution_backward(s, x, filters, ref::pooled_backward(s, pooling, rectified(x, filters, bias), d_out));
    const Gradients got = backward(context(), c, forward(context(), c));
    // Piecewise linear: no error but rounding where no step crosses a kink; quotients of the mean are floats.
    constexpr double kStep = 1e-7, kError = 1e-6;
    const auto compare = [&](const std::vector<double>& at, const ref::Sums& oracle, const std::vector<float>& values,
                             const auto& f) {
      for (size_t i = 0; i < at.size(); ++i) {
        const double difference = test::central_difference(f, at, i, kStep);
        EXPECT_NEAR(oracle.value[i], difference, kError) << i;
        EXPECT_NEAR(values[i], difference, kError + oracle.bound(i)) << i;
      }
    };
    compare(x, g.x, got.x, [&](const auto& at) { return weighted(rectified(at, filters, bias)); });
    compare(filters, g.filters, got.filters, [&](const auto& at) { return weighted(rectified(x, at, bias)); });
    compare(bias, g.bias, got.bias, [&](const auto& at) { return weighted(rectified(x, filters, at)); });
  }
}

TEST_P(ConvolutionTest, SameBitsOnAnyNumberOfThreads) {
  const Case c = random_case({dense::kConvolutionPiece + 77, 4, 3, 2, 7}, ConvolutionPooling::max);
  const auto one = make_context(1), three = make_context(3);
  const Outputs out = forward(*one, c), again = forward(*three, c);
  EXPECT_TRUE(test::same_bits(out.hidden, again.hidden));
  EXPECT_TRUE(test::same_bits(out.out, again.out));
  const Gradients a = backward(*one, c, out), b = backward(*three, c, out);
  EXPECT_TRUE(test::same_bits(a.x, b.x));
  EXPECT_TRUE(test::same_bits(a.filters, b.filters));
  EXPECT_TRUE(test::same_bits(a.bias, b.bias));
}

TEST_P(ConvolutionTest, RefusesWrongShapes) {
  Buffer<float> floats(context(), 256);
  Buffer<int32_t> ids(context(), 256);
  const auto m = [&](int64_t rows, int64_t cols) { return MatrixView<float>{floats.data(), rows, cols}; };
  const auto v = [&](int64_t n) { return VectorView<float>{floats.data(), n}; };
  const auto w = [&](int64_t rows, int64_t cols) { return MatrixView<int32_t>{ids.data(), rows, cols}; };
  // 4 sequences of 3 x 2, 5 filters of 2: two positions
  const dense::ConvolutionArgs good{.x = m(4, 6),
                                    .channels = 2,
                                    .filters = m(5, 4),
                                    .bias = v(5),
                                    .pooling = ConvolutionPooling::max,
                                    .hidden = m(4, 10),
                                    .first_column = 1,
                                    .out = m(4, 6),
                                    .winner = w(4, 5)};
  const auto refused = [&](const auto& change) {
    dense::ConvolutionArgs args = good;
    change(args);
    EXPECT_THROW(dense::convolution(context(), args), UsageError);
  };
  refused([](auto& args) { args.channels = 0; });
  refused([](auto& args) { args.channels = 4; });                               // x is no sequence
  refused([&](auto& args) { args.filters = m(5, 3); });                         // no whole width
  refused([&](auto& args) { args.filters = m(5, 8), args.hidden = m(4, 0); });  // wider than the sequence
  refused([&](auto& args) { args.filters = m(5, 0); });
  refused([&](auto& args) { args.bias = v(4); });
  refused([&](auto& args) { args.hidden = m(4, 5); });
  refused([](auto& args) { args.first_column = 2; });
  refused([](auto& args) { args.first_column = -1; });
  refused([&](auto& args) { args.out = m(3, 6); });
  refused([&](auto& args) { args.winner = w(4, 4); });
  refused([](auto& args) { args.pooling = ConvolutionPooling::mean; });
  const dense::ConvolutionBackwardArgs back{.x = m(4, 6),
                                            .channels = 2,
                                            .filters = m(5, 4),
                                            .pooling = ConvolutionPooling::max,
                                            .hidden = m(4, 10),
                                            .winner = w(4, 5),
                                            .d_out = m(4, 5),
                                            .d_x = m(4, 6),
                                            .d_filters = m(5, 4),
                                            .d_bias = v(5)};
  const auto refused_back = [&](const auto& change) {
    dense::ConvolutionBackwardArgs args = back;
    change(args);
    EXPECT_THROW(dense::convolution_backward(context(), args), UsageError);
  };
  refused_back([&](auto& args) { args.hidden = m(4, 9); });
  refused_back([](auto& args) { args.first_column = 1; });
  refused_back([&](auto& args) { args.d_out = m(5, 5); });
  refused_back([&](auto& args) { args.d_x = m(4, 4); });
  refused_back([&](auto& args) { args.d_filters = m(5, 6); });
  refused_back([&](auto& args) { args.d_bias = v(6); });
  refused_back([](auto& args) { args.winner = {}; });
}

SHEAF_ON_EVERY_BACKEND(ConvolutionTest);

}  // namespace
}  // namespace sheaf
