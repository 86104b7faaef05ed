#pragma once
/// A small random catalog with users, and what their best bundles are by the references: the fixture of tests of the bundle search.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/bundles/bundle_search.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"
#include "tests/reference/association.hpp"
#include "tests/reference/bundle.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf::test {

inline constexpr int64_t kUsers = 12, kDim = 4;

class BundleWorldTest : public OpTest {
 protected:
  /// Prices 1 .. 9 and five categories; the tables of a scorer and the vectors of association are random.
  void make_world(int64_t n_items) {
    n_items_ = n_items;
    catalog_ = plain_catalog(n_items);
    const auto prices = random_ints(n_items, 1, 1, 9);
    catalog_.price.assign(prices.begin(), prices.end());
    catalog_.category = random_ints(n_items, 2, 0, 4);
    users_ = random_floats(kUsers * kDim, 3, -1.5f, 1.5f);
    items_ = random_floats(n_items * kDim, 4, -1.5f, 1.5f);
    user_bias_ = random_floats(kUsers, 5);
    item_bias_ = random_floats(n_items, 6);
    vectors_ = random_floats(n_items * kDim, 7);
    params_.search.seed = 5;
    params_.search.rounds = 4;
  }

  LinearScorer scorer() {
    LinearScorer scorer;
    scorer.n_users = kUsers;
    scorer.n_items = n_items_;
    scorer.dim = kDim;
    scorer.users = Buffer<float>(context(), users_);
    scorer.items = Buffer<float>(context(), items_);
    scorer.user_bias = Buffer<float>(context(), user_bias_);
    scorer.item_bias = Buffer<float>(context(), item_bias_);
    scorer.bias = Buffer<float>(context(), std::vector<float>{-0.25f});
    scorer.calibration = calibration_;
    return scorer;
  }
  SearchSpace space() {
    SearchSpace space(context(), catalog_, params_);
    if (sparse_association_.n_rows() > 0) {
      space.association = sheaf::DeviceCsr(context(), sparse_association_);
    } else {
      space.vectors = Buffer<float>(context(), vectors_);
      space.dim = kDim;
    }
    space.scale = scale_;
    return space;
  }
  SearchResult for_users(const std::vector<int32_t>& users) {
    return search_for_users(context(), scorer(), space(), params_, users);
  }
  SearchResult around(const std::vector<int32_t>& anchors, const std::vector<int32_t>& partners) {
    const std::vector<float> probability(static_cast<size_t>(n_items_), 0.5f);
    return search_around_anchors(context(), space(), params_, anchors, partners, probability);
  }
  /// All items but the anchor, in their order, for each anchor.
  std::vector<int32_t> all_others(const std::vector<int32_t>& anchors) const {
    std::vector<int32_t> partners;
    for (const int32_t anchor : anchors) {
      for (int32_t i = 0; i < n_items_; ++i) {
        if (i != anchor) partners.push_back(i);
      }
    }
    return partners;
  }

  /// P(u, i) in double, and how far it may be from the float: its logit's error, as P' <= P, and one rounding.
  double probability(int64_t u, int64_t i) const {
    const auto at = [](const std::vector<float>& values, int64_t place) {
      return static_cast<double>(values[static_cast<size_t>(place)]);
    };
    const double dot = ref::dot(users_.data() + u * kDim, items_.data() + i * kDim, kDim).value;
    const double bias = at(user_bias_, u) + at(item_bias_, i) - 0.25;
    const double z = calibration_.slope * dot + calibration_.bias_slope * bias + calibration_.offset;
    return 1 / (1 + std::exp(-z));
  }
  /// What candidates are chosen by.
  double logit(int64_t u, int64_t i) const {
    return ref::dot(users_.data() + u * kDim, items_.data() + i * kDim, kDim).value +
           static_cast<double>(item_bias_[static_cast<size_t>(i)]);
  }
  // |terms| of a logit: kDim products of at most 1.5^2, biases of 1, 1 and 0.25; folding the calibration in rounds each once more.
  double relative_probability_error() const {
    return std::abs(calibration_.slope) * ref::sum_bound(kDim + 5, kDim * 2.25 + 2.25) + 2 * kRound;
  }

  /// What search_for_users should maximise for user u.
  ref::BundleWorld world_of(int64_t u) const {
    ref::BundleWorld world;
    for (int64_t i = 0; i < n_items_; ++i) {
      world.probability.push_back(probability(u, i));
      world.association.emplace_back();
      for (int64_t j = 0; j < n_items_; ++j) world.association.back().push_back(association(i, j));
    }
    world.price.assign(catalog_.price.begin(), catalog_.price.end());
    world.category = catalog_.category;
    world.weight_association = static_cast<double>(params_.weight_association);
    world.weight_preference = static_cast<double>(params_.weight_preference);
    world.weight_revenue = static_cast<double>(params_.weight_revenue);
    world.min_size = params_.min_size;
    world.max_size = params_.max_size;
    world.min_categories = params_.min_categories;
    world.budget = static_cast<double>(params_.budget);
    world.must_have = params_.must_have;
    world.forbidden = params_.forbidden;
    return world;
  }
  double association(int64_t i, int64_t j) const {
    const auto scale = static_cast<double>(scale_);
    if (sparse_association_.n_rows() == 0) {
      const float* v = vectors_.data();
      return scale * std::max(0.0, ref::cosine(v + i * kDim, v + j * kDim, kDim));
    }
    const auto entry = [&](int64_t r, int64_t c) {
      const auto row = sparse_association_.row(r);
      const auto found = std::ranges::find(row, static_cast<int32_t>(c));
      if (found == row.end()) return 0.0;
      const auto at = sparse_association_.row_offsets[static_cast<size_t>(r)] + (found - row.begin());
      return static_cast<double>(sparse_association_.values[static_cast<size_t>(at)]);
    };
    return scale * std::max(entry(i, j), entry(j, i));
  }
  /// How far a float F may be from F in double: the cosines by their own rounding, everything else in proportion.
  double value_bound(double value) const {
    const auto pairs = static_cast<double>(params_.max_size * (params_.max_size - 1));
    const double cosines = pairs * static_cast<double>(params_.weight_association) * static_cast<double>(scale_) *
                           ref::sum_bound(kDim + 6, 1.0);
    const double operations = static_cast<double>(params_.max_size * params_.max_size) + 6;
    return cosines + value * (relative_probability_error() + operations * kRound);
  }

  void expect_optimal(const SearchResult& found, const std::vector<int32_t>& users) const {
    ASSERT_EQ(found.bundles.size(), users.size());
    for (size_t n = 0; n < users.size(); ++n) {
      const Bundle& bundle = found.bundles[n];
      const ref::BundleWorld world = world_of(users[n]);
      const double best = ref::best_bundle_value(world);
      const double value = ref::bundle_value(world, bundle.items);
      EXPECT_EQ(bundle.subject, users[n]);
      EXPECT_EQ(bundle.violation, 0.0f);
      EXPECT_TRUE(ref::bundle_feasible(world, bundle.items)) << "user " << users[n];
      EXPECT_NEAR(bundle.value, value, value_bound(value)) << "user " << users[n];
      EXPECT_NEAR(value, best, 2 * value_bound(best)) << "user " << users[n];  // either may be larger as a float
      ASSERT_EQ(bundle.probability.size(), bundle.items.size());
      for (size_t m = 0; m < bundle.items.size(); ++m) {
        const double p = probability(users[n], bundle.items[m]);
        EXPECT_NEAR(bundle.probability[m], p, p * relative_probability_error());
      }
    }
  }

  int64_t n_items_ = 0;
  Catalog catalog_;
  std::vector<float> users_, items_, user_bias_, item_bias_, vectors_;
  sheaf::HostCsr sparse_association_;
  SearchParams params_;
  Calibration calibration_{1.5, 0.75, -0.5};
  float scale_ = 0.5f;
};

inline const std::vector<int32_t> kEveryone{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

}  // namespace sheaf::test
