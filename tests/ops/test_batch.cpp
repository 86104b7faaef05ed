#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/sample/batch.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/sample.hpp"

namespace sheaf {
namespace {

struct Case {
  uint64_t seed = 9;
  uint32_t epoch = 0;
  int64_t n_negatives = 4;
  std::vector<int32_t> users, items;
  std::vector<float> weights;  // empty: none
  test::HostCsr taken;
  ref::AliasTable popularity;  // empty: uniform
  int64_t n_positives() const { return static_cast<int64_t>(users.size()); }
};

// Users 0 .. n_users - 1 each take up to max_taken items; every taken pair is a positive.
Case random_case(int64_t n_users, int64_t n_items, int64_t max_taken) {
  Case c;
  c.taken = test::random_csr(n_users, n_items, max_taken, 240, false);
  for (int32_t user = 0; user < n_users; ++user) {
    for (int64_t e = c.taken.row_offsets[static_cast<size_t>(user)];
         e < c.taken.row_offsets[static_cast<size_t>(user) + 1]; ++e) {
      c.users.push_back(user);
      c.items.push_back(c.taken.columns[static_cast<size_t>(e)]);
    }
  }
  return c;
}

// Positives of one user who has taken nothing: every draw is free.
Case free_case(int64_t n_positives, int64_t n_items, int64_t n_negatives) {
  Case c;
  c.n_negatives = n_negatives;
  c.users.assign(static_cast<size_t>(n_positives), 0);
  c.items.resize(static_cast<size_t>(n_positives));
  std::iota(c.items.begin(), c.items.end(), 0);
  c.taken.row_offsets = {0, 0};
  c.taken.n_columns = n_items;
  return c;
}

struct Batch {
  std::vector<int32_t> users, items;  // [n], [n, 1 + n_negatives]
  std::vector<float> weights;
  bool operator==(const Batch&) const = default;
  void append(const Batch& other) {
    users.insert(users.end(), other.users.begin(), other.users.end());
    items.insert(items.end(), other.items.begin(), other.items.end());
    weights.insert(weights.end(), other.weights.begin(), other.weights.end());
  }
};

Batch draw(Context& context, const Case& c, int64_t first, int64_t n_batch) {
  const Buffer<int32_t> users(context, c.users), items(context, c.items), alias_item(context, c.popularity.item);
  const Buffer<float> weights(context, c.weights), threshold(context, c.popularity.threshold);
  const test::DeviceCsr taken(context, c.taken);
  test::Guarded<int32_t> batch_users(context, n_batch), batch_items(context, n_batch * (1 + c.n_negatives));
  test::Guarded<float> batch_weights(context, c.weights.empty() ? 0 : n_batch);
  sample::batch(context, {.seed = c.seed,
                          .epoch = c.epoch,
                          .first_position = first,
                          .users = users.view(),
                          .items = items.view(),
                          .weights = weights.view(),
                          .taken = taken.view(),
                          .alias_threshold = threshold.view(),
                          .alias_item = alias_item.view(),
                          .batch_users = batch_users.view(),
                          .batch_items = batch_items.matrix(n_batch, 1 + c.n_negatives),
                          .batch_weights = batch_weights.view()});
  batch_users.expect_intact();
  batch_items.expect_intact();
  batch_weights.expect_intact();
  return {batch_users.to_host(), batch_items.to_host(), batch_weights.to_host()};
}

Batch draw_epoch(Context& context, const Case& c) { return draw(context, c, 0, c.n_positives()); }

// The items of column g, 0 the positives.
std::vector<int32_t> column(const Case& c, const Batch& batch, int64_t g) {
  std::vector<int32_t> items;
  for (size_t i = static_cast<size_t>(g); i < batch.items.size(); i += static_cast<size_t>(1 + c.n_negatives)) {
    items.push_back(batch.items[i]);
  }
  return items;
}

bool has_taken(const Case& c, int32_t user, int32_t item) {
  const auto row = static_cast<size_t>(user);
  return std::binary_search(c.taken.columns.begin() + c.taken.row_offsets[row],
                            c.taken.columns.begin() + c.taken.row_offsets[row + 1], item);
}

// Negatives of all columns, counted by item.
std::vector<int64_t> count_negatives(const Case& c, const Batch& batch) {
  std::vector<int64_t> counts(static_cast<size_t>(c.taken.n_columns));
  for (int64_t g = 1; g <= c.n_negatives; ++g) {
    for (const int32_t item : column(c, batch, g)) ++counts[static_cast<size_t>(item)];
  }
  return counts;
}

std::vector<double> times(std::vector<double> values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

class BatchTest : public test::OpTest {};

TEST_P(BatchTest, EveryPositiveOnceAnEpoch) {
  // Around the powers of four, where the permutation's domain grows.
  for (const int64_t n : {1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 63, 64, 65, 255, 256, 257, 1023, 1025, 5000}) {
    for (const uint32_t epoch : {0u, 1u, 7u}) {
      Case c = free_case(n, 10, 1);
      c.epoch = epoch;
      std::vector<int32_t> positives = column(c, draw_epoch(context(), c), 0);
      std::sort(positives.begin(), positives.end());
      EXPECT_EQ(positives, c.items) << n << " positives, epoch " << epoch;
    }
  }
}

TEST_P(BatchTest, UserItemAndWeightStayTogether) {
  Case c = random_case(50, 200, 12);
  for (int64_t i = 0; i < c.n_positives(); ++i) c.weights.push_back(static_cast<float>(i));  // tells the positive
  const Batch batch = draw_epoch(context(), c);
  const std::vector<int32_t> positives = column(c, batch, 0);
  for (size_t b = 0; b < positives.size(); ++b) {
    const auto index = static_cast<size_t>(batch.weights[b]);
    EXPECT_EQ(batch.users[b], c.users[index]);
    EXPECT_EQ(positives[b], c.items[index]);
  }
  Case unweighted = c;
  unweighted.weights.clear();
  const Batch same = draw_epoch(context(), unweighted);
  EXPECT_EQ(same.users, batch.users);
  EXPECT_EQ(same.items, batch.items);
  EXPECT_TRUE(same.weights.empty());
}

TEST_P(BatchTest, AnyBatchSizeGivesTheSameDraws) {
  Case c = random_case(60, 150, 10);
  c.weights = test::random_floats(c.n_positives(), 241);
  c.popularity = ref::alias_table(test::to_double(test::random_floats(150, 242, 0.1f, 3.0f)));
  const Batch whole = draw_epoch(context(), c);
  for (const int64_t size : {1, 31, 33, 128, 257}) {
    Batch joined;
    for (int64_t first = 0; first < c.n_positives(); first += size) {
      joined.append(draw(context(), c, first, std::min(size, c.n_positives() - first)));
    }
    EXPECT_TRUE(joined == whole) << "batches of " << size;
  }
  EXPECT_TRUE(draw(context(), c, c.n_positives(), 0) == Batch{}) << "nothing is left at the end";
}

TEST_P(BatchTest, MoreNegativesKeepTheFirstOnes) {
  Case few = random_case(40, 100, 10), many = few;
  few.n_negatives = 2;
  many.n_negatives = 33;
  const Batch a = draw_epoch(context(), few), b = draw_epoch(context(), many);
  for (int64_t g = 0; g <= 2; ++g) EXPECT_EQ(column(few, a, g), column(many, b, g)) << "column " << g;
  few.n_negatives = 0;
  EXPECT_EQ(draw_epoch(context(), few).items, column(many, b, 0));
}

TEST_P(BatchTest, SeedAndEpochChangeOrderAndNegatives) {
  const Case c = free_case(400, 1000, 3);
  const Batch first = draw_epoch(context(), c);
  Case other = c;
  other.epoch = 1;
  Case reseeded = c;
  reseeded.seed = 10;
  for (const Case& changed : {other, reseeded}) {
    const Batch batch = draw_epoch(context(), changed);
    for (int64_t g = 0; g <= 3; ++g) {
      const std::vector<int32_t> a = column(c, first, g), b = column(c, batch, g);
      int64_t same = 0;
      for (size_t i = 0; i < a.size(); ++i) same += a[i] == b[i];
      EXPECT_LT(same, 20) << "400 places, one in 400 or less expected to agree; column " << g;
    }
  }
}

TEST_P(BatchTest, NegativesWereNeverTaken) {
  // Users take at most 20 of 200 items: all 16 tries fail with probability 1e-16 at most.
  for (const bool popular : {false, true}) {
    Case c = random_case(300, 200, 20);
    if (popular) c.popularity = ref::alias_table(test::to_double(test::random_floats(200, 243, 0.9f, 1.1f)));
    const Batch batch = draw_epoch(context(), c);
    for (int64_t g = 1; g <= c.n_negatives; ++g) {
      const std::vector<int32_t> negatives = column(c, batch, g);
      for (size_t b = 0; b < negatives.size(); ++b) {
        ASSERT_GE(negatives[b], 0);
        ASSERT_LT(negatives[b], 200);
        EXPECT_FALSE(has_taken(c, batch.users[b], negatives[b])) << "user " << batch.users[b] << ", " << negatives[b];
      }
    }
  }
}

TEST_P(BatchTest, OnlyTakenDrawsAreDrawnAgain) {
  // The first try does not depend on what is taken, so a draw that was free before stays.
  Case c = random_case(80, 60, 20);
  Case nothing = c;
  nothing.taken.row_offsets.assign(81, 0);
  nothing.taken.columns.clear();
  const Batch first_tries = draw_epoch(context(), nothing), batch = draw_epoch(context(), c);
  int64_t redrawn = 0;
  for (size_t i = 0; i < batch.items.size(); ++i) {
    if (i % 5 == 0) continue;
    if (has_taken(c, batch.users[i / 5], first_tries.items[i])) {
      ++redrawn;
    } else {
      EXPECT_EQ(batch.items[i], first_tries.items[i]);
    }
  }
  EXPECT_GT(redrawn, 100);
}

TEST_P(BatchTest, TheLastDrawStandsWhenEverythingIsTaken) {
  Case c = free_case(500, 3, 2);
  c.taken.row_offsets = {0, 3};
  c.taken.columns = {0, 1, 2};
  const Batch batch = draw_epoch(context(), c);
  for (int64_t g = 1; g <= 2; ++g) {
    for (const int32_t item : column(c, batch, g)) {
      EXPECT_GE(item, 0);
      EXPECT_LT(item, 3);
    }
  }
  c.taken.n_columns = 1;
  c.taken.row_offsets = {0, 1};
  c.taken.columns = {0};
  EXPECT_EQ(count_negatives(c, draw_epoch(context(), c)), (std::vector<int64_t>{1000}));
}

TEST_P(BatchTest, OneFreeItemIsFound) {
  // One of two items is free: each slot misses it with probability 2^-16, so 2000 slots miss it 5 times at most.
  Case c = free_case(1000, 2, 2);
  for (const int32_t taken : {0, 1}) {
    c.taken.row_offsets = {0, 1};
    c.taken.columns = {taken};
    EXPECT_LE(count_negatives(c, draw_epoch(context(), c))[static_cast<size_t>(taken)], 5) << taken;
  }
}

TEST_P(BatchTest, UniformNegativesAreUniform) {
  for (const int64_t n_items : {2, 7, 100}) {
    const Case c = free_case(20000, n_items, 3);
    const std::vector<double> expected(static_cast<size_t>(n_items), 60000.0 / static_cast<double>(n_items));
    EXPECT_LT(test::chi_square(count_negatives(c, draw_epoch(context(), c)), expected),
              test::chi_square_limit(static_cast<double>(n_items - 1)))
        << n_items;
  }
}

TEST_P(BatchTest, NegativesAreUniformOverWhatIsNotTaken) {
  Case c = free_case(20000, 40, 3);
  c.taken.row_offsets = {0, 10};
  for (int32_t item = 0; item < 40; item += 4) c.taken.columns.push_back(item);
  std::vector<double> expected(40, 60000.0 / 30.0);
  for (const int32_t item : c.taken.columns) expected[static_cast<size_t>(item)] = 0.0;  // 60000 * 4^-16 misses
  EXPECT_LT(test::chi_square(count_negatives(c, draw_epoch(context(), c)), expected), test::chi_square_limit(29));
}

TEST_P(BatchTest, SlotsAreIndependent) {
  // Pairs of neighbours in one row, and of one slot in neighbouring rows, over 8 items: 64 cells each.
  const Case c = free_case(20000, 8, 2);
  const Batch batch = draw_epoch(context(), c);
  const std::vector<int32_t> one = column(c, batch, 1), two = column(c, batch, 2);
  std::vector<int64_t> in_row(64), in_column(64);
  for (size_t b = 0; b < one.size(); ++b) ++in_row[static_cast<size_t>(one[b] * 8 + two[b])];
  for (size_t b = 0; b + 1 < one.size(); b += 2) ++in_column[static_cast<size_t>(one[b] * 8 + one[b + 1])];
  EXPECT_LT(test::chi_square(in_row, std::vector<double>(64, 20000.0 / 64)), test::chi_square_limit(63));
  EXPECT_LT(test::chi_square(in_column, std::vector<double>(64, 10000.0 / 64)), test::chi_square_limit(63));
}

TEST_P(BatchTest, PopularNegativesFollowThePopularity) {
  std::vector<double> weights;
  for (int item = 0; item < 50; ++item) weights.push_back(std::pow(1.0 + item, -0.75));
  weights[20] = 0.0;  // never drawn
  Case c = free_case(20000, 50, 3);
  c.popularity = ref::alias_table(weights);
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<double> expected = times(weights, 60000.0 / total);
  const std::vector<double> table = times(ref::alias_probabilities(c.popularity), 60000.0);
  for (size_t i = 0; i < 50; ++i) ASSERT_NEAR(table[i], expected[i], 0.1) << "the table of the test itself";
  EXPECT_LT(test::chi_square(count_negatives(c, draw_epoch(context(), c)), expected), test::chi_square_limit(48));
}

TEST_P(BatchTest, PopularNegativesSkipWhatIsTaken) {
  const std::vector<double> weights{8, 4, 2, 1, 1, 4};
  Case c = free_case(20000, 6, 3);
  c.popularity = ref::alias_table(weights);
  c.taken.row_offsets = {0, 2};
  c.taken.columns = {1, 5};
  // The rest is in proportion. A slot ends on a taken item with probability 0.4^16 < 1e-6, so that 60000 slots may show
  // none.
  EXPECT_LT(test::chi_square(count_negatives(c, draw_epoch(context(), c)), times({8, 0, 2, 1, 1, 0}, 60000.0 / 12.0)),
            test::chi_square_limit(3));
}

TEST_P(BatchTest, EveryPositiveMayComeFirst) {
  // The first position over many epochs, where the domain is full (16) and where values are walked back into it (7,
  // 17).
  for (const int64_t n : {7, 16, 17}) {
    Case c = free_case(n, 5, 0);
    constexpr uint32_t kEpochs = 4000;
    std::vector<int64_t> counts(static_cast<size_t>(n));
    for (c.epoch = 0; c.epoch < kEpochs; ++c.epoch) ++counts[static_cast<size_t>(draw(context(), c, 0, 1).items[0])];
    const std::vector<double> expected(static_cast<size_t>(n), kEpochs / static_cast<double>(n));
    EXPECT_LT(test::chi_square(counts, expected), test::chi_square_limit(static_cast<double>(n - 1))) << n;
  }
}

TEST_P(BatchTest, TheOrderIsNotTheFilesOrder) {
  // Positives that stand together in the file are far apart in the epoch: the mean distance of a random order is n / 3.
  constexpr int64_t kCount = 10000;
  const Case c = free_case(kCount, 5, 0);
  const std::vector<int32_t> order = draw_epoch(context(), c).items;
  double distance = 0.0;
  for (size_t i = 1; i < order.size(); ++i) distance += std::abs(static_cast<double>(order[i]) - order[i - 1]);
  // |difference| / n has variance 1 / 18; five standard deviations of the mean, doubled since neighbours share a place.
  EXPECT_NEAR(distance / (kCount - 1) / kCount, 1.0 / 3.0, 10.0 * std::sqrt(1.0 / 18.0 / kCount));
}

TEST_P(BatchTest, SameDrawsOnEveryRunAndAnyThreads) {
  Case c = random_case(200, 300, 20);
  c.weights = test::random_floats(c.n_positives(), 244);
  const Batch first = draw_epoch(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_TRUE(draw_epoch(*make_context(threads), c) == first) << threads;
}

TEST_P(BatchTest, RefusesWrongArguments) {
  Buffer<int32_t> ints = Buffer<int32_t>::zeros(context(), 64);
  Buffer<float> floats = Buffer<float>::zeros(context(), 32);
  const test::DeviceCsr taken(context(), free_case(8, 5, 2).taken);
  int32_t* i = ints.data();
  float* f = floats.data();
  const sample::BatchArgs good{.first_position = 4,
                               .users = {i, 8},
                               .items = {i, 8},
                               .weights = {f, 8},
                               .taken = taken.view(),
                               .alias_threshold = {f, 5},
                               .alias_item = {i, 5},
                               .batch_users = {i + 16, 4},
                               .batch_items = {i + 32, 4, 3},
                               .batch_weights = {f + 16, 4}};
  EXPECT_NO_THROW(sample::batch(context(), good));
  const auto refuses = [&](const auto& spoil) {
    sample::BatchArgs bad = good;
    spoil(bad);
    EXPECT_THROW(sample::batch(context(), bad), UsageError);
  };
  refuses([](auto& a) { a.items.size = 7; });
  refuses([](auto& a) { a.weights.size = 7; });
  refuses([](auto& a) { a.batch_items.rows = 3; });
  refuses([](auto& a) { a.batch_items.cols = 0; });
  refuses([](auto& a) { a.batch_weights.size = 0; });
  refuses([](auto& a) { a.weights = {}; });
  refuses([](auto& a) { a.alias_threshold.size = 4; });
  refuses([](auto& a) { a.alias_item.size = 4; });
  refuses([](auto& a) { a.alias_item.size = 0; });
  refuses([](auto& a) { a.taken.n_columns = 0; });
  refuses([](auto& a) { a.first_position = 5; });
  refuses([](auto& a) { a.first_position = -1; });
}

SHEAF_ON_EVERY_BACKEND(BatchTest);

}  // namespace
}  // namespace sheaf
