#pragma once
/// How much more often two items are in one basket than their chances alone give: rho of
/// kernels/genetic/joint_pairs.hpp, and the fit of its parameters.
///
///   P(i and j in one basket) = P(i) P(j) rho(i, j),  rho = exp(offset) ratio^exponent,  ratio = (c + k m) / (E + k)
///
/// c: baskets with both; E: what independence gives; m: the prior, which the items' categories and the cosine of
/// learned vectors predict before anything is counted; k: how many expected baskets the prior is worth. Counts c are
/// Poisson with a Gamma prior of mean m and variance m / k (the Gamma-Poisson shrinker, DuMouchel, "Bayesian data
/// mining in large frequency tables", The American Statistician 53(3), 1999). The fit:
/// - m of two categories: common baskets of their items over those expected, shrunk towards 1 by kPriorBaskets;
/// - prior_cosine and k: maximum likelihood over all pairs of the kFitItems items that most baskets hold, including
///   pairs without a common basket;
/// - exponent and offset, for one user, whose own chances already contain most of what is bought together: maximum
///   likelihood in the last period of the history, with chances and counts from before it. For the catalog exponent is
///       1
///   and offset 0.

#include <cstdint>
#include <span>
#include <vector>

#include "engine/associate/association.hpp"
#include "engine/demand/basket_chances.hpp"

namespace sheaf {

inline constexpr double kPriorBaskets = 20.0;
inline constexpr int64_t kFitItems = 200;

/// Mean Poisson log-likelihood for each counted pair in baskets that the fit has not seen, above that of independence.
struct DependenceGain {
  double prior = 0.0;  // by m alone
  double ratio = 0.0;  // by the counts shrunk towards m
  int64_t n_pairs = 0;
};

struct BasketDependence {
  HostCsr counts;                 // [n_items, n_items] symmetric: baskets with both
  std::vector<float> frequency;   // [n_items] baskets with the item / sqrt(baskets)
  std::vector<int32_t> category;  // [n_items]
  int64_t n_categories = 0;
  std::vector<float> prior;  // [n_categories, n_categories], or empty: more than 1024 categories, or none
  float prior_strength = 5.0f, prior_cosine = 0.0f;
  float user_exponent = 1.0f, user_offset = 0.0f;

  /// `cosine` is max(0, cos) of the learned vectors, 0 where there are none.
  double ratio(int32_t i, int32_t j, double cosine) const;
  double user_rho(int32_t i, int32_t j, double cosine) const;
};

/// `vectors` is [n_items, dim] on the host, or empty. `counts` are of `history`'s baskets.
BasketDependence fit_dependence(PairCounts counts, std::span<const int32_t> category, std::span<const float> vectors,
                                int64_t dim);

/// Sets user_exponent (0 to 2) and user_offset. Changes nothing if `habits` is not fitted.
void fit_user_dependence(Context& context, const BasketHistory& history, const HabitModel& habits,
                         const HabitParams& params, std::span<const float> vectors, int64_t dim,
                         BasketDependence& dependence);

/// The gain on other baskets, over the pairs of their kFitItems most frequent items.
DependenceGain judge_dependence(Context& context, const BasketDependence& dependence, const HostCsr& baskets,
                                std::span<const float> vectors, int64_t dim);

/// max(0, cos) of two rows.
double cosine_of(std::span<const float> vectors, int64_t dim, int32_t i, int32_t j);

}  // namespace sheaf
