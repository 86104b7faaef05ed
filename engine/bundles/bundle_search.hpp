#pragma once
/// Bundles that maximise F (kernels/genetic/bundle_terms.hpp) under constraints, found by the search of
/// kernels/genetic: one for each user, from the items that this user wants most; or one around each anchor item, for
/// all users together.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/data/catalog.hpp"
#include "engine/demand/basket_chances.hpp"
#include "engine/demand/basket_dependence.hpp"
#include "engine/scoring/scorer.hpp"
#include "kernels/genetic/search.hpp"

namespace sheaf {

struct SearchParams {
  int64_t candidates = 64;  // 2 .. 256 a problem
  int64_t min_size = 2, max_size = 4;
  double budget = std::numeric_limits<double>::infinity();  // of a bundle's full price; see budget_limit()
  int64_t min_categories = 2;
  std::vector<int32_t> must_have, forbidden;  // items
  float weight_association = 1.0f, weight_preference = 0.0f, weight_revenue = 0.0f;
  /// The joint objective (kernels/genetic/joint_pairs.hpp) is used if any of these is given. Each is half of the worth
  /// of a coming basket with the item and another one of the bundle. For a subject it is pair_value + (1 - discount)
  /// paid_value, plus fresh_value if the subject has not bought the item. [n_items] each, or empty: 0. Needs
  /// SearchSpace::joint.
  std::vector<float> pair_value, paid_value, fresh_value;
  float substitute_factor = 1.0f;  // of joint terms of substitutes
  float baskets = 0.0f;  // expected baskets of an audience, the unit of its bundles' values; 0: those of all users
  HostCsr apart;         // [n_items, n_items] symmetric pattern: never in one bundle; without rows: none
  /// [n_items] the cost of using an item, in units of F, or empty: none.
  std::vector<float> item_cost;
  /// The share of the price that is taken off. Chances grow to min(1, P (1 + uplift * discount)), revenue counts
  /// (1 - discount) price.
  float discount = 0.0f, uplift = 0.0f;
  /// [n_items] unit costs in the currency of the data, or empty: no floor. After costs, at least margin_floor of a
  /// bundle's discounted price must be left.
  std::vector<float> unit_cost;
  float margin_floor = 0.0f;
  /// By subject, bundles to start with: the result is no worse than the feasible ones among them. Their items that are
  /// not candidates replace the last candidates.
  std::map<int64_t, std::vector<std::vector<int32_t>>> known;
  bool keep_pools = false;
  /// Four rounds of eight local searches: on the demo's and the shop's problems, no setting with more rounds is better.
  genetic::SearchParams search{.local_searches = 8, .rounds = 4, .iterations = 16};
};

/// What the joint objective needs of items and users: chances that outlive the space, and device copies of the
/// dependence.
struct JointSpace {
  /// `item_vectors` [n_items, dim] on the device give the cosines of the prior and outlive the space, or are empty.
  JointSpace(Context& context, const BasketChances& user_chances, const BasketDependence& basket_dependence,
             MatrixView<const float> item_vectors = {});

  const BasketChances* chances;
  const BasketDependence* dependence;
  DeviceCsr counts;
  Buffer<float> frequency, prior;
  MatrixView<const float> vectors;
};

/// What the search knows of the items; device memory of one context.
struct SearchSpace {
  SearchSpace(Context& context, const Catalog& catalog, const SearchParams& params);

  int64_t n_items;
  std::vector<float> host_price;
  Buffer<float> price;
  Buffer<int32_t> category;
  Buffer<uint8_t> flags;
  /// A(i, j) = scale * cosine of these vectors, [n_items, dim], which outlive the space; or, while they are empty,
  /// scale * the entries of `association`.
  MatrixView<const float> vectors;
  DeviceCsr association;  // [n_items, n_items]
  float scale = 1.0f;
  std::unique_ptr<JointSpace> joint;
  DeviceCsr substitutes;  // [n_items, n_items] symmetric pattern, or none
  /// With a rule, pairs that it allows in neither direction are never in one bundle.
  std::optional<PairRule> rule;

  bool may_be_together(const SearchParams& params, int32_t i, int32_t j) const {
    if (params.apart.n_rows() > 0 && params.apart.contains(i, j)) return false;
    return !rule || rule->allows(i, j) || rule->allows(j, i);
  }
  bool keeps_apart(const SearchParams& params) const { return params.apart.nnz() > 0 || rule.has_value(); }
};

struct Bundle {
  int64_t subject = -1;            // the user or the anchor item
  std::vector<int32_t> items;      // ascending
  std::vector<float> probability;  // of each item, as the search saw it
  float value = 0;                 // F, less what its items cost
  float violation = 0;             // 0: feasible
  float discount = 0;              // share of the price, of the search that found it
};

struct SearchResult {
  std::vector<Bundle> pools;    // with keep_pools, all feasible bundles that were kept, some of them twice
  std::vector<Bundle> bundles;  // one a problem, in the order of the subjects
  /// [rounds] mean over the problems that are feasible by then of the best value; NaN: none
  std::vector<double> convergence;
};

/// The best bundle of each of `users`. Candidates are the `candidates` items with the highest score for the user. With
/// the joint objective they are the user's own items, partners of those, and the model's best (candidates.hpp).
SearchResult search_for_users(Context& context, const Scorer& scorer, const SearchSpace& space,
                              const SearchParams& params, const std::vector<int32_t>& users);

/// The best bundle that holds each of `anchors`. partners is [anchors.size(), n_partners] row-major, -1 for none.
/// `probability` [n_items] is the users' mean. With the joint objective it is the chance that a coming basket of anyone
/// holds the item, and values count the expected baskets of all users. UsageError for an anchor that is forbidden.
SearchResult search_around_anchors(Context& context, const SearchSpace& space, const SearchParams& params,
                                   const std::vector<int32_t>& anchors, const std::vector<int32_t>& partners,
                                   const std::vector<float>& probability);

/// What item i adds to a sum that must be at most 0 for the margin to hold: cost - (1 - floor) (1 - discount) price.
double margin_weight(const SearchParams& params, double price, int32_t item);

/// Feasible bundles by value (then subject), at most `count`. Leaves out copies, and bundles that share more than
/// `max_overlap` items with one already taken.
std::vector<Bundle> select_bundles(const std::vector<Bundle>& bundles, int64_t max_overlap, int64_t count);

/// The limit of the sum of prices, which are float32: the budget and what rounding the prices may add, so that 2.99 and
/// 7.01 fit 10. It is below half a unit: whole prices are exact, and 10000001 does not fit 10000000.
inline double budget_limit(const SearchParams& params) {
  return params.budget +
         std::min(2.0 * static_cast<double>(std::numeric_limits<float>::epsilon()) * params.budget, 0.49);
}

/// Why nothing feasible was found: each broken constraint and by how much, one sentence.
std::string explain_infeasible(const Bundle& nearest, const Catalog& catalog, const SearchParams& params,
                               const std::string& currency);

}  // namespace sheaf
