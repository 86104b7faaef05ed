#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/bundles/bundle_search.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "tests/engine/bundle_world.hpp"

namespace sheaf {
namespace {

using test::kDim;
using test::kEveryone;
using test::kUsers;

bool holds(const Bundle& bundle, int32_t item) { return std::ranges::binary_search(bundle.items, item); }

class BundleSearchTest : public test::BundleWorldTest {};

TEST_P(BundleSearchTest, FindsTheOptimumOfASmallCatalog) {
  make_world(13);
  expect_optimal(for_users(kEveryone), kEveryone);
  params_.weight_preference = 0.25f;
  params_.weight_revenue = 0.125f;
  params_.budget = 15;
  params_.min_size = 3;
  params_.max_size = 5;
  params_.min_categories = 3;
  params_.must_have = {2};
  params_.forbidden = {0, 7};
  expect_optimal(for_users(kEveryone), kEveryone);
}

TEST(BudgetLimit, IsExactForWholePricesAndHoldsCents) {
  const auto fits = [](double budget, std::initializer_list<float> prices) {
    double sum = 0.0;
    for (const float price : prices) sum += static_cast<double>(price);
    SearchParams params;
    params.budget = budget;
    return sum <= budget_limit(params);
  };
  EXPECT_TRUE(fits(10.0, {2.99f, 7.01f}));
  EXPECT_FALSE(fits(10.0, {2.99f, 7.02f}));
  EXPECT_TRUE(fits(1e7, {9999999.0f, 1.0f}));
  EXPECT_FALSE(fits(1e7, {10000000.0f, 1.0f}));
  EXPECT_FALSE(fits(16777217.0, {16777216.0f, 2.0f}));
  EXPECT_TRUE(fits(16777217.0, {16777216.0f, 1.0f}));
}

TEST_P(BundleSearchTest, FindsTheOptimumOfASparseAssociation) {
  make_world(13);
  sparse_association_ =
      test::engine_csr(test::random_csr(13, 13, 5, 8, true));  // not symmetric: the larger entry counts
  params_.budget = 18;
  expect_optimal(for_users(kEveryone), kEveryone);
}

TEST_P(BundleSearchTest, OnlyTheItemsThatScoreHighestAreCandidates) {
  make_world(40);
  params_.candidates = 6;
  const SearchResult found = for_users(kEveryone);
  for (const Bundle& bundle : found.bundles) {
    std::vector<double> scores;
    for (int64_t i = 0; i < n_items_; ++i) scores.push_back(logit(bundle.subject, i));
    std::vector<double> sorted = scores;
    std::ranges::sort(sorted, std::ranges::greater{});
    for (const int32_t item : bundle.items) EXPECT_GE(scores[static_cast<size_t>(item)], sorted[5]) << bundle.subject;
  }
}

TEST_P(BundleSearchTest, ConstraintsHoldForUsers) {
  make_world(60);
  params_.candidates = 20;
  params_.budget = 14;
  params_.min_size = 3;
  params_.max_size = 5;
  params_.min_categories = 3;
  const Bundle first = for_users({0}).bundles.front();
  params_.forbidden = {first.items[0]};
  // The item that user 0 wants least is not among the candidates, but must be had.
  int32_t least = 0;
  for (int32_t i = 0; i < n_items_; ++i) {
    if (catalog_.price[static_cast<size_t>(i)] <= 5 && logit(0, i) < logit(0, least)) least = i;
  }
  params_.must_have = {least};
  const SearchResult found = for_users(kEveryone);
  for (const Bundle& bundle : found.bundles) {
    EXPECT_EQ(bundle.violation, 0.0f) << bundle.subject;
    EXPECT_TRUE(ref::bundle_feasible(world_of(bundle.subject), bundle.items)) << bundle.subject;
    EXPECT_TRUE(holds(bundle, least)) << bundle.subject;
    EXPECT_FALSE(holds(bundle, params_.forbidden[0])) << bundle.subject;
    EXPECT_TRUE(std::ranges::is_sorted(bundle.items));
  }
}

TEST_P(BundleSearchTest, ManyMustHavesPushOutTheLastCandidatesAlone) {
  make_world(30);
  params_.candidates = 5;
  params_.min_size = params_.max_size = 5;
  params_.min_categories = 1;
  for (int32_t u = 0; u < kUsers; ++u) {
    std::vector<int32_t> by_score(static_cast<size_t>(n_items_));
    for (int32_t i = 0; i < n_items_; ++i) by_score[static_cast<size_t>(i)] = i;
    std::ranges::sort(by_score, std::ranges::greater{}, [&](int32_t i) { return logit(u, i); });
    // Two that are no candidates, and the last that is: it stays, and the two before it go.
    params_.must_have = {by_score[4], by_score[20], by_score[29]};
    std::vector<int32_t> expected{by_score[0], by_score[1], by_score[4], by_score[20], by_score[29]};
    std::ranges::sort(expected);
    const Bundle bundle = for_users({u}).bundles.front();
    EXPECT_EQ(bundle.items, expected) << "user " << u;
    EXPECT_EQ(bundle.violation, 0.0f);
  }
}

TEST_P(BundleSearchTest, AUsersBundleDoesNotDependOnTheOthers) {
  make_world(60);
  params_.candidates = 24;
  // Few, so that chance still shows.
  params_.search = {
      .strategy = genetic::Strategy::anneal, .local_searches = 1, .rounds = 1, .iterations = 1, .seed = 5};
  const SearchResult together = for_users(kEveryone);
  std::vector<int32_t> many;  // more than one batch of problems
  for (int32_t n = 0; n < 1100; ++n) many.push_back((n * 5) % static_cast<int32_t>(kUsers));
  const SearchResult batches = for_users(many);
  ASSERT_EQ(batches.bundles.size(), many.size());
  const auto expect_same = [&](const Bundle& a, const Bundle& b) {
    EXPECT_EQ(a.subject, b.subject);
    EXPECT_EQ(a.items, b.items);
    EXPECT_EQ(a.value, b.value);
    EXPECT_TRUE(test::same_bits(a.probability, b.probability));
  };
  for (size_t u = 0; u < kUsers; ++u) {
    expect_same(for_users({static_cast<int32_t>(u)}).bundles.front(), together.bundles[u]);
  }
  for (size_t n = 0; n < many.size(); ++n) {
    expect_same(batches.bundles[n], together.bundles[static_cast<size_t>(many[n])]);
  }
  params_.search.seed = 6;
  const SearchResult other = for_users(kEveryone);
  int64_t differ = 0;
  for (size_t u = 0; u < kUsers; ++u) differ += other.bundles[u].items == together.bundles[u].items ? 0 : 1;
  EXPECT_GT(differ, 0);
  EXPECT_TRUE(for_users({}).bundles.empty());
}

TEST_P(BundleSearchTest, ConvergenceIsTheMeanOfTheFeasible) {
  make_world(60);
  params_.search.rounds = 10;
  const SearchResult found = for_users(kEveryone);
  ASSERT_EQ(found.convergence.size(), 10u);
  double mean = 0;
  for (const Bundle& bundle : found.bundles) mean += static_cast<double>(bundle.value) / kUsers;
  for (size_t g = 1; g < 10; ++g) EXPECT_GE(found.convergence[g], found.convergence[g - 1]) << g;
  EXPECT_GE(mean * (1 + test::kRound), found.convergence.back());
  EXPECT_GT(found.convergence.front(), mean / 4);
  params_.budget = 1;  // two items cost at least 2
  for (const double value : for_users(kEveryone).convergence) EXPECT_TRUE(std::isnan(value));
}

TEST_P(BundleSearchTest, ConstraintsHoldAroundAnchors) {
  make_world(30);
  params_.budget = 20;
  params_.min_size = 3;
  params_.min_categories = 3;
  params_.must_have = {9};
  params_.forbidden = {4, 11};
  std::vector<int32_t> anchors;
  for (int32_t i = 0; i < n_items_; ++i) {
    if (i != 4 && i != 11) anchors.push_back(i);
  }
  // Ten partners an anchor, some places empty.
  std::vector<int32_t> partners;
  for (const int32_t anchor : anchors) {
    for (int32_t n = 1; n <= 10; ++n) partners.push_back(n > 8 ? -1 : (anchor + n * 3) % 30);
  }
  const SearchResult found = around(anchors, partners);
  ASSERT_EQ(found.bundles.size(), anchors.size());
  for (size_t a = 0; a < anchors.size(); ++a) {
    const Bundle& bundle = found.bundles[a];
    EXPECT_EQ(bundle.subject, anchors[a]);
    EXPECT_TRUE(holds(bundle, anchors[a])) << anchors[a];
    EXPECT_TRUE(holds(bundle, 9)) << anchors[a];
    EXPECT_EQ(bundle.violation, 0.0f) << anchors[a];
    EXPECT_TRUE(ref::bundle_feasible(world_of(0), bundle.items)) << anchors[a];
    for (const int32_t item : bundle.items) {
      const int32_t steps = ((item - anchors[a] + 30) % 30) / 3;
      const bool partner = (item - anchors[a] + 30) % 3 == 0 && steps >= 1 && steps <= 8;
      EXPECT_TRUE(item == anchors[a] || item == 9 || partner) << anchors[a] << " with " << item;
    }
    EXPECT_EQ(bundle.probability, std::vector<float>(bundle.items.size(), 0.5f));
  }
}

TEST_P(BundleSearchTest, FindsTheOptimumAroundAnchors) {
  make_world(13);
  params_.budget = 18;
  const std::vector<int32_t> anchors{0, 3, 8, 12};
  const std::vector<float> probability =
      scorer().mean_probability(context(), Queries::everyone(context(), test::kUsers));
  const SearchResult found =
      search_around_anchors(context(), space(), params_, anchors, all_others(anchors), probability);
  for (size_t a = 0; a < anchors.size(); ++a) {
    ref::BundleWorld world = world_of(0);
    world.probability.assign(probability.begin(), probability.end());
    world.must_have = {anchors[a]};
    const double best = ref::best_bundle_value(world), value = ref::bundle_value(world, found.bundles[a].items);
    EXPECT_TRUE(ref::bundle_feasible(world, found.bundles[a].items)) << anchors[a];
    EXPECT_NEAR(found.bundles[a].value, value, value_bound(value)) << anchors[a];
    EXPECT_NEAR(value, best, 2 * value_bound(best)) << anchors[a];
  }
}

TEST_P(BundleSearchTest, AnAnchorsBundleDoesNotDependOnTheOthers) {
  make_world(40);
  params_.search = {.strategy = genetic::Strategy::anneal, .local_searches = 1, .rounds = 1, .iterations = 1};
  std::vector<int32_t> anchors(40);
  for (int32_t i = 0; i < 40; ++i) anchors[static_cast<size_t>(i)] = i;
  const SearchResult together = around(anchors, all_others(anchors));
  for (const int32_t anchor : anchors) {
    const Bundle alone = around({anchor}, all_others({anchor})).bundles.front();
    EXPECT_EQ(alone.items, together.bundles[static_cast<size_t>(anchor)].items);
    EXPECT_EQ(alone.value, together.bundles[static_cast<size_t>(anchor)].value);
  }
  EXPECT_TRUE(around({}, {}).bundles.empty());
}

TEST_P(BundleSearchTest, MustHavesComeEvenToAnAnchorWithFewPartners) {
  make_world(20);
  params_.min_categories = 1;
  params_.must_have = {3, 5};
  const SearchResult found = around({7, 8}, {1, 2});  // one partner each
  for (const Bundle& bundle : found.bundles) {
    EXPECT_TRUE(holds(bundle, 3) && holds(bundle, 5)) << bundle.subject;
    EXPECT_EQ(bundle.violation, 0.0f) << bundle.subject;
  }
}

TEST_P(BundleSearchTest, MeanProbabilityAveragesOverUsers) {
  make_world(13);
  const std::vector<float> mean = scorer().mean_probability(context(), Queries::everyone(context(), test::kUsers));
  ASSERT_EQ(mean.size(), 13u);
  for (int64_t i = 0; i < 13; ++i) {
    double expected = 0;
    for (int64_t u = 0; u < kUsers; ++u) expected += probability(u, i) / kUsers;
    // The error of the logit, and the calibration and the logistic function in float: z within 1.5 * 11.5 + 0.5, a few
    // roundings.
    const double bound = expected * (relative_probability_error() + (18 * 2 + 8) * test::kRound);
    EXPECT_NEAR(mean[static_cast<size_t>(i)], expected, bound) << i;
  }
}

TEST_P(BundleSearchTest, InfeasibleSearchesSayWhy) {
  make_world(20);
  const auto why = [&](const SearchParams& params) {
    params_ = params;
    params_.search.rounds = 2;
    const Bundle bundle = for_users({0}).bundles.front();
    EXPECT_GT(bundle.violation, 0.0f);
    return explain_infeasible(bundle, catalog_, params_, "EUR");
  };
  SearchParams params = params_;
  params.budget = 1.5;
  EXPECT_NE(why(params).find("budget of 1.50 EUR"), std::string::npos);
  params = {};
  params.min_categories = 6;
  params.max_size = 8;
  EXPECT_NE(why(params).find("1 fewer than search.min_categories"), std::string::npos);
  params = {};
  params.must_have = {1, 2, 3, 4, 5};
  EXPECT_NE(why(params).find("it lacks 1 of search.must_have"), std::string::npos);
  params = {};
  for (int32_t i = 1; i < 20; ++i) params.forbidden.push_back(i);
  EXPECT_NE(why(params).find("1 fewer than search.min_size"), std::string::npos);
}

TEST_P(BundleSearchTest, AnAnchorThatCannotBeIsExplained) {
  make_world(20);
  catalog_.price[7] = 50;
  params_.budget = 40;
  const Bundle bundle = around({7}, all_others({7})).bundles.front();
  EXPECT_GT(bundle.violation, 0.0f);
  EXPECT_NE(explain_infeasible(bundle, catalog_, params_, "EUR"), "");
  params_.forbidden = {7};
  EXPECT_THROW(around({7}, all_others({7})), UsageError);
}

TEST_P(BundleSearchTest, PricesThatSumToTheBudgetFit) {
  make_world(4);
  catalog_.price = {2.99f, 7.01f, 20, 20};  // 10.0000002 as floats
  params_.budget = 10;
  params_.max_size = 2;
  EXPECT_EQ(around({0}, all_others({0})).bundles.front().violation, 0.0f);
  catalog_.price[1] = 7.02f;
  const Bundle bundle = around({0}, all_others({0})).bundles.front();
  EXPECT_GT(bundle.violation, 0.0f);
  EXPECT_EQ(explain_infeasible(bundle, catalog_, params_, "EUR"),
            "it costs 10.01 EUR, 0.01 EUR over the budget of 10.00 EUR");
}

TEST_P(BundleSearchTest, CanBeInterrupted) {
  make_world(13);
  const SearchSpace items = space();
  const Scorer& wanted = scorer();
  request_interrupt();
  EXPECT_THROW(search_for_users(context(), wanted, items, params_, {0}), Interrupted);
  EXPECT_THROW(search_around_anchors(context(), items, params_, {0}, {1}, std::vector<float>(13)), Interrupted);
  clear_interrupt();
}

SHEAF_ON_EVERY_BACKEND(BundleSearchTest);

std::vector<int64_t> subjects(const std::vector<Bundle>& bundles) {
  std::vector<int64_t> found;
  for (const Bundle& bundle : bundles) found.push_back(bundle.subject);
  return found;
}

// Most of what a user wants is forbidden: the candidates are the best of the rest.
TEST_P(BundleSearchTest, ForbiddenItemsTakeNoCandidatesPlace) {
  make_world(15);
  params_.candidates = 6;
  for (int32_t i = 0; i < 9; ++i) params_.forbidden.push_back(i);
  expect_optimal(for_users(kEveryone), kEveryone);
}

TEST(SelectBundles, TakesTheBestThatShareFewItems) {
  const std::vector<Bundle> bundles{
      {0, {1, 2, 3}, {}, 5.0f, 0.0f}, {1, {1, 2, 4}, {}, 7.0f, 0.0f}, {2, {3, 4, 5}, {}, 6.0f, 0.0f},
      {3, {8, 9}, {}, 9.0f, 0.5f},  // infeasible
      {4, {6, 7}, {}, 5.0f, 0.0f},    {5, {1, 2, 4}, {}, 7.0f, 0.0f}, {6, {2, 3, 5, 6}, {}, 1.0f, 0.0f},
  };
  using Ids = std::vector<int64_t>;
  EXPECT_EQ(subjects(select_bundles(bundles, 0, 10)), (Ids{1, 4}));
  EXPECT_EQ(subjects(select_bundles(bundles, 1, 10)), (Ids{1, 2, 4}));
  EXPECT_EQ(subjects(select_bundles(bundles, 2, 10)), (Ids{1, 2, 0, 4, 6}));
  EXPECT_EQ(subjects(select_bundles(bundles, 16, 10)), (Ids{1, 2, 0, 4, 6}));  // never the copy
  EXPECT_EQ(subjects(select_bundles(bundles, 2, 3)), (Ids{1, 2, 0}));
  EXPECT_TRUE(select_bundles(bundles, 2, 0).empty());
  EXPECT_TRUE(select_bundles({}, 2, 3).empty());
  const std::vector<Bundle> chosen = select_bundles(bundles, 0, 1);
  EXPECT_EQ(chosen[0].items, (std::vector<int32_t>{1, 2, 4}));
  EXPECT_EQ(chosen[0].value, 7.0f);
}

TEST(ExplainInfeasible, NamesEachBrokenConstraint) {
  Catalog catalog = test::plain_catalog(5);
  catalog.price = {2.5f, 4, 8, 16, 32};
  catalog.category = {0, 0, 0, 1, 2};
  SearchParams params;
  params.min_size = 4;
  params.min_categories = 3;
  params.budget = 10;
  params.must_have = {3, 4, 1};
  params.forbidden = {0, 3};
  EXPECT_EQ(explain_infeasible({0, {0, 1, 2}, {}, 0, 1}, catalog, params, "EUR"),
            "it costs 14.50 EUR, 4.50 EUR over the budget of 10.00 EUR; it has 3 items, 1 fewer than search.min_size; "
            "it has 1 categories, 2 fewer than search.min_categories; it lacks 2 of search.must_have; "
            "it needs 1 of search.forbidden");
  // One at a time.
  const auto only = [&](const SearchParams& one) {
    return explain_infeasible({0, {0, 1, 3}, {}, 0, 1}, catalog, one, "EUR");
  };
  EXPECT_EQ(only({}), "");
  params = {};
  params.budget = 20;
  EXPECT_EQ(only(params), "it costs 22.50 EUR, 2.50 EUR over the budget of 20.00 EUR");
  params = {};
  params.min_size = 5;
  EXPECT_EQ(only(params), "it has 3 items, 2 fewer than search.min_size");
  params = {};
  params.min_categories = 3;
  EXPECT_EQ(only(params), "it has 2 categories, 1 fewer than search.min_categories");
  params = {};
  params.must_have = {2};
  EXPECT_EQ(only(params), "it lacks 1 of search.must_have");
  params = {};
  params.forbidden = {1, 3};
  EXPECT_EQ(only(params), "it needs 2 of search.forbidden");
}

}  // namespace
}  // namespace sheaf
