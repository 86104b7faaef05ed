#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "engine/bundles/column_generation.hpp"
#include "engine/scoring/linear_scorer.hpp"
#include "kernels/core/error.hpp"
#include "tests/engine/engine_data.hpp"

namespace sheaf {
namespace {

constexpr int64_t kUsers = 24, kItems = 14, kDim = 4;

/// Users who want much the same items, so that what is short is wanted by many.
class RunSearchTest : public test::OpTest {
 protected:
  void SetUp() override {
    OpTest::SetUp();
    if (IsSkipped()) return;
    catalog_ = test::plain_catalog(kItems);
    const auto prices = test::random_ints(kItems, 1, 1, 9);
    catalog_.price.assign(prices.begin(), prices.end());
    catalog_.category = test::random_ints(kItems, 2, 0, 4);
    params_.candidates = kItems;
    params_.min_categories = 1;
    params_.max_size = 3;
    params_.weight_preference = 0.3f;
    params_.weight_revenue = 0.05f;
    params_.search.seed = 5;
    params_.search.rounds = 4;
    LinearParts parts{.n_users = kUsers, .n_items = kItems, .dim = kDim};
    parts.users = Buffer<float>(context(), test::random_floats(kUsers * kDim, 3, -0.5f, 0.5f));
    parts.items = Buffer<float>(context(), test::random_floats(kItems * kDim, 4));
    parts.item_bias = Buffer<float>(context(), test::random_floats(kItems, 6, -2.0f, 1.0f));
    scorer_ = std::make_unique<LinearScorer>(context(), std::move(parts));
    vectors_ = test::random_floats(kItems * kDim, 7);
    device_vectors_ = Buffer<float>(context(), vectors_);
    for (int32_t u = 0; u < kUsers; ++u) users_.push_back(u);
  }
  SearchResult search(const SearchParams& params, const std::vector<int32_t>& users) {
    SearchSpace space(context(), catalog_, params);
    space.vectors = std::as_const(device_vectors_).matrix(kItems, kDim);
    return search_for_users(context(), *scorer_, space, params, users);
  }
  SearchCall all_users() {
    return [this](const SearchParams& params) { return search(params, users_); };
  }
  double probability(int64_t user, int32_t item, const SearchParams& params) {
    const float logit =
        pair_scores(context(), *scorer_, Queries(context(), {static_cast<int32_t>(user)}), {item}, 1).front();
    const double p = 1.0 / (1.0 + std::exp(-static_cast<double>(logit)));
    return std::min(1.0, p * (1.0 + static_cast<double>(params.uplift) * static_cast<double>(params.discount)));
  }
  /// F by its definition.
  double value(int64_t user, const std::vector<int32_t>& items, const SearchParams& params) {
    const auto v = [&](int32_t i, int64_t c) {
      return static_cast<double>(vectors_[static_cast<size_t>(i * kDim + c)]);
    };
    double sum = 0;
    for (const int32_t i : items) {
      const double price =
          (1.0 - static_cast<double>(params.discount)) * static_cast<double>(catalog_.price[static_cast<size_t>(i)]);
      sum += probability(user, i, params) *
             (static_cast<double>(params.weight_preference) + static_cast<double>(params.weight_revenue) * price);
      for (const int32_t j : items) {
        if (i == j) continue;
        double ij = 0, ii = 0, jj = 0;
        for (int64_t c = 0; c < kDim; ++c) {
          ij += v(i, c) * v(j, c);
          ii += v(i, c) * v(i, c);
          jj += v(j, c) * v(j, c);
        }
        sum += probability(user, i, params) * std::max(0.0, ij / std::sqrt(ii * jj));
      }
    }
    return sum;
  }
  /// All sets of two or three items.
  static std::vector<std::vector<int32_t>> all_sets() {
    std::vector<std::vector<int32_t>> sets;
    for (int32_t a = 0; a < kItems; ++a) {
      for (int32_t b = a + 1; b < kItems; ++b) {
        sets.push_back({a, b});
        for (int32_t c = b + 1; c < kItems; ++c) sets.push_back({a, b, c});
      }
    }
    return sets;
  }

  Catalog catalog_;
  SearchParams params_;
  std::unique_ptr<Scorer> scorer_;
  std::vector<float> vectors_;
  Buffer<float> device_vectors_;
  std::vector<int32_t> users_;
};

TEST_P(RunSearchTest, DiscountAndBundleAreTheBestPairThatKeepsTheMargin) {
  params_.uplift = 3.0f;
  params_.margin_floor = 0.2f;
  for (int64_t i = 0; i < kItems; ++i) {
    // Margins from a tenth to a half.
    params_.unit_cost.push_back(catalog_.price[static_cast<size_t>(i)] * (0.5f + 0.1f * static_cast<float>(i % 5)));
  }
  const std::vector<float> levels{0.0f, 0.1f, 0.3f};
  const std::vector<int32_t> some{0, 5, 11, 17};
  const SearchResult found = search_discounts([&](const SearchParams& p) { return search(p, some); }, params_, levels);
  ASSERT_EQ(found.bundles.size(), some.size());
  std::set<float> chosen;
  for (size_t s = 0; s < some.size(); ++s) {
    double best = -1;
    for (const float level : levels) {
      SearchParams at = params_;
      at.discount = level;
      for (const auto& items : all_sets()) {
        double paid = 0, cost = 0;
        for (const int32_t i : items) {
          paid += (1.0 - static_cast<double>(level)) * static_cast<double>(catalog_.price[static_cast<size_t>(i)]);
          cost += static_cast<double>(params_.unit_cost[static_cast<size_t>(i)]);
        }
        if ((paid - cost) / paid < 0.2 - 1e-6) continue;
        best = std::max(best, value(some[s], items, at));
      }
    }
    const Bundle& bundle = found.bundles[s];
    EXPECT_EQ(bundle.violation, 0.0f);
    EXPECT_NEAR(bundle.value, best, 1e-5) << "user " << some[s];
    SearchParams at = params_;
    at.discount = bundle.discount;
    EXPECT_NEAR(value(some[s], bundle.items, at), best, 1e-5);
    double margin = 0;
    for (const int32_t i : bundle.items) {
      margin += margin_weight(at, static_cast<double>(catalog_.price[static_cast<size_t>(i)]), i);
    }
    EXPECT_LE(margin, 1e-5);
    chosen.insert(bundle.discount);
  }
  EXPECT_FALSE(chosen.contains(0.0f));  // what it earns is more than what it costs
  params_.margin_floor = 0.9f;
  const SearchResult none = search_discounts(all_users(), params_, levels);
  for (const Bundle& bundle : none.bundles) EXPECT_GT(bundle.violation, 0.0f);
  EXPECT_NE(explain_infeasible(none.bundles[0], catalog_, params_, "EUR").find("its margin is"), std::string::npos);
  EXPECT_THROW(search_discounts(all_users(), params_, {}), UsageError);
}

TEST_P(RunSearchTest, UsersShareTheStockForNearlyWhatIsPossible) {
  const SearchResult alone = search(params_, users_);
  std::map<int32_t, int> wanted;
  double free_value = 0;
  for (const Bundle& bundle : alone.bundles) {
    free_value += static_cast<double>(bundle.value);
    for (const int32_t i : bundle.items) ++wanted[i];
  }
  const int most = std::ranges::max_element(wanted, {}, [](const auto& w) { return w.second; })->second;
  ASSERT_GT(most, 12) << "nothing would be short";

  PackingConstraints constraints;
  constraints.one_per_subject = true;
  constraints.stock.assign(kItems, 8);
  const auto demand = [](std::vector<Column>&, size_t) {};
  const ColumnGeneration together = generate_columns(all_users(), params_, constraints, kItems, demand);
  std::map<int32_t, int> sold;
  std::set<int64_t> served;
  double sum = 0;
  for (const Bundle& bundle : together.bundles) {
    EXPECT_TRUE(served.insert(bundle.subject).second);
    EXPECT_NEAR(bundle.value, value(bundle.subject, bundle.items, params_), 1e-4);
    sum += static_cast<double>(bundle.value);
    for (const int32_t i : bundle.items) ++sold[i];
  }
  for (const auto& [item, units] : sold) EXPECT_LE(units, 8) << "item " << item;
  EXPECT_NEAR(together.value, sum, 1e-4);
  EXPECT_LE(together.value, free_value + 1e-4);
  EXPECT_GE(together.value, 0.98 * together.bound);
  EXPECT_GT(together.n_rounds, 1);

  // First come, first served among the bundles that each would have alone.
  std::map<int32_t, int> left;
  for (int32_t i = 0; i < kItems; ++i) left[i] = 8;
  double first_come = 0;
  for (const Bundle& bundle : alone.bundles) {
    if (!std::ranges::all_of(bundle.items, [&](int32_t i) { return left[i] > 0; })) continue;
    for (const int32_t i : bundle.items) --left[i];
    first_come += static_cast<double>(bundle.value);
  }
  EXPECT_GT(together.value, 1.1 * first_come);

  // Enough of everything: what each would have alone.
  constraints.stock.assign(kItems, kUsers);
  const ColumnGeneration plenty = generate_columns(all_users(), params_, constraints, kItems, demand);
  EXPECT_NEAR(plenty.value, free_value, 1e-4);
  EXPECT_EQ(plenty.n_rounds, 1);
  constraints.stock.assign(kItems, 0);
  EXPECT_TRUE(generate_columns(all_users(), params_, constraints, kItems, demand).bundles.empty());
}

TEST_P(RunSearchTest, BeginsWithKnownBundlesAndIsNeverWorse) {
  // A search too short to be good, and one that begins with the best.
  SearchParams hasty = params_;
  hasty.search.rounds = 1;
  hasty.search.iterations = 1;
  hasty.search.local_searches = 1;
  const SearchResult cold = search(hasty, users_), best = search(params_, users_);
  size_t worse = 0;
  for (size_t u = 0; u < users_.size(); ++u) {
    worse += cold.bundles[u].value < best.bundles[u].value ? 1 : 0;
    hasty.known[users_[u]] = {{0, 1}, best.bundles[u].items};
  }
  EXPECT_GT(worse, 0u) << "the hasty search is good already";
  hasty.search.local_searches = 2;
  const SearchResult warm = search(hasty, users_);
  for (size_t u = 0; u < users_.size(); ++u) EXPECT_GE(warm.bundles[u].value, best.bundles[u].value) << u;

  // Known items that are no candidates of the user become some.
  SearchParams narrow = params_;
  narrow.candidates = 4;
  for (const int32_t u : users_) narrow.known[u] = {best.bundles[static_cast<size_t>(u)].items};
  const SearchResult kept = search(narrow, users_);
  for (size_t u = 0; u < users_.size(); ++u) EXPECT_GE(kept.bundles[u].value, best.bundles[u].value - 1e-6f) << u;
}

SHEAF_ON_EVERY_BACKEND(RunSearchTest);

}  // namespace
}  // namespace sheaf
