#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/activation.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/layers.hpp"

namespace sheaf {
namespace {

using dense::Activation;

constexpr std::array kKinds{Activation::relu, Activation::sigmoid, Activation::tanh, Activation::gelu};
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kDenormal = std::numeric_limits<float>::denorm_min();

std::string name_of(Activation kind) {
  constexpr const char* kNames[] = {"relu", "sigmoid", "tanh", "gelu"};
  return kNames[static_cast<int>(kind)];
}

// A guarded buffer whose matrix begins `shift` floats behind a 16-byte border.
class Shifted {
 public:
  Shifted(Context& context, std::vector<float> values, int64_t shift)
      : shift_(shift), buffer_(context, padded(values)) {}
  Shifted(Context& context, int64_t n, int64_t shift)
      : Shifted(context, std::vector<float>(static_cast<size_t>(n), kNan), shift) {}

  MatrixView<float> matrix(int64_t rows, int64_t cols) { return {buffer_.data() + shift_, rows, cols}; }
  std::vector<float> to_host() const {
    buffer_.expect_intact();
    const std::vector<float> all = buffer_.to_host();
    for (int64_t i = 0; i < shift_; ++i) EXPECT_EQ(all[static_cast<size_t>(i)], 77.0f) << "written before the matrix";
    return {all.begin() + shift_, all.end()};
  }

 private:
  std::vector<float> padded(std::vector<float> values) const {
    values.insert(values.begin(), static_cast<size_t>(shift_), 77.0f);
    return values;
  }

  int64_t shift_;
  test::Guarded<float> buffer_;
};

// Where each matrix begins, in floats behind a 16-byte border.
struct Shifts {
  int64_t in = 0, d_out = 0, out = 0;
};

std::vector<float> forward(Context& context, Activation kind, const std::vector<float>& x, int64_t rows, int64_t cols,
                           Shifts shifts = {}) {
  Shifted in(context, x, shifts.in), out(context, rows * cols, shifts.out);
  dense::activation(context, {kind, in.matrix(rows, cols), out.matrix(rows, cols)});
  EXPECT_TRUE(test::same_bits(in.to_host(), x)) << "x has changed";
  return out.to_host();
}

std::vector<float> forward(Context& context, Activation kind, const std::vector<float>& x) {
  return forward(context, kind, x, 1, static_cast<int64_t>(x.size()));
}

// `kept` is x for gelu and out for the others; what is not read is empty.
dense::ActivationBackwardArgs backward_args(Activation kind, MatrixView<const float> kept,
                                            MatrixView<const float> d_out, MatrixView<float> d_x) {
  dense::ActivationBackwardArgs args{.kind = kind, .d_out = d_out, .d_x = d_x};
  (kind == Activation::gelu ? args.x : args.out) = kept;
  return args;
}

std::vector<float> backward(Context& context, Activation kind, const std::vector<float>& kept,
                            const std::vector<float>& d_out, int64_t rows, int64_t cols, Shifts shifts = {}) {
  Shifted in(context, kept, shifts.in), d(context, d_out, shifts.d_out), d_x(context, rows * cols, shifts.out);
  dense::activation_backward(context,
                             backward_args(kind, in.matrix(rows, cols), d.matrix(rows, cols), d_x.matrix(rows, cols)));
  EXPECT_TRUE(test::same_bits(in.to_host(), kept)) << "x or out has changed";
  EXPECT_TRUE(test::same_bits(d.to_host(), d_out)) << "d_out has changed";
  return d_x.to_host();
}

std::vector<float> backward(Context& context, Activation kind, const std::vector<float>& kept,
                            const std::vector<float>& d_out) {
  return backward(context, kind, kept, d_out, 1, static_cast<int64_t>(kept.size()));
}

void expect_near(const std::vector<float>& got, const ref::Bounded& expected, const char* what) {
  ASSERT_EQ(got.size(), expected.value.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected.value[i], expected.bound[i]) << what << ", element " << i;
  }
}

void expect_right(Context& context, Activation kind, int64_t rows, int64_t cols, Shifts shifts = {}) {
  SCOPED_TRACE(testing::Message() << name_of(kind) << ", " << rows << " x " << cols << ", shifts " << shifts.in << " "
                                  << shifts.d_out << " " << shifts.out);
  const std::vector<float> x = test::random_floats(rows * cols, 500, -6.0f, 6.0f);
  const std::vector<float> d_out = test::random_floats(rows * cols, 501, -2.0f, 2.0f);
  const std::vector<float> out = forward(context, kind, x, rows, cols, shifts);
  expect_near(out, ref::activation(kind, test::to_double(x)), "out");
  const std::vector<float>& kept = kind == Activation::gelu ? x : out;
  expect_near(backward(context, kind, kept, d_out, rows, cols, shifts),
              ref::activation_backward(kind, test::to_double(kept), test::to_double(d_out)), "d_x");
}

// Every 9973rd of all finite floats, and the floats around 0, 1 and where the tails end.
std::vector<float> all_sorts() {
  std::vector<float> values;
  const auto add = [&](uint32_t bits) {
    const auto value = std::bit_cast<float>(bits);
    if (std::isfinite(value)) values.push_back(value);
  };
  for (uint64_t bits = 0; bits <= 0xffffffffu; bits += 9973) add(static_cast<uint32_t>(bits));
  for (const float place : {0x1.0p-126f, 0x1.0p-9f, 0.5f, 1.0f, 9.0f, 13.2f, 14.0f, 43.6f, 87.3f, 88.7f}) {
    for (uint32_t step = 0; step < 64; ++step) {
      for (const float sign : {1.0f, -1.0f}) add(std::bit_cast<uint32_t>(sign * place) + step - 32);
    }
  }
  return values;
}

// A unit in the last place of a float next to `value`.
double unit_of(double value) {
  int exponent;
  std::frexp(value, &exponent);
  return std::ldexp(1.0, std::max(exponent, -125) - 24);
}

class ActivationTest : public test::OpTest {};

TEST_P(ActivationTest, AgreesWithOracle) {
  for (const Activation kind : kKinds) {
    for (const int64_t n : {1, 2, 3, 4, 5, 31, 33, 255, 257, 1021, 1024, 1027}) expect_right(context(), kind, 1, n);
    expect_right(context(), kind, 7, 13);
    expect_right(context(), kind, 33, 1);
  }
}

// Around the pieces that a CPU thread takes, and several of them.
TEST_P(ActivationTest, LargeMatrices) {
  for (const Activation kind : kKinds) {
    for (const int64_t cols : {8191, 8192, 8193}) expect_right(context(), kind, 1, cols);
    expect_right(context(), kind, 129, 257);
  }
}

// Matrices that no access of four floats reaches.
TEST_P(ActivationTest, AnyAlignment) {
  for (const Activation kind : kKinds) {
    for (const Shifts shifts : {Shifts{1, 0, 0}, Shifts{0, 2, 0}, Shifts{0, 0, 3}, Shifts{1, 1, 1}}) {
      expect_right(context(), kind, 5, 7, shifts);
      expect_right(context(), kind, 4, 9, shifts);
    }
  }
}

TEST_P(ActivationTest, ByHand) {
  const std::vector<float> x{-2.0f, 0.0f, 3.0f}, d{5.0f, 7.0f, 11.0f};
  EXPECT_EQ(forward(context(), Activation::relu, x), (std::vector<float>{0, 0, 3}));
  EXPECT_EQ(backward(context(), Activation::relu, {0, 0, 3}, d), (std::vector<float>{0, 0, 11}));
  EXPECT_EQ(forward(context(), Activation::sigmoid, {0.0f}), (std::vector<float>{0.5f}));
  EXPECT_EQ(backward(context(), Activation::sigmoid, {0.5f, 0.25f}, {4.0f, 16.0f}), (std::vector<float>{1, 3}));
  EXPECT_EQ(backward(context(), Activation::tanh, {0.5f, 0.0f}, {4.0f, -1.0f}), (std::vector<float>{3, -1}));
  EXPECT_EQ(backward(context(), Activation::gelu, {0.0f}, {4.0f}), (std::vector<float>{2}));
  // Phi(1) = 0.8413447461 and the density there 0.2419707245, from tables.
  EXPECT_NEAR(forward(context(), Activation::gelu, {1.0f})[0], 0.8413447461, 7 * 0x1.0p-24);
  EXPECT_NEAR(forward(context(), Activation::gelu, {-1.0f})[0], -0.1586552539, 7 * 0x1.0p-26);
  EXPECT_NEAR(backward(context(), Activation::gelu, {1.0f}, {1.0f})[0], 1.0833154706, 5 * 0x1.0p-23);
  EXPECT_NEAR(forward(context(), Activation::tanh, {1.0f})[0], 0.7615941560, 3 * 0x1.0p-24);
}

TEST_P(ActivationTest, AsAccurateAsItSays) {
  const std::vector<float> x = all_sorts();
  const std::vector<double> exact_x = test::to_double(x);
  constexpr double kUnits[] = {0, 3, 3, 7}, kGradientUnits[] = {0, 3, 4, 5};
  for (const Activation kind : kKinds) {
    SCOPED_TRACE(name_of(kind));
    const auto k = static_cast<size_t>(kind);
    const std::vector<float> out = forward(context(), kind, x);
    const std::vector<double> right = ref::activation(kind, exact_x).value;
    for (size_t i = 0; i < x.size(); ++i) {
      const double limit = k == 0 ? 0.0 : kUnits[k] * unit_of(right[i]) + 0x1.0p-126;
      ASSERT_LE(std::abs(static_cast<double>(out[i]) - right[i]), limit) << "x = " << x[i];
    }
    const std::vector<float>& kept = kind == Activation::gelu ? x : out;
    std::vector<float> d(x.size());
    for (size_t i = 0; i < d.size(); ++i) d[i] = (i % 2 == 0 ? 1.0f : -1.0f) * (0.3f + static_cast<float>(i % 11));
    const std::vector<float> d_x = backward(context(), kind, kept, d);
    const std::vector<double> slope = ref::activation_backward(kind, test::to_double(kept), test::to_double(d)).value;
    for (size_t i = 0; i < x.size(); ++i) {
      const double v = exact_x[i], size = std::abs(static_cast<double>(d[i]));
      const double both =
          0.5 * std::erfc(-v / std::sqrt(2.0)) + std::abs(v) * std::exp(-0.5 * v * v) * 0.3989422804014327;
      const double scale = kind == Activation::gelu ? size * both : std::abs(slope[i]);
      const double limit = k == 0 ? 0.0 : kGradientUnits[k] * unit_of(scale) + 0x1.0p-123 * std::max(1.0, size);
      ASSERT_LE(std::abs(static_cast<double>(d_x[i]) - slope[i]), limit) << "at " << kept[i] << " of d " << d[i];
    }
  }
}

TEST_P(ActivationTest, SaturatesAtTheLimits) {
  const std::vector<float> x{-kInfinity, -1e30f, -120.0f, 120.0f, 1e30f, kInfinity};
  const std::vector<float> d(6, 3.0f);
  const std::vector<float> relu = forward(context(), Activation::relu, x);
  EXPECT_EQ(relu, (std::vector<float>{0, 0, 0, 120, 1e30f, kInfinity}));
  EXPECT_EQ(backward(context(), Activation::relu, relu, d), (std::vector<float>{0, 0, 0, 3, 3, 3}));
  const std::vector<float> sigmoid = forward(context(), Activation::sigmoid, x);
  EXPECT_EQ(sigmoid, (std::vector<float>{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(backward(context(), Activation::sigmoid, sigmoid, d), std::vector<float>(6, 0.0f));
  const std::vector<float> tanh = forward(context(), Activation::tanh, x);
  EXPECT_EQ(tanh, (std::vector<float>{-1, -1, -1, 1, 1, 1}));
  EXPECT_EQ(backward(context(), Activation::tanh, tanh, d), std::vector<float>(6, 0.0f));
  const std::vector<float> gelu = forward(context(), Activation::gelu, x);
  EXPECT_EQ(gelu, (std::vector<float>{0, 0, 0, 120, 1e30f, kInfinity}));
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(std::signbit(gelu[i])) << i;
  EXPECT_EQ(backward(context(), Activation::gelu, x, d), (std::vector<float>{0, 0, 0, 3, 3, 3}));
}

TEST_P(ActivationTest, KeepsTheSignOfZero) {
  const std::vector<float> zeros{0.0f, -0.0f};
  for (const Activation kind : {Activation::relu, Activation::tanh, Activation::gelu}) {
    EXPECT_TRUE(test::same_bits(forward(context(), kind, zeros), zeros)) << name_of(kind);
  }
  EXPECT_EQ(forward(context(), Activation::sigmoid, zeros), (std::vector<float>{0.5f, 0.5f}));
  EXPECT_EQ(backward(context(), Activation::relu, zeros, {1.0f, 1.0f}), (std::vector<float>{0, 0}));
  EXPECT_EQ(backward(context(), Activation::tanh, zeros, {1.0f, 1.0f}), (std::vector<float>{1, 1}));
  EXPECT_EQ(backward(context(), Activation::gelu, zeros, {1.0f, 1.0f}), (std::vector<float>{0.5f, 0.5f}));
}

TEST_P(ActivationTest, Denormals) {
  const std::vector<float> tiny{kDenormal, -kDenormal, 0x1.8p-130f, -0x1.8p-130f, 0x1.0p-127f};
  const std::vector<float> ones(5, 1.0f);
  EXPECT_EQ(forward(context(), Activation::relu, tiny),
            (std::vector<float>{kDenormal, 0, 0x1.8p-130f, 0, 0x1.0p-127f}));
  EXPECT_EQ(backward(context(), Activation::relu, tiny, ones), (std::vector<float>{1, 0, 1, 0, 1}));
  EXPECT_EQ(forward(context(), Activation::tanh, tiny), tiny);
  EXPECT_EQ(forward(context(), Activation::sigmoid, tiny), std::vector<float>(5, 0.5f));
  const std::vector<float> gelu = forward(context(), Activation::gelu, tiny);
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(gelu[i], 0.5 * static_cast<double>(tiny[i]), 0x1.0p-149) << i;
  EXPECT_EQ(backward(context(), Activation::sigmoid, tiny, ones), tiny);
}

TEST_P(ActivationTest, NaNStaysWithItsElement) {
  for (const Activation kind : kKinds) {
    SCOPED_TRACE(name_of(kind));
    std::vector<float> x = test::random_floats(37, 502, -2.0f, 2.0f);
    for (const size_t at : {0u, 9u, 36u}) x[at] = at == 9u ? -kNan : kNan;
    const std::vector<float> out = forward(context(), kind, x);
    const std::vector<float> d_x =
        backward(context(), kind, kind == Activation::gelu ? x : out, std::vector<float>(37, 1.0f));
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_EQ(std::isnan(out[i]), std::isnan(x[i])) << i;
      if (kind != Activation::relu) {
        EXPECT_EQ(std::isnan(d_x[i]), std::isnan(x[i])) << i;
      } else if (std::isnan(x[i])) {
        EXPECT_EQ(d_x[i], 0.0f) << i;
      }
    }
  }
}

TEST_P(ActivationTest, GradientsThatAreNotFinite) {
  const std::vector<float> d{kNan, kInfinity, -kInfinity};
  // No gradient passes an element that ReLU set to 0, whatever it is.
  EXPECT_EQ(backward(context(), Activation::relu, {0.0f, 0.0f, 0.0f}, d), (std::vector<float>{0, 0, 0}));
  for (const Activation kind : kKinds) {
    SCOPED_TRACE(name_of(kind));
    const std::vector<float> d_x = backward(context(), kind, {0.5f, 0.5f, 0.5f}, d);
    EXPECT_TRUE(std::isnan(d_x[0]));
    EXPECT_EQ(d_x[1], kInfinity);
    EXPECT_EQ(d_x[2], -kInfinity);
  }
  EXPECT_TRUE(std::isnan(backward(context(), Activation::sigmoid, {1.0f}, {kInfinity})[0]));
}

TEST_P(ActivationTest, InPlace) {
  for (const Activation kind : kKinds) {
    SCOPED_TRACE(name_of(kind));
    const std::vector<float> x = test::random_floats(23 * 41, 503, -4.0f, 4.0f);
    const std::vector<float> d_out = test::random_floats(23 * 41, 504);
    const std::vector<float> out = forward(context(), kind, x, 23, 41);
    test::Guarded<float> both(context(), x);
    dense::activation(context(), {kind, both.matrix(23, 41), both.matrix(23, 41)});
    both.expect_intact();
    EXPECT_TRUE(test::same_bits(both.to_host(), out));

    const std::vector<float>& kept = kind == Activation::gelu ? x : out;
    const std::vector<float> d_x = backward(context(), kind, kept, d_out, 23, 41);
    test::Guarded<float> in(context(), kept), d(context(), d_out);
    dense::activation_backward(context(), backward_args(kind, in.matrix(23, 41), d.matrix(23, 41), d.matrix(23, 41)));
    d.expect_intact();
    EXPECT_TRUE(test::same_bits(d.to_host(), d_x)) << "d_x = d_out";
    EXPECT_TRUE(test::same_bits(in.to_host(), kept));
    test::Guarded<float> d_again(context(), d_out);
    dense::activation_backward(context(),
                               backward_args(kind, in.matrix(23, 41), d_again.matrix(23, 41), in.matrix(23, 41)));
    in.expect_intact();
    EXPECT_TRUE(test::same_bits(in.to_host(), d_x)) << "d_x = x or out";
  }
}

TEST_P(ActivationTest, NothingToDo) {
  for (const Activation kind : kKinds) {
    EXPECT_TRUE(forward(context(), kind, {}, 0, 5).empty());
    EXPECT_TRUE(forward(context(), kind, {}, 5, 0).empty());
    EXPECT_TRUE(backward(context(), kind, {}, {}, 0, 5).empty());
    EXPECT_TRUE(backward(context(), kind, {}, {}, 5, 0).empty());
  }
}

TEST_P(ActivationTest, SameBitsOnEveryRunAndAnyThreads) {
  constexpr int64_t kRows = 101, kCols = 333;  // several pieces, the last one odd
  const std::vector<float> x = test::random_floats(kRows * kCols, 505, -9.0f, 9.0f);
  const std::vector<float> d_out = test::random_floats(kRows * kCols, 506);
  for (const Activation kind : kKinds) {
    SCOPED_TRACE(name_of(kind));
    const std::vector<float> out = forward(context(), kind, x, kRows, kCols);
    const std::vector<float>& kept = kind == Activation::gelu ? x : out;
    const std::vector<float> d_x = backward(context(), kind, kept, d_out, kRows, kCols);
    for (const int threads : {1, 2, 3}) {
      const auto other = make_context(threads);
      EXPECT_TRUE(test::same_bits(forward(*other, kind, x, kRows, kCols), out)) << threads;
      EXPECT_TRUE(test::same_bits(backward(*other, kind, kept, d_out, kRows, kCols), d_x)) << threads;
    }
  }
}

TEST_P(ActivationTest, TheOraclesGradientsAgreeWithFiniteDifferences) {
  for (const Activation kind : kKinds) {
    const std::vector<double> x{-3.1, -0.76, -0.2, 0.3, 1.1, 4.0}, d{1.0, -2.0, 0.5, 3.0, 1.5, -1.0};
    const auto weighted = [&](const std::vector<double>& at) {
      const std::vector<double> out = ref::activation(kind, at).value;
      return std::inner_product(out.begin(), out.end(), d.begin(), 0.0);
    };
    const std::vector<double> kept = kind == Activation::gelu ? x : ref::activation(kind, x).value;
    const std::vector<double> gradient = ref::activation_backward(kind, kept, d).value;
    for (size_t i = 0; i < x.size(); ++i) {
      // h^2 / 6 of a third derivative below 3, and rounding of a sum below 16 over 2 h.
      EXPECT_NEAR(gradient[i], test::central_difference(weighted, x, i, 1e-4), 3e-8) << name_of(kind) << " " << x[i];
    }
  }
}

TEST_P(ActivationTest, RefusesWrongArguments) {
  Buffer<float> buffer(context(), 64);
  const auto m = [&](int64_t rows, int64_t cols) { return MatrixView<float>{buffer.data(), rows, cols}; };
  EXPECT_THROW(dense::activation(context(), {Activation::relu, m(2, 3), m(3, 2)}), UsageError);
  EXPECT_THROW(dense::activation(context(), {Activation::relu, m(2, 3), m(2, 4)}), UsageError);
  EXPECT_THROW(dense::activation(context(), {static_cast<Activation>(4), m(2, 3), m(2, 3)}), UsageError);
  const auto refuses = [&](Activation kind, MatrixView<const float> x, MatrixView<const float> out,
                           MatrixView<float> d_x) {
    EXPECT_THROW(dense::activation_backward(context(), {kind, x, out, m(2, 3), d_x}), UsageError) << name_of(kind);
  };
  for (const Activation kind : kKinds) {
    refuses(kind, m(2, 3), m(2, 3), m(3, 2));
    refuses(kind, m(3, 2), m(2, 3), m(2, 3));
    refuses(kind, m(2, 3), m(3, 2), m(2, 3));
    if (kind == Activation::gelu) {
      refuses(kind, {}, m(2, 3), m(2, 3));
    } else {
      refuses(kind, m(2, 3), {}, m(2, 3));
    }
  }
  EXPECT_THROW(dense::activation_backward(context(), {static_cast<Activation>(9), m(2, 3), m(2, 3), m(2, 3), m(2, 3)}),
               UsageError);
}

SHEAF_ON_EVERY_BACKEND(ActivationTest);

}  // namespace
}  // namespace sheaf
