// The problems that searches solve, as data: they agree with the searches, with branch and bound, and with the needs of
// a front.

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "engine/bundles/export_problem.hpp"
#include "engine/optimize/branch_and_bound.hpp"
#include "tests/engine/bundle_world.hpp"

namespace sheaf {
namespace {

using test::kEveryone;
using test::kUsers;

class BuiltProblemTest : public test::BundleWorldTest {
 protected:
  /// The bundle as candidates of the problem.
  static std::vector<int32_t> places_of(const ExportedProblem& built, const std::vector<int32_t>& items) {
    std::vector<int32_t> places;
    for (const int32_t item : items) {
      const auto at = std::ranges::find(built.items, item);
      EXPECT_NE(at, built.items.end()) << "item " << item;
      places.push_back(static_cast<int32_t>(at - built.items.begin()));
    }
    return places;
  }
  /// A search's bundle is the best set of its problem, which says so of the same value.
  static void expect_solved(const ExportedProblem& built, const Bundle& bundle) {
    built.problem.validate();
    const std::vector<int32_t> places = places_of(built, bundle.items);
    const double value = value_of(built.problem, places);
    EXPECT_EQ(violation_of(built.problem, places), 0.0);
    const double terms = static_cast<double>(places.size() * places.size());
    EXPECT_NEAR(static_cast<double>(bundle.value), value, terms * test::kRound * value);
    const BundleAnswer best = solve_exact(built.problem, {});
    ASSERT_TRUE(best.proven && best.feasible);
    EXPECT_NEAR(best.value, value, 2 * terms * test::kRound * value);
    for (size_t m = 0; m < places.size(); ++m) {
      EXPECT_EQ(built.probability[static_cast<size_t>(places[m])], bundle.probability[m]);
    }
  }
  void add_rules() {
    params_.candidates = 24;
    params_.weight_preference = 0.25f;
    params_.weight_revenue = 0.125f;
    params_.budget = 15;
    params_.min_size = 3;
    params_.max_size = 4;
    params_.min_categories = 3;
    params_.must_have = {2};
    params_.forbidden = {0, 7};
  }
  void add_margin() {
    params_.discount = 0.25f;
    params_.uplift = 2.0f;
    params_.margin_floor = 0.1f;
    // Of each price 0.675 is left to pay for costs; two of three items cost more.
    for (size_t i = 0; i < catalog_.price.size(); ++i) {
      params_.unit_cost.push_back((i % 3 == 0 ? 0.5f : 0.75f) * catalog_.price[i]);
    }
  }
};

TEST_P(BuiltProblemTest, AUsersProblemIsTheOneThatTheSearchSolves) {
  make_world(40);
  add_rules();
  for (const bool margin : {false, true}) {
    if (margin) add_margin();
    const std::vector<ExportedProblem> built = problems_of_users(context(), scorer(), space(), params_, kEveryone);
    const SearchResult found = for_users(kEveryone);
    ASSERT_EQ(built.size(), kEveryone.size());
    for (size_t u = 0; u < kEveryone.size(); ++u) {
      EXPECT_EQ(built[u].problem.n, 24);
      EXPECT_EQ(built[u].problem.limits.size(), margin ? 2u : 1u);
      expect_solved(built[u], found.bundles[u]);
    }
  }
}

TEST_P(BuiltProblemTest, AnAnchorsProblemLeavesEmptyPlacesOut) {
  make_world(30);
  add_rules();
  const std::vector<int32_t> anchors{5, 2, 29};
  std::vector<int32_t> partners;
  for (const int32_t anchor : anchors) {
    for (int32_t n = 1; n <= 14; ++n) partners.push_back(n > 12 ? -1 : (anchor + n) % 30);
  }
  const std::vector<float> probability(static_cast<size_t>(n_items_), 0.5f);
  const std::vector<ExportedProblem> built =
      problems_around_anchors(context(), space(), params_, anchors, partners, probability);
  const SearchResult found = around(anchors, partners);
  ASSERT_EQ(built.size(), 3u);
  for (size_t a = 0; a < anchors.size(); ++a) {
    EXPECT_EQ(built[a].items.front(), anchors[a]);
    EXPECT_EQ(std::ranges::count(built[a].items, -1), 0);
    EXPECT_EQ(built[a].problem.n, anchors[a] == 2 || anchors[a] == 29 ? 13 : 14);  // 2 is among the partners of 29
    expect_solved(built[a], found.bundles[a]);
  }
}

TEST_P(BuiltProblemTest, AnAudiencesCandidatesAreWhatItWantsMost) {
  make_world(30);
  params_.candidates = 10;
  params_.must_have = {};
  const std::vector<int32_t> segment{1, 4, 7};
  const std::vector<float> mean = scorer().mean_probability(context(), Queries(context(), segment));
  ASSERT_EQ(std::ssize(mean), n_items_);
  std::vector<double> expected;
  for (int64_t i = 0; i < n_items_; ++i) {
    double sum = 0.0;
    for (const int32_t u : segment) sum += probability(u, i);
    expected.push_back(sum / 3.0);
    EXPECT_NEAR(mean[static_cast<size_t>(i)], sum / 3.0, sum / 3.0 * (relative_probability_error() + 8 * test::kRound));
  }
  const std::vector<float> all = scorer().mean_probability(context(), Queries::everyone(context(), test::kUsers));
  EXPECT_TRUE(test::same_bits(all, scorer().mean_probability(context(), Queries(context(), kEveryone))));
  const ExportedProblem built = problem_of_audience(context(), space(), params_, mean);
  ASSERT_EQ(built.problem.n, 10);
  std::vector<double> sorted = expected;
  std::ranges::sort(sorted, std::ranges::greater{});
  for (size_t c = 0; c < built.items.size(); ++c) {
    EXPECT_GE(expected[static_cast<size_t>(built.items[c])], sorted[9] * (1 - relative_probability_error() * 2));
    EXPECT_EQ(built.probability[c], mean[static_cast<size_t>(built.items[c])]);
  }
}

TEST_P(BuiltProblemTest, TheFrontsObjectivesAreTheirFormulas) {
  make_world(30);
  add_rules();
  params_.weight_association = params_.weight_preference = 1.0f;
  params_.weight_revenue = 0.0f;
  const ExportedProblem built = problems_of_users(context(), scorer(), space(), params_, {3}).front();
  std::vector<double> stock(static_cast<size_t>(n_items_), std::numeric_limits<double>::infinity());
  stock[2] = 40.0;
  ParetoProblem front = shop_front(built, catalog_.price, stock);
  front.validate();
  ASSERT_EQ(front.objectives.size(), 4u);
  const Front found = find_front(context(), front, {.population = 32, .generations = 30, .seed = 1});
  ASSERT_TRUE(found.feasible);
  for (const FrontSet& set : found.sets) {
    double revenue = 0.0, conversion = 0.0, units = 0.0;
    std::set<int32_t> categories;
    for (const int32_t a : set.items) {
      const int32_t i = built.items[static_cast<size_t>(a)];
      const double p = probability(3, i);
      revenue += p * static_cast<double>(catalog_.price[static_cast<size_t>(i)]);
      conversion += p;
      for (const int32_t b : set.items) {
        if (a != b) conversion += p * association(i, built.items[static_cast<size_t>(b)]);
      }
      categories.insert(catalog_.category[static_cast<size_t>(i)]);
      units += i == 2 ? 40.0 : 0.0;
    }
    EXPECT_NEAR(set.values[0], revenue, revenue * (relative_probability_error() + 8 * test::kRound));
    EXPECT_NEAR(set.values[1], conversion, value_bound(conversion));
    EXPECT_EQ(set.values[2], static_cast<double>(categories.size()));
    EXPECT_EQ(set.values[3], units);
    EXPECT_EQ(units, 40.0);  // a must-have
  }
  EXPECT_EQ(shop_front(built, catalog_.price, {}).objectives.size(), 3u);
  ExportedProblem plain = built;
  std::ranges::fill(plain.problem.category, 0);
  EXPECT_EQ(shop_front(plain, catalog_.price, stock).objectives.size(), 3u);
}

SHEAF_ON_EVERY_BACKEND(BuiltProblemTest);

}  // namespace
}  // namespace sheaf
