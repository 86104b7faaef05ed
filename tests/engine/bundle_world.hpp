#pragma once
/// A small random catalog with users, and their best bundles by the references: the fixture for tests of the bundle
/// search.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "engine/bundles/bundle_search.hpp"
#include "engine/scoring/linear_scorer.hpp"
#include "engine/scoring/network_scorer.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"
#include "tests/reference/association.hpp"
#include "tests/reference/bundle.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf::test {

inline constexpr int64_t kUsers = 12, kDim = 4, kHidden = 6;

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
    inner_ = random_floats(kHidden * 2 * kDim, 8);
    inner_bias_ = random_floats(kHidden, 9);
    outer_ = random_floats(kHidden, 10);
    outer_bias_ = random_floats(1, 11);
    params_.search.seed = 5;
    params_.search.rounds = 4;
  }

  /// Made anew from the tables and the calibration. With SHEAF_TEST_SCORER=network it is a network over the pairs
  /// instead of the linear form: nothing in the bundle search may depend on how scores are made.
  const Scorer& scorer() {
    if (is_network()) {
      scorer_ = network();
    } else {
      LinearParts parts{.n_users = kUsers, .n_items = n_items_, .dim = kDim};
      parts.users = Buffer<float>(context(), users_);
      parts.items = Buffer<float>(context(), items_);
      parts.user_bias = Buffer<float>(context(), user_bias_);
      parts.item_bias = Buffer<float>(context(), item_bias_);
      parts.bias = Buffer<float>(context(), std::vector<float>{-0.25f});
      scorer_ = std::make_unique<LinearScorer>(context(), std::move(parts));
    }
    scorer_->calibration = calibration_;
    return *scorer_;
  }
  SearchSpace space() {
    SearchSpace space(context(), catalog_, params_);
    if (sparse_association_.n_rows() > 0) {
      space.association = sheaf::DeviceCsr(context(), sparse_association_);
    } else {
      device_vectors_ = Buffer<float>(context(), vectors_);
      space.vectors = std::as_const(device_vectors_).matrix(n_items_, kDim);
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

  std::unique_ptr<Scorer> network() {
    const auto table = [&](const std::vector<float>& values) { return Buffer<float>(context(), values); };
    LinearParts everything{.n_users = kUsers, .n_items = n_items_, .dim = 1};  // retrieves all items, in their order
    everything.users = Buffer<float>::zeros(context(), kUsers);
    everything.items = Buffer<float>::zeros(context(), n_items_);
    NetworkParts parts{.n_users = kUsers, .n_items = n_items_, .dim = kDim};
    parts.users = table(users_);
    parts.items = table(items_);
    parts.layers.push_back({2 * kDim, kHidden, table(inner_), table(inner_bias_)});
    parts.layers.push_back({kHidden, 1, table(outer_), table(outer_bias_)});
    parts.retrieval = std::make_shared<LinearScorer>(context(), std::move(everything));
    return std::make_unique<NetworkScorer>(context(), std::move(parts));
  }
  static bool is_network() {
    const char* kind = std::getenv("SHEAF_TEST_SCORER");
    return kind != nullptr && std::string_view(kind) == "network";
  }
  /// score(u, i) in double.
  double score(int64_t u, int64_t i) const {
    const auto at = [](const std::vector<float>& values, int64_t place) {
      return static_cast<double>(values[static_cast<size_t>(place)]);
    };
    if (!is_network()) {
      return ref::dot(users_.data() + u * kDim, items_.data() + i * kDim, kDim).value + at(user_bias_, u) +
             at(item_bias_, i) - 0.25;
    }
    double sum = at(outer_bias_, 0);
    for (int64_t h = 0; h < kHidden; ++h) {
      double inner = at(inner_bias_, h);
      for (int64_t c = 0; c < kDim; ++c) {
        inner += at(inner_, h * 2 * kDim + c) * at(users_, u * kDim + c) +
                 at(inner_, h * 2 * kDim + kDim + c) * at(items_, i * kDim + c);
      }
      sum += at(outer_, h) * std::max(0.0, inner);
    }
    return sum;
  }
  /// P(u, i) in double, and how far it may be from the float: its logit's error, as P' <= P, and one rounding.
  double probability(int64_t u, int64_t i) const {
    return 1 / (1 + std::exp(-(calibration_.slope * score(u, i) + calibration_.offset)));
  }
  /// What candidates are chosen by: the score up to a number of the user's own.
  double logit(int64_t u, int64_t i) const {
    return is_network() ? score(u, i) : score(u, i) - static_cast<double>(user_bias_[static_cast<size_t>(u)]) + 0.25;
  }
  // terms| of a linear score: kDim products of at most 1.5^2, biases of 1, 1 and 0.25. Of a network: weights of at most
  // 1, and 8 inputs of at most 1.5 in each of the hidden sums.
  double relative_probability_error() const {
    const double magnitude = is_network() ? kHidden * (2 * kDim * 1.5 + 1) + 1 : kDim * 2.25 + 2.25;
    return std::abs(calibration_.slope) * ref::sum_bound(2 * kDim + kHidden + 3, magnitude) + 2 * kRound;
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
    world.budget = params_.budget;
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
  std::unique_ptr<Scorer> scorer_;
  std::vector<float> users_, items_, user_bias_, item_bias_, vectors_;
  std::vector<float> inner_, inner_bias_, outer_, outer_bias_;  // of the network
  Buffer<float> device_vectors_;
  sheaf::HostCsr sparse_association_;
  SearchParams params_;
  Calibration calibration_{1.5, -0.5};
  float scale_ = 0.5f;
};

inline const std::vector<int32_t> kEveryone{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

}  // namespace sheaf::test
