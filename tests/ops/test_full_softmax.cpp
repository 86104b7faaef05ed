#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/loss/full_softmax.hpp"
#include "kernels/loss/softmax_tile.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/loss.hpp"

namespace sheaf {
namespace {

struct Case {
  int64_t n_users, n_items, dim;
  std::vector<float> users, items, item_bias;
  test::HostCsr targets;
  float scale;
};

struct Shape {
  int64_t n_users, n_items, dim;
};

// Some users have no target.
Case random_case(int64_t n_users, int64_t n_items, int64_t dim, bool weighted) {
  return {n_users,
          n_items,
          dim,
          test::random_floats(n_users * dim, 300),
          test::random_floats(n_items * dim, 301),
          test::random_floats(n_items, 302),
          test::random_csr(n_users, n_items, 5, 303, weighted),
          0.37f};
}

struct Output {
  std::vector<float> d_users, d_items, d_item_bias;
  double loss;
  bool same_bits(const Output& other) const {
    return test::same_bits(d_users, other.d_users) && test::same_bits(d_items, other.d_items) &&
           test::same_bits(d_item_bias, other.d_item_bias) && loss == other.loss;
  }
};

constexpr int64_t kScoreBytes = loss::FullSoftmaxArgs{}.score_bytes;

// The op adds to the loss: it starts at `start`.
Output run(Context& context, const Case& c, double start = 0.0, int64_t score_bytes = kScoreBytes) {
  const Buffer<float> users(context, c.users), items(context, c.items), item_bias(context, c.item_bias);
  const test::DeviceCsr targets(context, c.targets);
  test::Guarded<float> d_users(context, c.n_users * c.dim), d_items(context, c.n_items * c.dim),
      d_item_bias(context, c.n_items);
  test::Guarded<double> loss(context, std::vector<double>{start});
  loss::full_softmax(context, {.users = users.matrix(c.n_users, c.dim),
                               .items = items.matrix(c.n_items, c.dim),
                               .item_bias = item_bias.view(),
                               .targets = targets.view(),
                               .scale = c.scale,
                               .d_users = d_users.matrix(c.n_users, c.dim),
                               .d_items = d_items.matrix(c.n_items, c.dim),
                               .d_item_bias = d_item_bias.view(),
                               .loss = loss.view(),
                               .score_bytes = score_bytes});
  d_users.expect_intact();
  d_items.expect_intact();
  d_item_bias.expect_intact();
  loss.expect_intact();
  return {d_users.to_host(), d_items.to_host(), d_item_bias.to_host(), loss.to_host()[0]};
}

ref::SoftmaxInput exact(const Case& c) {
  std::vector<double> weights = test::to_double(c.targets.values);
  weights.resize(c.targets.columns.size(), 1.0);
  return {c.n_users,
          c.n_items,
          c.dim,
          test::to_double(c.users),
          test::to_double(c.items),
          test::to_double(c.item_bias),
          c.targets.row_offsets,
          c.targets.columns,
          weights,
          c.scale};
}

void expect_near(const std::vector<float>& got, const ref::Bounded& expected, const char* what) {
  ASSERT_EQ(got.size(), expected.value.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], expected.value[i], expected.bound[i]) << what << ", element " << i;
  }
}

void expect_right(Context& context, const Case& c, int64_t score_bytes = kScoreBytes) {
  SCOPED_TRACE(testing::Message() << c.n_users << " users, " << c.n_items << " items, dim " << c.dim);
  const Output got = run(context, c, 0.0, score_bytes);
  const ref::SoftmaxOutput expected = ref::full_softmax(exact(c));
  EXPECT_NEAR(got.loss, expected.loss, expected.loss_bound);
  expect_near(got.d_users, expected.d_users, "d_users");
  expect_near(got.d_items, expected.d_items, "d_items");
  expect_near(got.d_item_bias, expected.d_item_bias, "d_item_bias");
}

class FullSoftmaxTest : public test::OpTest {};

TEST_P(FullSoftmaxTest, AgreesWithOracle) {
  for (const bool weighted : {false, true}) {
    for (const int64_t n_users : {0, 1, 15, 16, 17, 33}) expect_right(context(), random_case(n_users, 40, 7, weighted));
    for (const int64_t n_items : {1, 2, 15, 17, 255, 256, 257, 513}) {
      expect_right(context(), random_case(20, n_items, 5, weighted));
    }
    for (const int64_t dim : {0, 1, 15, 16, 17, 33, 100}) expect_right(context(), random_case(18, 35, dim, weighted));
  }
}

// Every number of users in the last block; a budget below one user's scores holds one user.
TEST_P(FullSoftmaxTest, SeveralBlocksOfUsers) {
  for (const int64_t n_users : {16, 17, 33}) {
    const Case c = random_case(n_users, 40, 5, true);
    for (const int64_t block : {0, 1, 7, 16}) {
      const int64_t score_bytes = block * c.n_items * static_cast<int64_t>(sizeof(float));
      loss::FullSoftmaxArgs shape;
      shape.score_bytes = score_bytes;
      shape.users.rows = c.n_users;
      shape.items.rows = c.n_items;
      ASSERT_EQ(loss::full_softmax_block(shape), std::max<int64_t>(block, 1));
      expect_right(context(), c, score_bytes);
    }
  }
}

// A grid has at most 65535 rows of blocks, so more tiles of items must go elsewhere. Fifty million threads: once is
// enough on the executor.
TEST_P(FullSoftmaxTest, MoreTilesOfItemsThanAGridIsHigh) {
  expect_right(context(), random_case(1, (int64_t{1} << 20) + 9, 1, true));
}

TEST_P(FullSoftmaxTest, ByHand) {
  // Equal scores: p is 1/4 everywhere; user 0 has no target, user 1 has two of weights 1 and 3, so W is 4.
  const Case c{2, 4, 2, {1, 2, 2, -1}, {0, 0, 0, 0, 0, 0, 0, 0}, {5, 5, 5, 5}, {{0, 0, 2}, {1, 3}, {1, 3}, 4}, 0.5f};
  const Output got = run(context(), c, 2.0);
  EXPECT_NEAR(got.loss, 2.0 + 0.5 * 4.0 * std::log(4.0), 0x1.0p-48);  // few double roundings of numbers below 32
  EXPECT_EQ(got.d_item_bias, (std::vector<float>{0.5f, 0.0f, 0.5f, -1.0f}));
  EXPECT_EQ(got.d_items, (std::vector<float>{1.0f, -0.5f, 0.0f, 0.0f, 1.0f, -0.5f, -2.0f, 1.0f}));
  EXPECT_EQ(got.d_users, (std::vector<float>(4, 0.0f)));
}

TEST_P(FullSoftmaxTest, UsersWithoutTargetsHaveNoGradient) {
  Case c = random_case(6, 300, 4, true);
  c.targets = {{0, 0, 1, 1, 1, 2, 2}, {7, 299}, {1.5f, 0.5f}, 300};
  const Output got = run(context(), c);
  for (const size_t u : {0, 2, 3, 5}) {
    for (size_t i = u * 4; i < u * 4 + 4; ++i) EXPECT_EQ(got.d_users[i], 0.0f) << i;
  }
  expect_right(context(), c);
  c.targets = {std::vector<int64_t>(7, 0), {}, {}, 300};
  const Output none = run(context(), c, 3.5);
  EXPECT_EQ(none.loss, 3.5);
  for (const auto* gradient : {&none.d_users, &none.d_items, &none.d_item_bias}) {
    for (const float g : *gradient) EXPECT_EQ(g, 0.0f);
  }
}

TEST_P(FullSoftmaxTest, NoUsersClearsTheItemsGradients) {
  const Output got = run(context(), random_case(0, 30, 3, false), 3.5);
  EXPECT_EQ(got.loss, 3.5);
  EXPECT_EQ(got.d_items, std::vector<float>(90, 0.0f));
  EXPECT_EQ(got.d_item_bias, std::vector<float>(30, 0.0f));
}

// Around the tiles of the CPU: products of 4 and 8 rows and of vectors of 4, 8 and 16 floats, 64 users, 128 and 256
// items.
constexpr Shape kTileShapes[] = {{1, 1, 1},     {1, 600, 9},   {130, 1, 5},   {63, 127, 3},   {64, 128, 4},
                                 {65, 129, 8},  {12, 255, 15}, {13, 256, 16}, {127, 257, 17}, {128, 511, 32},
                                 {129, 513, 2}, {9, 1040, 31}, {72, 271, 65}, {200, 385, 24}};

TEST_P(FullSoftmaxTest, RaggedTiles) {
  for (const auto& [n_users, n_items, dim] : kTileShapes)
    expect_right(context(), random_case(n_users, n_items, dim, true));
}

// The largest score so far rises in every tile, or only in one. By far, so that a sum that is not scaled is wrong.
TEST_P(FullSoftmaxTest, LargestScoreInAnyTile) {
  const int64_t n_items = 775;
  for (const float slope : {0.1f, -0.1f}) {
    Case c = random_case(20, n_items, 6, true);
    for (int64_t i = 0; i < n_items; ++i) c.item_bias[static_cast<size_t>(i)] += slope * static_cast<float>(i);
    expect_right(context(), c);
  }
  for (const int64_t item : {int64_t{0}, int64_t{255}, int64_t{256}, n_items - 1}) {
    Case c = random_case(20, n_items, 6, true);
    c.item_bias[static_cast<size_t>(item)] = 12.0f;
    expect_right(context(), c);
  }
}

// Scores of +-80 by the vectors: e^80 fits a float, the sum of some does not.
TEST_P(FullSoftmaxTest, ExtremeVectors) {
  for (const float extreme : {80.0f, 400.0f}) {
    Case c = random_case(30, 300, 4, true);
    for (size_t i = 0; i < c.users.size(); ++i) c.users[i] = i % 4 == 0 ? extreme * (i % 8 == 0 ? 1.0f : -1.0f) : 0.1f;
    for (size_t i = 0; i < c.items.size(); i += 4) c.items[i] = i % 12 == 0 ? 1.0f : i % 12 == 4 ? -1.0f : 0.5f;
    expect_right(context(), c);
  }
}

// As if the masked items were not there: of the whole first tile, of the last items, and of some in between.
TEST_P(FullSoftmaxTest, BiasOfMinusInfinityMasksAnItem) {
  const int64_t n_items = 600, dim = 5;
  const auto is_masked = [&](int64_t i) { return i < 260 || i % 7 == 3 || i > 590; };
  Case all = random_case(21, n_items, dim, true), seen = all;
  seen.items.clear();
  seen.item_bias.clear();
  std::vector<int32_t> place(static_cast<size_t>(n_items), -1);
  for (int64_t i = 0; i < n_items; ++i) {
    const auto at = static_cast<size_t>(i);
    if (is_masked(i)) {
      all.item_bias[at] = -std::numeric_limits<float>::infinity();
      continue;
    }
    place[at] = static_cast<int32_t>(seen.item_bias.size());
    seen.item_bias.push_back(all.item_bias[at]);
    seen.items.insert(seen.items.end(), all.items.begin() + i * dim, all.items.begin() + (i + 1) * dim);
  }
  seen.n_items = static_cast<int64_t>(seen.item_bias.size());
  test::HostCsr targets{{0}, {}, {}, n_items}, seen_targets{{0}, {}, {}, seen.n_items};
  for (size_t u = 0; u < 21; ++u) {
    for (auto e = static_cast<size_t>(all.targets.row_offsets[u]);
         e < static_cast<size_t>(all.targets.row_offsets[u + 1]); ++e) {
      const int32_t item = all.targets.columns[e];
      if (is_masked(item)) continue;
      targets.columns.push_back(item);
      targets.values.push_back(all.targets.values[e]);
      seen_targets.columns.push_back(place[static_cast<size_t>(item)]);
    }
    targets.row_offsets.push_back(static_cast<int64_t>(targets.columns.size()));
  }
  ASSERT_GT(targets.columns.size(), 10u);
  seen_targets.row_offsets = targets.row_offsets;
  seen_targets.values = targets.values;
  all.targets = targets;
  seen.targets = seen_targets;
  const Output got = run(context(), all);
  const ref::SoftmaxOutput expected = ref::full_softmax(exact(seen));
  EXPECT_NEAR(got.loss, expected.loss, expected.loss_bound);
  expect_near(got.d_users, expected.d_users, "d_users");
  Output of_seen;
  for (int64_t i = 0; i < n_items; ++i) {
    if (is_masked(i)) {
      EXPECT_EQ(got.d_item_bias[static_cast<size_t>(i)], 0.0f) << i;
      for (int64_t c = 0; c < dim; ++c) EXPECT_EQ(got.d_items[static_cast<size_t>(i * dim + c)], 0.0f) << i;
    } else {
      of_seen.d_item_bias.push_back(got.d_item_bias[static_cast<size_t>(i)]);
      of_seen.d_items.insert(of_seen.d_items.end(), got.d_items.begin() + i * dim, got.d_items.begin() + (i + 1) * dim);
    }
  }
  expect_near(of_seen.d_items, expected.d_items, "d_items");
  expect_near(of_seen.d_item_bias, expected.d_item_bias, "d_item_bias");
}

TEST_P(FullSoftmaxTest, ExtremeScoresStayFinite) {
  for (const float extreme : {80.0f, 500.0f, 1e6f}) {
    Case c = random_case(12, 70, 3, true);
    for (size_t i = 0; i < c.item_bias.size(); ++i) c.item_bias[i] = i % 2 ? extreme : -extreme;
    const Output got = run(context(), c);
    EXPECT_TRUE(std::isfinite(got.loss));
    expect_right(context(), c);
    for (float& bias : c.item_bias) bias = -extreme;  // all low: without the shift every exponential would vanish
    expect_right(context(), c);
  }
}

TEST_P(FullSoftmaxTest, GradientsAgreeWithFiniteDifferences) {
  const Case c = random_case(7, 9, 3, true);
  const ref::SoftmaxInput input = exact(c);
  const ref::SoftmaxOutput expected = ref::full_softmax(input);
  const Output got = run(context(), c);
  // Third derivatives along one coordinate are third central moments of values in [-1, 1], at most 8, times scale times
  // the weights (35 targets below 2); and double's rounding of a loss below 200 over 2h.
  constexpr double kStep = 1e-4, kSlack = kStep * kStep / 6.0 * 8.0 * 0.37 * 70.0 + 2000.0 * 0x1.0p-52 / (2.0 * kStep);
  const auto check = [&](std::vector<double> ref::SoftmaxInput::*part, const std::vector<float>& gradient,
                         const ref::Bounded& bounded, const char* what) {
    const auto loss = [&](const std::vector<double>& x) {
      ref::SoftmaxInput moved = input;
      moved.*part = x;
      return ref::full_softmax(moved).loss;
    };
    for (size_t i = 0; i < gradient.size(); ++i) {
      EXPECT_NEAR(gradient[i], test::central_difference(loss, input.*part, i, kStep), bounded.bound[i] + kSlack)
          << what << ", element " << i;
    }
  };
  check(&ref::SoftmaxInput::users, got.d_users, expected.d_users, "users");
  check(&ref::SoftmaxInput::items, got.d_items, expected.d_items, "items");
  check(&ref::SoftmaxInput::item_bias, got.d_item_bias, expected.d_item_bias, "item_bias");
}

TEST_P(FullSoftmaxTest, AddsToTheLoss) {
  const Case c = random_case(30, 50, 4, true);
  // One double addition, in another order.
  const double alone = run(context(), c).loss;
  EXPECT_NEAR(run(context(), c, 1000.0).loss, 1000.0 + alone, 32.0 * (1000.0 + alone) * 0x1.0p-52);
}

TEST_P(FullSoftmaxTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c = random_case(101, 700, 12, true);
  const Output first = run(context(), c);
  for (const int threads : {1, 2, 3, 7}) EXPECT_TRUE(run(*make_context(threads), c).same_bits(first)) << threads;
}

// On the CPU twice the users and twice the items take twice the memory, not four times; on a device a block of scores.
// The op takes this memory in one piece.
TEST_P(FullSoftmaxTest, ScratchDoesNotGrowWithUsersTimesItems) {
  constexpr int64_t kDim = 64, kTargets = 20, kFloat = sizeof(float);
  const auto scratch = [&](int64_t n_users, int64_t n_items) {
    loss::FullSoftmaxArgs shape;
    shape.users = {nullptr, n_users, kDim};
    shape.items = {nullptr, n_items, kDim};
    shape.targets.nnz = kTargets * n_users;
    return loss::full_softmax_scratch(context(), shape);
  };
  for (const int64_t n : {1024, 20000, 1000000}) {
    if (!context().on_cpu()) {
      EXPECT_LE(scratch(n, n), kScoreBytes + n * static_cast<int64_t>(sizeof(double))) << n;
      continue;
    }
    EXPECT_LE(scratch(2 * n, 2 * n), 2 * scratch(n, n)) << n;
    // Both tables once more, four floats of each user, target and item, and 256 KiB for each thread.
    const int64_t expected =
        kFloat * (2 * n * kDim + 4 * n * (kTargets + 2)) + context().n_threads() * (int64_t{1} << 18);
    EXPECT_LE(scratch(n, n), expected) << n;
  }
}

TEST_P(FullSoftmaxTest, RefusesWrongArguments) {
  Buffer<float> memory = Buffer<float>::zeros(context(), 128);
  Buffer<double> loss = Buffer<double>::zeros(context(), 2);
  const test::DeviceCsr targets(context(), {{0, 1, 2}, {0, 2}, {}, 3});
  float* m = memory.data();
  const loss::FullSoftmaxArgs good{.users = {m, 2, 4},
                                   .items = {m, 3, 4},
                                   .item_bias = {m, 3},
                                   .targets = targets.view(),
                                   .d_users = {m + 32, 2, 4},
                                   .d_items = {m + 64, 3, 4},
                                   .d_item_bias = {m + 96, 3},
                                   .loss = {loss.data(), 1}};
  EXPECT_NO_THROW(loss::full_softmax(context(), good));
  const auto refuses = [&](const auto& spoil) {
    loss::FullSoftmaxArgs bad = good;
    spoil(bad);
    EXPECT_THROW(loss::full_softmax(context(), bad), UsageError);
  };
  refuses([](auto& a) { a.items.cols = 3; });
  refuses([](auto& a) { a.item_bias.size = 2; });
  refuses([](auto& a) { a.targets.n_rows = 1; });
  refuses([](auto& a) { a.targets.n_columns = 4; });
  refuses([](auto& a) { a.d_users.rows = 3; });
  refuses([](auto& a) { a.d_users.cols = 3; });
  refuses([](auto& a) { a.d_items.rows = 2; });
  refuses([](auto& a) { a.d_items.cols = 5; });
  refuses([](auto& a) { a.d_item_bias.size = 4; });
  refuses([](auto& a) { a.loss.size = 2; });
  refuses([](auto& a) { a.loss.data = nullptr; });
  refuses([](auto& a) {  // no item
    a.items.rows = a.item_bias.size = a.targets.n_columns = a.d_items.rows = a.d_item_bias.size = 0;
  });
}

SHEAF_ON_EVERY_BACKEND(FullSoftmaxTest);

// The CPU's inner loops for each instruction set that this machine has. Those with fused multiply-adds have the same
// bits; all have the same on any number of threads.
TEST(SoftmaxTiles, EveryInstructionSetAgreesWithOracle) {
  const loss::cpu::SoftmaxTile* tiles[3];
  const int32_t n = loss::cpu::usable_softmax_tiles(tiles, 3);
  const Case c = random_case(101, 700, 12, true);
  std::vector<Output> outputs;
  for (int32_t i = 0; i < n; ++i) {
    SCOPED_TRACE(tiles[i]->name);
    setenv("SHEAF_SOFTMAX", tiles[i]->name, 1);
    EXPECT_EQ(&loss::cpu::softmax_tile(), tiles[i]);
    Context context({}, {.n_threads = 2, .poison_memory = true});
    for (const auto& [n_users, n_items, dim] : kTileShapes) {
      expect_right(context, random_case(n_users, n_items, dim, true));
    }
    outputs.push_back(run(context, c));
    for (const int threads : {1, 3, 7}) {
      Context other({}, {.n_threads = threads, .poison_memory = true});
      EXPECT_TRUE(run(other, c).same_bits(outputs.back())) << threads;
    }
  }
  // The last is the portable one.
  for (int32_t i = 1; i + 1 < n; ++i) EXPECT_TRUE(outputs[static_cast<size_t>(i)].same_bits(outputs[0])) << i;
  setenv("SHEAF_SOFTMAX", "abacus", 1);
  EXPECT_THROW(loss::cpu::softmax_tile(), UsageError);
  unsetenv("SHEAF_SOFTMAX");
}

}  // namespace
}  // namespace sheaf
