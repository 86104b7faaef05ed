#include "kernels/recurrent/recurrent.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/recurrent.hpp"

namespace sheaf {
namespace {

using recurrent::Cell;

struct RecurrentCase {
  Cell cell;
  int64_t dim;
  std::vector<int64_t> offsets;
  std::vector<float> x, weight, bias, d_out;

  int64_t n() const { return offsets.back(); }
  int64_t gates() const { return recurrent::n_gates(cell) * dim; }
  int64_t kept() const { return recurrent::n_kept(cell) * dim; }
};

std::vector<int64_t> offsets_of(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> offsets{0};
  for (const int64_t length : lengths) offsets.push_back(offsets.back() + length);
  return offsets;
}

/// `size` of the weights: up to 1 / dim a row's error hardly grows from step to step, so that its bound stays small.
RecurrentCase random_recurrent(Cell cell, int64_t dim, const std::vector<int64_t>& lengths, float size) {
  RecurrentCase c{cell, dim, offsets_of(lengths), {}, {}, {}, {}};
  c.x = test::random_floats(c.n() * c.gates(), 600, -2.0f, 2.0f);
  c.weight = test::random_floats(c.gates() * dim, 601, -size, size);
  if (cell == Cell::gru) c.bias = test::random_floats(dim, 602);
  c.d_out = test::random_floats(c.n() * dim, 603);
  return c;
}

ref::RecurrentProblem problem_of(const RecurrentCase& c) {
  return {c.cell == Cell::lstm, c.dim, c.offsets, test::to_double(c.weight), test::to_double(c.bias)};
}

struct RecurrentRun {
  std::vector<float> kept, out;
};

RecurrentRun forward_of(Context& context, const RecurrentCase& c, const std::vector<int32_t>& order = {}) {
  const Buffer<int64_t> offsets(context, c.offsets);
  const Buffer<int32_t> device_order(context, order);
  const Buffer<float> x(context, c.x), weight(context, c.weight), bias(context, c.bias);
  test::Guarded<float> kept(context, c.n() * c.kept()), out(context, c.n() * c.dim);
  recurrent::recurrent(context, {.shape = {c.cell, offsets.view(), device_order.view()},
                                 .x = x.matrix(c.n(), c.gates()),
                                 .weight = weight.matrix(c.gates(), c.dim),
                                 .bias = bias.view(),
                                 .kept = kept.matrix(c.n(), c.kept()),
                                 .out = out.matrix(c.n(), c.dim)});
  kept.expect_intact();
  out.expect_intact();
  return {kept.to_host(), out.to_host()};
}

struct RecurrentGradients {
  std::vector<float> x, weight, bias;
};

RecurrentGradients backward_of(Context& context, const RecurrentCase& c, const RecurrentRun& run,
                               const std::vector<int32_t>& order = {}) {
  const Buffer<int64_t> offsets(context, c.offsets);
  const Buffer<int32_t> device_order(context, order);
  const Buffer<float> weight(context, c.weight), kept(context, run.kept), out(context, run.out),
      d_out(context, c.d_out);
  test::Guarded<float> d_x(context, c.n() * c.gates()), d_weight(context, c.gates() * c.dim),
      d_bias(context, std::ssize(c.bias));
  recurrent::recurrent_backward(context, {.shape = {c.cell, offsets.view(), device_order.view()},
                                          .weight = weight.matrix(c.gates(), c.dim),
                                          .kept = kept.matrix(c.n(), c.kept()),
                                          .out = out.matrix(c.n(), c.dim),
                                          .d_out = d_out.matrix(c.n(), c.dim),
                                          .d_x = d_x.matrix(c.n(), c.gates()),
                                          .d_weight = d_weight.matrix(c.gates(), c.dim),
                                          .d_bias = d_bias.view()});
  for (const auto* guarded : {&d_x, &d_weight, &d_bias}) guarded->expect_intact();
  return {d_x.to_host(), d_weight.to_host(), d_bias.to_host()};
}

/// `largest`: a bound above it would hide a fault.
void expect_within(const std::vector<float>& got, const ref::Bounded& expected, const char* what,
                   double largest = 1e-3) {
  ASSERT_EQ(got.size(), expected.value.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_LT(expected.bound[i], largest * std::max(1.0, std::abs(expected.value[i]))) << what << ", element " << i;
    ASSERT_NEAR(got[i], expected.value[i], expected.bound[i]) << what << ", element " << i;
  }
}

void expect_recurrent(Context& context, const RecurrentCase& c, const std::vector<int32_t>& order = {}) {
  SCOPED_TRACE(testing::Message() << (c.cell == Cell::gru ? "gru" : "lstm") << " of " << c.dim << ", "
                                  << c.offsets.size() - 1 << " sequences, " << c.n() << " rows");
  const ref::RecurrentProblem problem = problem_of(c);
  const ref::RecurrentStates expected = ref::recurrent(problem, test::to_double(c.x));
  const RecurrentRun run = forward_of(context, c, order);
  expect_within(run.out, expected.out, "out");
  expect_within(run.kept, expected.kept, "kept");
  const ref::RecurrentGradients gradients =
      ref::recurrent_backward(problem, test::to_double(run.kept), test::to_double(run.out), test::to_double(c.d_out));
  const RecurrentGradients got = backward_of(context, c, run, order);
  expect_within(got.x, gradients.x, "d_x");
  // Worst case of sums over all rows; one row more or less is some 0.1.
  const double of_sums = std::max(1e-3, 2e-5 * static_cast<double>(c.n()));
  expect_within(got.weight, gradients.weight, "d_weight", of_sums);
  expect_within(got.bias, gradients.bias, "d_bias", of_sums);
}

class RecurrentTest : public test::OpTest {};

constexpr Cell kCells[] = {Cell::gru, Cell::lstm};

TEST_P(RecurrentTest, AgreesWithOracle) {
  for (const Cell cell : kCells) {
    for (const int64_t dim : {1, 2, 7, 31, 64, 65, 130}) {
      expect_recurrent(context(), random_recurrent(cell, dim, {3, 0, 1, 5}, 0.5f / static_cast<float>(dim)));
    }
    // Without and with empty sequences at the ends, more sequences than a piece of work or a block holds.
    expect_recurrent(context(), random_recurrent(cell, 5, {1}, 0.2f));
    expect_recurrent(context(), random_recurrent(cell, 5, {0, 0, 4, 0}, 0.2f));
    std::vector<int64_t> lengths;
    for (int64_t s = 0; s < 37; ++s) lengths.push_back(s * 5 % 7);
    expect_recurrent(context(), random_recurrent(cell, 6, lengths, 0.2f));
    // Weights as large as those of a model, over a few steps.
    expect_recurrent(context(), random_recurrent(cell, 16, {5, 2, 4}, 0.4f));
  }
}

TEST_P(RecurrentTest, LongSequences) {
  for (const Cell cell : kCells) expect_recurrent(context(), random_recurrent(cell, 3, {70, 2, 41, 0, 70}, 0.1f));
}

// Pieces of the sums over rows: one full, several and a rest.
TEST_P(RecurrentTest, ManyRows) {
  for (const Cell cell : kCells) {
    for (const int64_t n : {recurrent::kRecurrentPiece, 2 * recurrent::kRecurrentPiece + 5}) {
      std::vector<int64_t> lengths(static_cast<size_t>(n / 20), 20);
      lengths.push_back(n % 20);
      expect_recurrent(context(), random_recurrent(cell, 2, lengths, 0.2f));
    }
  }
}

// The order of the sequences changes nothing.
TEST_P(RecurrentTest, AnyOrderOfSequences) {
  for (const Cell cell : kCells) {
    const RecurrentCase c = random_recurrent(cell, 9, {2, 6, 0, 3, 1, 4}, 0.1f);
    const std::vector<int32_t> order{1, 5, 3, 0, 4, 2};
    expect_recurrent(context(), c, order);
    const RecurrentRun plain = forward_of(context(), c), ordered = forward_of(context(), c, order);
    EXPECT_TRUE(test::same_bits(plain.out, ordered.out));
    EXPECT_TRUE(test::same_bits(backward_of(context(), c, plain).x, backward_of(context(), c, plain, order).x));
  }
}

TEST_P(RecurrentTest, ByHand) {
  // sigma(0) = 1/2. gru: n = tanh(atanh(0.8) + 0) = 0.8, h = 0.4; then n = 0, h = 0.2.
  const float a = std::atanh(0.8f);
  const RecurrentCase gru{Cell::gru, 1, {0, 2}, {0, 0, a, 0, 0, 0}, {0, 0, 0}, {0}, {0, 1}};
  const RecurrentRun run = forward_of(context(), gru);
  EXPECT_NEAR(run.out[0], 0.4, 1e-6);
  EXPECT_NEAR(run.out[1], 0.2, 1e-6);
  // Of h_2 alone: d_n = 1/2 in the second row; z (1 - z) (h_1 - n) = 1/4 0.4; the first row gets 1/2 of it.
  const RecurrentGradients g = backward_of(context(), gru, run);
  const std::vector<double> d_x{0, 0.5 * 0.25 * -0.8, 0.25 * (1 - 0.64), 0, 0.1, 0.5};
  for (size_t i = 0; i < d_x.size(); ++i) EXPECT_NEAR(g.x[i], d_x[i], 1e-6) << i;
  // U_n of the second row sees h_1 through r = 1/2.
  EXPECT_NEAR(g.weight[2], 0.5 * 0.5 * 0.4, 1e-6);
  EXPECT_NEAR(g.bias[0], 0.5 * 0.5 + 0.5 * d_x[2], 1e-6);

  // lstm: c = 1/2 0.8 = 0.4, then 1/2 0.4 = 0.2; h = 1/2 tanh(c).
  const RecurrentCase lstm{Cell::lstm, 1, {0, 2}, {0, 0, a, 0, 0, 0, 0, 0}, {0, 0, 0, 0}, {}, {0, 1}};
  const RecurrentRun cells = forward_of(context(), lstm);
  EXPECT_NEAR(cells.kept[4], 0.4, 1e-6);
  EXPECT_NEAR(cells.kept[9], 0.2, 1e-6);
  EXPECT_NEAR(cells.out[1], 0.5 * std::tanh(0.2), 1e-6);
  const double d_c = 0.5 * (1 - std::tanh(0.2) * std::tanh(0.2));
  const RecurrentGradients of_cells = backward_of(context(), lstm, cells);
  EXPECT_NEAR(of_cells.x[4 + 1], d_c * 0.4 * 0.25, 1e-6);          // forget gate
  EXPECT_NEAR(of_cells.x[4 + 3], std::tanh(0.2) * 0.25, 1e-6);     // output gate
  EXPECT_NEAR(of_cells.x[2], 0.5 * d_c * 0.5 * (1 - 0.64), 1e-6);  // candidate of the first row
}

// The oracle itself: its gradients are the differences of its own forward pass.
TEST(RecurrentOracle, GradientsAgreeWithFiniteDifferences) {
  for (const Cell cell : kCells) {
    const RecurrentCase c = random_recurrent(cell, 3, {4, 0, 2}, 0.9f);
    const ref::RecurrentProblem problem = problem_of(c);
    const std::vector<double> x = test::to_double(c.x), d = test::to_double(c.d_out);
    const auto loss = [&](const ref::RecurrentProblem& of, const std::vector<double>& at) {
      const ref::RecurrentStates states = ref::recurrent(of, at);
      return std::inner_product(d.begin(), d.end(), states.out.value.begin(), 0.0);
    };
    const ref::RecurrentStates states = ref::recurrent(problem, x);
    const ref::RecurrentGradients g = ref::recurrent_backward(problem, states.kept.value, states.out.value, d);
    constexpr double kStep = 1e-5, kError = 1e-8;  // rounding 1e-16 / 1e-5, third derivatives times 1e-10
    for (size_t i = 0; i < x.size(); ++i) {
      const auto f = [&](const std::vector<double>& at) { return loss(problem, at); };
      EXPECT_NEAR(g.x.value[i], test::central_difference(f, x, i, kStep), kError);
    }
    const auto expect_of = [&](std::vector<double> ref::RecurrentProblem::*member, const ref::Bounded& expected) {
      for (size_t i = 0; i < expected.value.size(); ++i) {
        const auto f = [&](const std::vector<double>& at) {
          ref::RecurrentProblem moved = problem;
          moved.*member = at;
          return loss(moved, x);
        };
        EXPECT_NEAR(expected.value[i], test::central_difference(f, problem.*member, i, kStep), kError);
      }
    };
    expect_of(&ref::RecurrentProblem::weight, g.weight);
    expect_of(&ref::RecurrentProblem::bias, g.bias);
  }
}

TEST_P(RecurrentTest, NothingToDo) {
  for (const Cell cell : kCells) {
    for (const std::vector<int64_t>& lengths : {std::vector<int64_t>{}, std::vector<int64_t>{0, 0}}) {
      const RecurrentCase c = random_recurrent(cell, 3, lengths, 0.5f);
      const RecurrentRun run = forward_of(context(), c);
      EXPECT_TRUE(run.out.empty());
      const RecurrentGradients none = backward_of(context(), c, run);
      EXPECT_EQ(none.weight, std::vector<float>(static_cast<size_t>(c.gates() * 3), 0.0f));
      EXPECT_EQ(none.bias, std::vector<float>(c.bias.size(), 0.0f));
    }
  }
}

TEST_P(RecurrentTest, NanStaysInItsSequence) {
  for (const Cell cell : kCells) {
    RecurrentCase c = random_recurrent(cell, 4, {3, 4, 2}, 0.5f);
    c.x[static_cast<size_t>((c.offsets[1] + 1) * c.gates())] = std::numeric_limits<float>::quiet_NaN();
    const RecurrentRun run = forward_of(context(), c);
    const std::vector<float> d_x = backward_of(context(), c, run).x;
    for (int64_t r = 0; r < c.n(); ++r) {
      const bool own = r > c.offsets[1] && r < c.offsets[2];
      const auto has_nan = [&](const std::vector<float>& values, int64_t cols) {
        return std::any_of(values.begin() + r * cols, values.begin() + (r + 1) * cols,
                           [](float v) { return std::isnan(v); });
      };
      EXPECT_EQ(has_nan(run.out, c.dim), own) << "row " << r;
      EXPECT_EQ(has_nan(d_x, c.gates()), r >= c.offsets[1] && r < c.offsets[2]) << "row " << r;
    }
  }
}

TEST_P(RecurrentTest, LargeInputsSaturate) {
  for (const Cell cell : kCells) {
    RecurrentCase c = random_recurrent(cell, 2, {3}, 0.5f);
    for (size_t i = 0; i < c.x.size(); ++i) c.x[i] = i % 2 == 0 ? 1e30f : -1e30f;
    const RecurrentRun run = forward_of(context(), c);
    for (const float h : run.out) EXPECT_LE(std::abs(h), 1.0f);
    for (const float d : backward_of(context(), c, run).x) EXPECT_TRUE(std::isfinite(d));
  }
}

TEST_P(RecurrentTest, SameBitsOnAnyNumberOfThreads) {
  std::vector<int64_t> lengths;
  for (int64_t s = 0; s < 90; ++s) lengths.push_back(s * 11 % 30);
  const auto one = make_context(1), three = make_context(3);
  for (const Cell cell : kCells) {
    const RecurrentCase c = random_recurrent(cell, 10, lengths, 0.3f);
    const RecurrentRun run = forward_of(*one, c), again = forward_of(*three, c);
    EXPECT_TRUE(test::same_bits(run.out, again.out));
    EXPECT_TRUE(test::same_bits(run.kept, again.kept));
    const RecurrentGradients a = backward_of(*one, c, run), b = backward_of(*three, c, run);
    EXPECT_TRUE(test::same_bits(a.x, b.x));
    EXPECT_TRUE(test::same_bits(a.weight, b.weight));
    EXPECT_TRUE(test::same_bits(a.bias, b.bias));
  }
}

TEST_P(RecurrentTest, RefusesWrongShapes) {
  Buffer<float> buffer(context(), 512);
  const Buffer<int64_t> offsets(context(), std::vector<int64_t>{0, 3, 4});
  const Buffer<int32_t> order(context(), std::vector<int32_t>{0});
  const auto m = [&](int64_t rows, int64_t cols) { return MatrixView<float>{buffer.data(), rows, cols}; };
  const auto v = [&](int64_t n) { return VectorView<float>{buffer.data(), n}; };
  const recurrent::RecurrentArgs good{{Cell::gru, offsets.view()}, m(4, 6), m(6, 2), v(2), m(4, 8), m(4, 2)};
  const recurrent::RecurrentBackwardArgs back{
      {Cell::gru, offsets.view()}, m(6, 2), m(4, 8), m(4, 2), m(4, 2), m(4, 6), m(6, 2), v(2)};
  const auto refused = [&](const auto& change) {
    auto args = good;
    change(args);
    EXPECT_THROW(recurrent::recurrent(context(), args), UsageError);
  };
  const auto refused_back = [&](const auto& change) {
    auto args = back;
    change(args);
    EXPECT_THROW(recurrent::recurrent_backward(context(), args), UsageError);
  };
  refused([&](auto& a) { a.shape.offsets = {}; });
  refused([&](auto& a) { a.shape.order = order.view(); });
  refused([&](auto& a) { a.shape.cell = Cell::lstm; });
  refused([&](auto& a) { a.x = m(4, 8); });
  refused([&](auto& a) { a.weight = m(6, 3); });
  refused([&](auto& a) { a.bias = v(0); });
  refused([&](auto& a) { a.kept = m(4, 6); });
  refused([&](auto& a) { a.out = m(3, 2); });
  refused_back([&](auto& a) { a.shape.offsets = {}; });
  refused_back([&](auto& a) { a.shape.order = order.view(); });
  refused_back([&](auto& a) { a.weight = m(4, 2); });
  refused_back([&](auto& a) { a.kept = m(3, 8); });
  refused_back([&](auto& a) { a.d_out = m(4, 3); });
  refused_back([&](auto& a) { a.d_x = m(4, 8); });
  refused_back([&](auto& a) { a.d_weight = m(2, 6); });
  refused_back([&](auto& a) { a.d_bias = v(6); });
}

SHEAF_ON_EVERY_BACKEND(RecurrentTest);

}  // namespace
}  // namespace sheaf
