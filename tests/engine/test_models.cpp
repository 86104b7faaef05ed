#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/models/preference.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

using test::random_floats;

constexpr PreferenceKind kKinds[]{PreferenceKind::factorization, PreferenceKind::additive};

Catalog featured_catalog() {
  Catalog catalog = test::plain_catalog(7);
  catalog.fields = {{"colour", 3, {0, 1, 2, 0, 1, 2, 0}}, {"size", 2, {1, 1, 1, 0, 0, 0, 0}}};
  return catalog;
}

/// Every parameter random, biases too.
void randomise(PreferenceModel& model, uint32_t seed) {
  for (Parameter* p : model.parameters()) p->value.assign(random_floats(p->value.size(), seed++));
}

const std::vector<float>& table(const PreferenceState& state, const std::string& name) {
  const auto found = std::ranges::find(state.tables, name, &PreferenceState::Table::name);
  EXPECT_NE(found, state.tables.end()) << name;
  return found->values;
}

/// logit(u, i) by the definition of preference.hpp in double; `magnitude` is the sum of the absolute values of its terms.
struct Logit {
  double value = 0, magnitude = 0;
  void add(double term) {
    value += term;
    magnitude += std::abs(term);
  }
};
Logit defined_logit(const PreferenceState& state, int64_t u, int64_t i) {
  Logit logit;
  const auto at = [&](const char* name, int64_t row, int64_t column, int64_t cols) {
    return static_cast<double>(table(state, name)[static_cast<size_t>(row * cols + column)]);
  };
  const bool additive = state.kind == PreferenceKind::additive;
  for (int64_t c = 0; c < state.dim; ++c) {
    const double user = at("user_table", u, c, state.dim);
    if (additive) logit.add(at("w_user", 0, c, state.dim) * user);
    for (const int32_t row : state.item_bags.row(i)) {
      logit.add((additive ? at("w_item", 0, c, state.dim) : user) * at("item_table", row, c, state.dim));
    }
  }
  if (!additive) {
    logit.add(at("user_bias", u, 0, 1));
    for (const int32_t row : state.item_bags.row(i)) logit.add(at("item_bias", row, 0, 1));
  }
  logit.add(at("bias", 0, 0, 1));
  return logit;
}

class PreferenceModelTest : public test::OpTest {
 protected:
  PreferenceModel make(PreferenceKind kind, bool item_features, uint64_t seed = 3) {
    return PreferenceModel(context(), kind, 5, 6, featured_catalog(), item_features, seed);
  }
};

TEST_P(PreferenceModelTest, ItemsAreTheirOwnRowAndThoseOfTheirFeatures) {
  const HostCsr plain = make(PreferenceKind::factorization, false).state().item_bags;
  EXPECT_EQ(plain.columns, (std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(plain.n_columns, 7);
  const PreferenceModel model = make(PreferenceKind::factorization, true);
  const HostCsr bags = model.state().item_bags;
  EXPECT_EQ(bags.n_columns, 7 + 3 + 2);
  EXPECT_EQ(bags.n_rows(), 7);
  EXPECT_EQ(model.max_item_bag(), 3);
  for (int32_t i = 0; i < 7; ++i) {
    const auto row = bags.row(i);
    const auto fields = featured_catalog().fields;
    EXPECT_EQ(std::vector<int32_t>(row.begin(), row.end()),
              (std::vector<int32_t>{i, 7 + fields[0].codes[static_cast<size_t>(i)],
                                    10 + fields[1].codes[static_cast<size_t>(i)]}));
  }
}

TEST_P(PreferenceModelTest, StartsNormalFromItsSeed) {
  for (const PreferenceKind kind : kKinds) {
    PreferenceModel model(context(), kind, 60, 50, featured_catalog(), true, 11);
    const PreferenceState state = model.state();
    // Of n values with deviation 0.1, the mean is within 5 * 0.1 / sqrt(n), the variance within 5 * 0.01 * sqrt(2 / n).
    const auto& values = table(state, "user_table");
    const auto n = static_cast<double>(values.size());
    double mean = 0, variance = 0;
    for (const float x : values) mean += static_cast<double>(x) / n;
    for (const float x : values) variance += (static_cast<double>(x) - mean) * (static_cast<double>(x) - mean) / n;
    EXPECT_NEAR(mean, 0.0, 0.5 / std::sqrt(n));
    EXPECT_NEAR(variance, 0.01, 0.05 * std::sqrt(2.0 / n));
    EXPECT_EQ(table(state, "bias"), std::vector<float>{0.0f});
    if (kind == PreferenceKind::factorization) {
      EXPECT_EQ(table(state, "user_bias"), std::vector<float>(60, 0.0f));
      EXPECT_EQ(table(state, "item_bias"), std::vector<float>(12, 0.0f));
    } else {
      EXPECT_NE(table(state, "w_user"), table(state, "w_item"));
    }
    const auto of_seed = [&](uint64_t seed) {
      return table(PreferenceModel(context(), kind, 60, 50, featured_catalog(), true, seed).state(), "item_table");
    };
    EXPECT_TRUE(test::same_bits(of_seed(11), table(state, "item_table")));
    EXPECT_NE(of_seed(12), table(state, "item_table"));
  }
}

TEST_P(PreferenceModelTest, StateGivesBackTheSameModel) {
  for (const PreferenceKind kind : kKinds) {
    for (const bool item_features : {false, true}) {
      PreferenceModel model = make(kind, item_features);
      randomise(model, 20);
      model.set_calibration({1.25, 0.5, -3.5});
      const PreferenceState state = model.state();
      const PreferenceModel again(context(), state);
      const PreferenceState second = again.state();
      EXPECT_EQ(second.kind, kind);
      EXPECT_EQ(second.n_users, 5);
      EXPECT_EQ(second.n_items, 7);
      EXPECT_EQ(second.dim, 6);
      EXPECT_EQ(second.item_bags.columns, state.item_bags.columns);
      EXPECT_EQ(second.calibration.slope, 1.25);
      EXPECT_EQ(second.calibration.bias_slope, 0.5);
      EXPECT_EQ(second.calibration.offset, -3.5);
      EXPECT_EQ(again.max_item_bag(), item_features ? 3 : 1);
      ASSERT_EQ(second.tables.size(), 5u);
      for (size_t t = 0; t < 5; ++t) {
        EXPECT_EQ(second.tables[t].name, state.tables[t].name);
        EXPECT_TRUE(test::same_bits(second.tables[t].values, state.tables[t].values)) << state.tables[t].name;
      }
    }
  }
}

TEST_P(PreferenceModelTest, AStateThatDoesNotFitIsADataError) {
  const PreferenceState good = make(PreferenceKind::factorization, true).state();
  for (size_t t = 0; t < good.tables.size(); ++t) {
    PreferenceState lacking = good, wider = good;
    lacking.tables.erase(lacking.tables.begin() + static_cast<std::ptrdiff_t>(t));
    EXPECT_THROW(PreferenceModel(context(), lacking), DataError) << good.tables[t].name;
    wider.tables[t].cols += 1;
    wider.tables[t].values.resize(static_cast<size_t>(wider.tables[t].rows * wider.tables[t].cols));
    EXPECT_THROW(PreferenceModel(context(), wider), DataError) << good.tables[t].name;
  }
}

TEST_P(PreferenceModelTest, NeedsUsersItemsAndDimensions) {
  const auto make_model = [&](int64_t n_users, int64_t dim, int64_t n_items) {
    PreferenceModel(context(), PreferenceKind::additive, n_users, dim, test::plain_catalog(n_items), false, 1);
  };
  EXPECT_NO_THROW(make_model(1, 1, 1));
  EXPECT_THROW(make_model(0, 1, 1), DataError);
  EXPECT_THROW(make_model(1, 0, 1), DataError);
  EXPECT_THROW(make_model(1, 1, 0), DataError);
}

TEST_P(PreferenceModelTest, ItemVectorsAreTheSumsOfTheirBags) {
  PreferenceModel model = make(PreferenceKind::factorization, true);
  randomise(model, 30);
  const PreferenceState state = model.state();
  const std::vector<float> vectors = model.item_vectors(context()).to_host();
  ASSERT_EQ(vectors.size(), 7u * 6u);
  for (int64_t i = 0; i < 7; ++i) {
    for (int64_t c = 0; c < 6; ++c) {
      Logit sum;
      for (const int32_t row : state.item_bags.row(i)) {
        sum.add(static_cast<double>(table(state, "item_table")[static_cast<size_t>(row * 6 + c)]));
      }
      EXPECT_NEAR(vectors[static_cast<size_t>(i * 6 + c)], sum.value, ref::sum_bound(3, sum.magnitude));
    }
  }
}

TEST_P(PreferenceModelTest, ScorerGivesTheDefinedLogits) {
  for (const PreferenceKind kind : kKinds) {
    for (const bool item_features : {false, true}) {
      PreferenceModel model = make(kind, item_features);
      randomise(model, 40);
      model.set_calibration({0.5, 1.5, 2.0});
      const LinearScorer scorer = model.scorer(context());
      EXPECT_EQ(scorer.calibration.slope, 0.5);
      EXPECT_EQ(scorer.calibration.offset, 2.0);
      const PreferenceState state = model.state();
      std::vector<int32_t> users, items;
      for (int32_t u = 0; u < 5; ++u) {
        users.push_back(u);
        for (int32_t i = 0; i < 7; ++i) items.push_back(i);
      }
      const std::vector<float> logits = pair_logits(context(), scorer, users, items, 7);
      for (int64_t u = 0; u < 5; ++u) {
        for (int64_t i = 0; i < 7; ++i) {
          const Logit expected = defined_logit(state, u, i);
          // Three bag sums, a product and at most 2 * dim + 3 sums lie between a term and the logit.
          EXPECT_NEAR(logits[static_cast<size_t>(u * 7 + i)], expected.value,
                      ref::sum_bound(3 + 15, expected.magnitude))
              << to_string(kind) << " user " << u << " item " << i;
        }
      }
    }
  }
}

TEST_P(PreferenceModelTest, PairLogitsAreTheSameAcrossChunks) {
  // 2^16 pairs are scored at a time: 3 users of 30000 items are cut after two, and one user of 70000 is a chunk of its own.
  PreferenceModel model = make(PreferenceKind::factorization, true);
  randomise(model, 50);
  const LinearScorer scorer = model.scorer(context());
  std::vector<float> alone;
  for (int32_t u = 0; u < 5; ++u) {
    const auto row = pair_logits(context(), scorer, {u}, {0, 1, 2, 3, 4, 5, 6}, 7);
    alone.insert(alone.end(), row.begin(), row.end());
  }
  for (const int64_t group : {int64_t{1}, int64_t{30000}, int64_t{70000}}) {
    const std::vector<int32_t> users = test::random_ints(group == 1 ? 140000 : 3, 51, 0, 4);
    const auto n = static_cast<int64_t>(users.size());
    const std::vector<int32_t> items = test::random_ints(n * group, 52, 0, 6);
    const std::vector<float> logits = pair_logits(context(), scorer, users, items, group);
    ASSERT_EQ(logits.size(), items.size());
    int64_t wrong = 0;
    for (size_t at = 0; at < logits.size(); ++at) {
      const int32_t user = users[at / static_cast<size_t>(group)];
      wrong += logits[at] == alone[static_cast<size_t>(user * 7 + items[at])] ? 0 : 1;
    }
    EXPECT_EQ(wrong, 0) << "of " << logits.size() << " in groups of " << group;
  }
  EXPECT_TRUE(pair_logits(context(), scorer, {}, {}, 7).empty());
}

SHEAF_ON_EVERY_BACKEND(PreferenceModelTest);

TEST(PreferenceKindNames, GoBothWays) {
  for (const PreferenceKind kind : kKinds) EXPECT_EQ(parse_preference(to_string(kind)), kind);
  EXPECT_EQ(parse_preference(to_string(PreferenceKind::transformer)), PreferenceKind::transformer);
  EXPECT_THROW(parse_preference("Additive"), UsageError);
  EXPECT_THROW(parse_preference(""), UsageError);
}

}  // namespace
}  // namespace sheaf
