#pragma once
/// What the fusion model knows of a pair of a user and an item at one moment: the habits of
/// engine/demand/basket_chances.hpp and the scores of other models.

#include <memory>
#include <string>
#include <vector>

#include "engine/demand/habit_features.hpp"
#include "engine/models/recommender.hpp"

namespace sheaf {

/// Other models whose scores are features, and which bring the items that are new to a user.
struct FusionMembers {
  std::vector<std::shared_ptr<Recommender>> models;
  std::vector<std::shared_ptr<const Scorer>> scorers;  // of the same

  /// Fitted to the whole of the history, with their usual settings. UsageError for a name that is none of a model.
  static FusionMembers fitted(Context& context, const std::vector<std::string>& names, const BasketHistory& history,
                              const Catalog& catalog, const FitOptions& options);
};

/// Pairs, and what is known of each.
struct FusionPairs {
  HostCsr pairs;         // [n_users, n_items] pattern
  int64_t width = 0;     // kPairFeatures, then one column a member
  std::vector<float> x;  // [pairs.nnz(), width]
};

/// People, by what they bought up to a day, and how the members are asked about them.
struct FusionPeople {
  const BasketHistory& history;  // of the queries first .. first + history.n_users - 1
  const Queries& queries;
  int64_t first = 0;
  double day = 0.0;
};

/// Of each person's own items and the `n_new` best others of each member. `items`: what is known of the items, or null
/// to learn it from the history of these people.
FusionPairs fusion_pairs(Context& context, const FusionPeople& people, std::span<const int32_t> category,
                         const ItemHabits* items, const FusionMembers& members, int64_t n_new);

/// A past moment to learn from: what was known, and what was bought then.
struct FusionWindow {
  BasketHistory known;
  HostCsr bought;  // [n_users, n_items] pattern
  double day = 0.0;
};

/// At most `n` stretches of the history, each `period_days` long, from the newest back; what is known is all before.
/// Where the history is too short for one, two windows that each hide a drawn fifth of all pairs.
std::vector<FusionWindow> fusion_windows(const BasketHistory& history, double period_days, int64_t n, uint64_t seed);

}  // namespace sheaf
