// The joint objective in searches of users and around anchors, against enumeration; bundles that share no pair.

#include <gtest/gtest.h>

#include <cmath>

#include "engine/bundles/column_generation.hpp"
#include "engine/bundles/export_problem.hpp"
#include "tests/engine/bundle_world.hpp"

namespace sheaf {
namespace {

constexpr int64_t kItems = 9;

class JointSearchTest : public test::BundleWorldTest {
 protected:
  void SetUp() override {
    BundleWorldTest::SetUp();
    if (IsSkipped()) return;
    make_world(kItems);
    params_.candidates = kItems;
    params_.min_categories = 1;
    params_.max_size = 3;
    params_.weight_association = 0.0f;
    params_.pair_value.assign(kItems, 0.5f);
    // Each user has bought all items but two.
    chances_.own.n_columns = kItems;
    const std::vector<float> p = test::random_floats(test::kUsers * kItems, 51, 0.05f, 0.6f);
    for (int32_t u = 0; u < test::kUsers; ++u) {
      for (int32_t i = 0; i < kItems; ++i) {
        if (i == u % kItems || i == (u + 4) % kItems) continue;
        chances_.own.columns.push_back(i);
        chances_.own.values.push_back(p[static_cast<size_t>(u * kItems + i)]);
      }
      chances_.own.row_offsets.push_back(chances_.own.nnz());
      chances_.expected_baskets.push_back(1.0f + static_cast<float>(u % 3));
    }
    chances_.new_item = {.slope = 0.5, .offset = -2.0, .n_pairs = 1};
    std::vector<std::vector<float>> counts(kItems, std::vector<float>(kItems, 0.0f));
    const auto c = test::random_ints(kItems * kItems, 52, 0, 12);
    for (size_t i = 0; i < kItems; ++i) {
      for (size_t j = 0; j < i; ++j) counts[i][j] = counts[j][i] = static_cast<float>(c[i * kItems + j]);
    }
    dependence_.counts = test::sparse(counts);
    dependence_.frequency = test::random_floats(kItems, 53, 1.0f, 3.0f);
    dependence_.category = catalog_.category;
    dependence_.n_categories = 5;
    dependence_.prior = test::random_floats(25, 54, 0.5f, 2.0f);
    for (size_t a = 0; a < 5; ++a) {
      for (size_t b = 0; b < a; ++b) dependence_.prior[a * 5 + b] = dependence_.prior[b * 5 + a];
    }
    dependence_.prior_strength = 3.0f;
    dependence_.user_exponent = 0.7f;
    dependence_.user_offset = 0.1f;
  }
  SearchSpace joint_space() {
    SearchSpace space(context(), catalog_, params_);
    space.joint = std::make_unique<JointSpace>(context(), chances_, dependence_);
    space.substitutes = sheaf::DeviceCsr(context(), substitutes_);
    return space;
  }
  double chance(int32_t user, int32_t item) {
    const auto row = chances_.own.row(user);
    const auto at = std::ranges::lower_bound(row, item);
    if (at == row.end() || *at != item) {
      return chances_.new_item.of(pair_scores(context(), *scorer_, Queries(context(), {user}), {item}, 1).front());
    }
    return static_cast<double>(
        chances_.own.values[static_cast<size_t>(chances_.own.row_offsets[static_cast<size_t>(user)]) +
                            static_cast<size_t>(at - row.begin())]);
  }
  bool is_new(int32_t user, int32_t item) const { return !chances_.own.contains(user, item); }
  /// Of one user: expected baskets times the sum over pairs.
  double value(int32_t user, const std::vector<int32_t>& items) {
    double sum = 0.0;
    for (const int32_t i : items) {
      for (const int32_t j : items) {
        if (j >= i) continue;
        const double p = chance(user, i), q = chance(user, j);
        const double joint = std::min({p, q, p * q * dependence_.user_rho(i, j, 0.0)});
        const auto worth = [&](int32_t item) {
          double v = static_cast<double>(params_.pair_value.empty() ? 0.0f : params_.pair_value[0]);
          if (!params_.paid_value.empty()) {
            v += (1.0 - static_cast<double>(params_.discount)) *
                 static_cast<double>(params_.paid_value[static_cast<size_t>(item)]);
          }
          if (!params_.fresh_value.empty() && is_new(user, item)) v += static_cast<double>(params_.fresh_value[0]);
          return v;
        };
        const bool apart = substitutes_.n_rows() > 0 && substitutes_.contains(i, j);
        sum += joint * (worth(i) + worth(j)) * (apart ? static_cast<double>(params_.substitute_factor) : 1.0);
      }
    }
    return static_cast<double>(chances_.expected_baskets[static_cast<size_t>(user)]) * sum;
  }
  /// The best of all sets of two or three items that `allowed` accepts.
  template <class Allowed>
  double best_value(int32_t user, Allowed&& allowed) {
    double best = -1e30;
    for (int32_t a = 0; a < kItems; ++a) {
      for (int32_t b = 0; b < a; ++b) {
        if (allowed(a, b)) best = std::max(best, value(user, {a, b}));
        for (int32_t c = 0; c < b; ++c) {
          if (allowed(a, b) && allowed(a, c) && allowed(b, c)) best = std::max(best, value(user, {a, b, c}));
        }
      }
    }
    return best;
  }
  void expect_best() {
    scorer_ = &scorer();
    std::vector<int32_t> users(test::kUsers);
    std::iota(users.begin(), users.end(), 0);
    const SearchResult found = search_for_users(context(), *scorer_, joint_space(), params_, users);
    for (int32_t u = 0; u < test::kUsers; ++u) {
      const Bundle& bundle = found.bundles[static_cast<size_t>(u)];
      const double best = best_value(u, [](int32_t, int32_t) { return true; });
      EXPECT_NEAR(value(u, bundle.items), best, 1e-5 * std::abs(best)) << "user " << u;
      EXPECT_NEAR(bundle.value, value(u, bundle.items), 1e-5 * std::abs(best)) << "user " << u;
    }
  }

  BasketChances chances_;
  BasketDependence dependence_;
  sheaf::HostCsr substitutes_;
  const Scorer* scorer_ = nullptr;
};

TEST_P(JointSearchTest, FindsTheMostExpectedBasketsOfEveryUser) { expect_best(); }

TEST_P(JointSearchTest, RevenueCountsDiscountedPrices) {
  params_.pair_value.clear();
  params_.paid_value.assign(catalog_.price.begin(), catalog_.price.end());
  params_.discount = 0.25f;
  expect_best();
}

TEST_P(JointSearchTest, DiscoveryCountsNewItemsAlone) {
  params_.pair_value.clear();
  params_.fresh_value.assign(kItems, 0.5f);
  expect_best();
}

TEST_P(JointSearchTest, SubstitutesTakeAwayWhatTheyWouldBring) {
  substitutes_ = test::pattern({{1, 2}, {0}, {0}, {}, {7}, {}, {}, {4}, {}}, kItems);
  params_.substitute_factor = -4.0f;
  expect_best();
}

TEST_P(JointSearchTest, ForbiddenPairsAreNeverTogether) {
  scorer_ = &scorer();
  std::vector<std::vector<int32_t>> rows(kItems);
  for (int32_t i = 0; i < kItems; ++i) {
    for (int32_t j = 0; j < kItems; ++j) {
      if (i != j && (i + j) % 3 == 0) rows[static_cast<size_t>(i)].push_back(j);
    }
  }
  params_.apart = test::pattern(rows, kItems);
  const SearchSpace space = joint_space();
  const std::vector<int32_t> users{0, 5, 11};
  const SearchResult found = search_for_users(context(), *scorer_, space, params_, users);
  const std::vector<ExportedProblem> problems = problems_of_users(context(), *scorer_, space, params_, users);
  for (size_t u = 0; u < users.size(); ++u) {
    const auto allowed = [](int32_t i, int32_t j) { return (i + j) % 3 != 0; };
    const double best = best_value(users[u], allowed);
    EXPECT_NEAR(found.bundles[u].value, best, 1e-5 * std::abs(best));
    for (const int32_t i : found.bundles[u].items) {
      for (const int32_t j : found.bundles[u].items) EXPECT_TRUE(i == j || allowed(i, j));
    }
    // The problem as data forbids the same pairs.
    const BundleAnswer answer = solve(context(), problems[u].problem, {.seed = 3});
    EXPECT_NEAR(answer.value, best, 1e-5 * std::abs(best));
  }
}

TEST_P(JointSearchTest, CandidatesAreOwnItemsPartnersAndNewOnes) {
  params_.candidates = 8;
  scorer_ = &scorer();
  const SearchSpace space = joint_space();
  const ExportedProblem built = problems_of_users(context(), *scorer_, space, params_, {3}).front();
  // Of eight places five are own items by their chance; user 3 lacks 3 and 7, which are new.
  int64_t fresh = 0;
  for (const int32_t item : built.items) fresh += is_new(3, item) ? 1 : 0;
  EXPECT_EQ(fresh, 2);
  EXPECT_EQ(built.items.size(), 8u);
  for (size_t c = 1; c < 5; ++c) EXPECT_GE(chance(3, built.items[c - 1]), chance(3, built.items[c]));
}

TEST_P(JointSearchTest, BundlesApartShareNoPair) {
  scorer_ = &scorer();
  const SearchSpace space = joint_space();
  std::vector<int32_t> anchors(kItems);
  std::iota(anchors.begin(), anchors.end(), 0);
  const std::vector<float> everyone = test::random_floats(kItems, 55, 0.05f, 0.5f);
  int64_t n_problems = 0;
  const PartialSearchCall search = [&](const SearchParams& params, const std::vector<int64_t>& which) {
    std::vector<int32_t> some;
    for (const int64_t p : which) some.push_back(anchors[static_cast<size_t>(p)]);
    n_problems += std::ssize(some);
    return search_around_anchors(context(), space, params, some, all_others(some), everyone);
  };
  for (const int64_t overlap : {0, 1, 2}) {
    n_problems = 0;
    const ApartSelection found = search_apart(search, params_, anchors, kItems, overlap, 5);
    EXPECT_EQ(found.n_searches, n_problems);
    ASSERT_FALSE(found.chosen.empty());
    // The first is the best of all; what comes later is worth no more.
    for (const Bundle& bundle : found.first.bundles) EXPECT_LE(bundle.value, found.chosen.front().value);
    for (size_t a = 0; a < found.chosen.size(); ++a) {
      EXPECT_EQ(found.chosen[a].violation, 0.0f);
      for (size_t b = 0; b < a; ++b) {
        EXPECT_LE(found.chosen[a].value, found.chosen[b].value);
        std::vector<int32_t> both;
        std::ranges::set_intersection(found.chosen[a].items, found.chosen[b].items, std::back_inserter(both));
        EXPECT_LE(std::ssize(both), overlap);
      }
    }
    // Nine items make three bundles of three without a common item, and more than five without a common pair.
    if (overlap == 0) {
      EXPECT_GE(found.chosen.size(), 3u);
    }
    if (overlap == 1) {
      EXPECT_EQ(found.chosen.size(), 5u);
    }
  }
}

SHEAF_ON_EVERY_BACKEND(JointSearchTest);

}  // namespace
}  // namespace sheaf
