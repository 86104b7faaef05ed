#pragma once
/// Searches for bundles: around the items that the users want most, and for users.

#include <optional>
#include <string>
#include <vector>

#include "host/app/offers.hpp"
#include "host/app/search_params.hpp"
#include "host/app/session.hpp"

namespace sheaf::app {

/// Bundles that were chosen together, because they share uses or stock.
struct Together {
  double value = 0;  // sum of the bundles' F
  double bound = 0;  // of any choice among the bundles that were found
  int64_t n_found = 0, n_rounds = 0;
};

struct CatalogSearch {
  std::vector<Offer> offers;  // best value first
  std::vector<double> convergence;
  int64_t n_anchors = 0, n_feasible = 0;
  int64_t n_searches = 0;  // problems searched: the anchors, and those searched anew without what chosen bundles hold
  double period_days = 0;  // that baskets are expected in; 0: without the joint objective
  std::string fewer;       // why there are fewer offers than asked for; empty: there are not
  std::optional<Together> together;
  double seconds = 0;
};

/// Bundles around the items that the users want most. NoBundle if none meets the constraints.
CatalogSearch search_catalog(const Session& session);

/// The best bundle of each of `users`. Throws NoBundle if there is none for anyone. Where users share stock or uses, a
/// user for whom nothing is left has a bundle without items, of violation 1.
SearchResult search_users(const Session& session, const std::vector<int32_t>& users,
                          std::optional<Together>* together = nullptr);

/// Why an item is in a user's bundle, beside the chance that the model gives it.
struct Reason {
  int64_t bought = 0;    // lines of the user's training purchases
  int32_t partner = -1;  // the other item of the bundle that it is bought with most often against chance; -1: none is
  double lift = 0;       // how many times as often
};
/// One an item of the bundle.
std::vector<Reason> reasons_of(const Session& session, const Bundle& bundle);

/// The `count` items that users want most by their mean probability.
std::vector<int32_t> most_wanted(const Session& session, int64_t count);

}  // namespace sheaf::app
