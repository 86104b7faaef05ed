#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/train/pair_tables.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

using test::random_floats;

constexpr PairForm kForms[]{PairForm::dot, PairForm::sum};

Catalog featured_catalog() {
  Catalog catalog = test::plain_catalog(7);
  catalog.fields = {{"colour", 3, {0, 1, 2, 0, 1, 2, 0}}, {"size", 2, {1, 1, 1, 0, 0, 0, 0}}};
  return catalog;
}

/// With a number, missing for item 2, and vectors of two elements, missing for item 3.
Catalog numbered_catalog() {
  Catalog catalog = featured_catalog();
  catalog.numbers = {1, {1.5f, -0.5f, 0.0f, 0.25f, 2.0f, -1.0f, 0.125f}};
  catalog.vectors = {2, {0.6f, 0.8f, 0.0f, 1.0f, -1.0f, 0.0f, 0.0f, 0.0f, 0.8f, -0.6f, 0.5f, 0.25f, 0.3f, 0.1f}};
  return catalog;
}

/// The weight of entry e of item i's bag.
double weight_of(const HostCsr& bags, int64_t i, size_t e) {
  return bags.values.empty()
             ? 1.0
             : static_cast<double>(bags.values[static_cast<size_t>(bags.row_offsets[static_cast<size_t>(i)]) + e]);
}

/// Every parameter random, biases too.
void randomise(PairTables& tables, uint32_t seed) {
  for (Parameter* p : tables.parameters()) p->value.assign(random_floats(p->value.size(), seed++));
}

/// logit(u, i) by the definition of pair_tables.hpp in double. `magnitude` is the sum of the absolute values of its
/// terms.
struct Logit {
  double value = 0, magnitude = 0;
  void add(double term) {
    value += term;
    magnitude += std::abs(term);
  }
};
Logit defined_logit(const PairTables& tables, int64_t u, int64_t i) {
  Logit logit;
  const auto at = [&](const Parameter& p, int64_t row, int64_t column) {
    return static_cast<double>(p.value.to_host()[static_cast<size_t>(row * p.cols + column)]);
  };
  const bool is_sum = tables.form() == PairForm::sum;
  const auto bag = tables.host_item_bags().row(i);
  for (int64_t c = 0; c < tables.dim(); ++c) {
    const double user = at(tables.user_table, u, c);
    if (is_sum) logit.add(at(tables.w_user, 0, c) * user);
    for (size_t e = 0; e < bag.size(); ++e) {
      logit.add((is_sum ? at(tables.w_item, 0, c) : user) * weight_of(tables.host_item_bags(), i, e) *
                at(tables.item_table, bag[e], c));
    }
  }
  if (!is_sum) {
    logit.add(at(tables.user_bias, u, 0));
    for (size_t e = 0; e < bag.size(); ++e) {
      logit.add(weight_of(tables.host_item_bags(), i, e) * at(tables.item_bias, bag[e], 0));
    }
  }
  logit.add(at(tables.bias, 0, 0));
  return logit;
}

class PairTablesTest : public test::OpTest {
 protected:
  PairTables make(PairForm form, bool item_features, int64_t n_users = 5, int64_t dim = 6) {
    return PairTables(context(), form, n_users, dim, make_item_bags(featured_catalog(), item_features));
  }
};

TEST_P(PairTablesTest, ItemsAreTheirOwnRowAndThoseOfTheirFeatures) {
  const HostCsr plain = make_item_bags(featured_catalog(), false), bags = make_item_bags(featured_catalog(), true);
  EXPECT_EQ(plain.columns, (std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(plain.n_columns, 7);
  EXPECT_EQ(bags.n_columns, 7 + 3 + 2);
  EXPECT_EQ(bags.n_rows(), 7);
  EXPECT_EQ(make(PairForm::dot, true).item_bags().n_rows(), 12);
  for (int32_t i = 0; i < 7; ++i) {
    const auto row = bags.row(i);
    const auto fields = featured_catalog().fields;
    EXPECT_EQ(std::vector<int32_t>(row.begin(), row.end()),
              (std::vector<int32_t>{i, 7 + fields[0].codes[static_cast<size_t>(i)],
                                    10 + fields[1].codes[static_cast<size_t>(i)]}));
  }
}

TEST_P(PairTablesTest, NumbersAndVectorsAreRowsByTheirWeights) {
  const Catalog catalog = numbered_catalog();
  const HostCsr plain = make_item_bags(catalog, false), bags = make_item_bags(catalog, true);
  EXPECT_TRUE(plain.values.empty());
  EXPECT_EQ(plain.n_columns, 7);
  ASSERT_EQ(bags.n_columns, 7 + 3 + 2 + 1 + 2);
  ASSERT_EQ(bags.n_rows(), 7);
  for (size_t i = 0; i < 7; ++i) {
    std::vector<int32_t> columns{static_cast<int32_t>(i), 7 + catalog.fields[0].codes[i],
                                 10 + catalog.fields[1].codes[i]};
    std::vector<float> values(3, 1.0f);
    const auto add = [&](int32_t column, float value) {  // a missing one has no row
      if (value == 0.0f) return;
      columns.push_back(column);
      values.push_back(value);
    };
    add(12, catalog.numbers.values[i]);
    add(13, catalog.vectors.values[2 * i]);
    add(14, catalog.vectors.values[2 * i + 1]);
    const auto first = static_cast<size_t>(bags.row_offsets[i]), end = static_cast<size_t>(bags.row_offsets[i + 1]);
    EXPECT_EQ(std::vector<int32_t>(bags.columns.begin() + static_cast<std::ptrdiff_t>(first),
                                   bags.columns.begin() + static_cast<std::ptrdiff_t>(end)),
              columns);
    EXPECT_EQ(std::vector<float>(bags.values.begin() + static_cast<std::ptrdiff_t>(first),
                                 bags.values.begin() + static_cast<std::ptrdiff_t>(end)),
              values);
  }
}

TEST_P(PairTablesTest, StartsNormalFromItsSeed) {
  for (const PairForm form : kForms) {
    PairTables tables = make(form, true, 60, 50);
    tables.initialise(11);
    // Of n values with deviation 0.1, the mean is within 5 * 0.1 / sqrt(n), the variance within 5 * 0.01 * sqrt(2 / n).
    const std::vector<float> values = tables.user_table.value.to_host();
    const auto n = static_cast<double>(values.size());
    double mean = 0, variance = 0;
    for (const float x : values) mean += static_cast<double>(x) / n;
    for (const float x : values) variance += (static_cast<double>(x) - mean) * (static_cast<double>(x) - mean) / n;
    EXPECT_NEAR(mean, 0.0, 0.5 / std::sqrt(n));
    EXPECT_NEAR(variance, 0.01, 0.05 * std::sqrt(2.0 / n));
    EXPECT_EQ(tables.bias.value.to_host(), std::vector<float>{0.0f});
    if (form == PairForm::dot) {
      EXPECT_EQ(tables.user_bias.value.to_host(), std::vector<float>(60, 0.0f));
      EXPECT_EQ(tables.item_bias.value.to_host(), std::vector<float>(12, 0.0f));
    } else {
      EXPECT_NE(tables.w_user.value.to_host(), tables.w_item.value.to_host());
    }
    const auto of_seed = [&](uint64_t seed) {
      PairTables other = make(form, true, 60, 50);
      other.initialise(seed);
      return other.item_table.value.to_host();
    };
    EXPECT_TRUE(test::same_bits(of_seed(11), tables.item_table.value.to_host()));
    EXPECT_NE(of_seed(12), tables.item_table.value.to_host());
  }
}

TEST_P(PairTablesTest, NeedsUsersItemsAndDimensions) {
  const auto make_tables = [&](int64_t n_users, int64_t dim, int64_t n_items) {
    PairTables(context(), PairForm::sum, n_users, dim, make_item_bags(test::plain_catalog(n_items), false));
  };
  EXPECT_NO_THROW(make_tables(1, 1, 1));
  EXPECT_THROW(make_tables(0, 1, 1), DataError);
  EXPECT_THROW(make_tables(1, 0, 1), DataError);
  EXPECT_THROW(make_tables(1, 1, 0), DataError);
}

TEST_P(PairTablesTest, ItemVectorsAreTheSumsOfTheirBags) {
  PairTables tables(context(), PairForm::dot, 5, 6, make_item_bags(numbered_catalog(), true));
  randomise(tables, 30);
  const std::vector<float> rows = tables.item_table.value.to_host();
  const std::vector<float> vectors = tables.item_vectors(context()).to_host();
  ASSERT_EQ(vectors.size(), 7u * 6u);
  for (int64_t i = 0; i < 7; ++i) {
    for (int64_t c = 0; c < 6; ++c) {
      Logit sum;
      const auto bag = tables.host_item_bags().row(i);
      for (size_t e = 0; e < bag.size(); ++e) {
        sum.add(weight_of(tables.host_item_bags(), i, e) *
                static_cast<double>(rows[static_cast<size_t>(bag[e] * 6 + c)]));
      }
      // A product and a sum for each of six entries.
      EXPECT_NEAR(vectors[static_cast<size_t>(i * 6 + c)], sum.value, ref::sum_bound(2 * 6, sum.magnitude));
    }
  }
}

TEST_P(PairTablesTest, ScorersGiveTheDefinedLogits) {
  for (const PairForm form : kForms) {
    for (const bool item_features : {false, true}) {
      PairTables tables(context(), form, 5, 6, make_item_bags(numbered_catalog(), item_features));
      randomise(tables, 40);
      const LinearScorer scorer(context(), linear_parts(context(), tables));
      std::vector<int32_t> items;
      for (int32_t u = 0; u < 5; ++u) {
        for (int32_t i = 0; i < 7; ++i) items.push_back(i);
      }
      const std::vector<float> logits = pair_scores(context(), scorer, Queries::everyone(context(), 5), items, 7);
      for (int64_t u = 0; u < 5; ++u) {
        for (int64_t i = 0; i < 7; ++i) {
          const Logit expected = defined_logit(tables, u, i);
          // Six products and sums of a bag, a product and at most 2 * dim + 3 sums lie between a term and the logit.
          EXPECT_NEAR(logits[static_cast<size_t>(u * 7 + i)], expected.value,
                      ref::sum_bound(12 + 15, expected.magnitude))
              << static_cast<int>(form) << " user " << u << " item " << i;
        }
      }
    }
  }
}

TEST_P(PairTablesTest, PairScoresAreTheSameAcrossChunks) {
  // 2^16 pairs are scored at a time: 3 users of 30000 items are cut after two, and one user of 70000 is a chunk by
  // itself.
  PairTables tables = make(PairForm::dot, true);
  randomise(tables, 50);
  const LinearScorer scorer(context(), linear_parts(context(), tables));
  std::vector<float> alone;
  for (int32_t u = 0; u < 5; ++u) {
    const auto row = pair_scores(context(), scorer, Queries(context(), {u}), {0, 1, 2, 3, 4, 5, 6}, 7);
    alone.insert(alone.end(), row.begin(), row.end());
  }
  for (const int64_t group : {int64_t{1}, int64_t{30000}, int64_t{70000}}) {
    const std::vector<int32_t> users = test::random_ints(group == 1 ? 140000 : 3, 51, 0, 4);
    const auto n = static_cast<int64_t>(users.size());
    const std::vector<int32_t> items = test::random_ints(n * group, 52, 0, 6);
    const std::vector<float> logits = pair_scores(context(), scorer, Queries(context(), users), items, group);
    ASSERT_EQ(logits.size(), items.size());
    int64_t wrong = 0;
    for (size_t at = 0; at < logits.size(); ++at) {
      const int32_t user = users[at / static_cast<size_t>(group)];
      wrong += logits[at] == alone[static_cast<size_t>(user * 7 + items[at])] ? 0 : 1;
    }
    EXPECT_EQ(wrong, 0) << "of " << logits.size() << " in groups of " << group;
  }
  EXPECT_TRUE(pair_scores(context(), scorer, Queries(context(), std::vector<int32_t>{}), {}, 7).empty());
}

SHEAF_ON_EVERY_BACKEND(PairTablesTest);

}  // namespace
}  // namespace sheaf
