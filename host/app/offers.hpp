#pragma once
/// Bundles for the shop's shelf, with what a merchant asks about them.

#include <cstdint>
#include <vector>

#include "engine/bundles/bundle_search.hpp"
#include "engine/bundles/increment.hpp"
#include "host/app/campaign.hpp"
#include "host/app/session.hpp"

namespace sheaf::app {

class ChanceTable;

/// A bundle for the shop's shelf, with what a merchant asks about it.
struct Offer {
  Bundle bundle;
  double price = 0;             // sum of the items' usual prices
  double discount = 0;          // suggested, a share of it: min + (max - min) / max(1, lift)
  double offer_price = 0;       // price * (1 - discount)
  double expected_baskets = 0;  // coming baskets of the period that hold at least two of its items; NaN: not foreseen
  double audience = 0;          // expected number of users who buy at least two of its items in the period
  double expected_value = 0;    // expected_baskets, where foreseen, else audience, times offer_price
  BundleIncrement increment;    // what the discount adds against no offer
  double cohesion = 0;          // mean over its pairs of the cosine of counted baskets, 0 .. 1
  double lift = 0;              // mean over its pairs
  double association = 0;       // mean over its pairs of A(i, j) as the search used it
  std::vector<int32_t> users;   // the likeliest ones, best first
};

/// A(i, j) as an affinity search sees it: by associate.by.
class PairAssociation {
 public:
  explicit PairAssociation(const Session& session);
  double operator()(int32_t i, int32_t j) const;

 private:
  const PairCounts& counts_;
  std::string by_;
  PairRule rule_;
  int64_t dim_ = 0;
  double scale_ = 1.0;
  std::vector<float> vectors_;  // [n_items, dim], or empty: counted
};

/// A(i, j) of the given items, [items, items].
std::vector<double> association_matrix(const Session& session, const std::vector<int32_t>& items);

/// The offer of a bundle without what depends on the users: prices, the suggested discount, the association of its
/// pairs.
Offer make_offer(Bundle bundle, const Catalog& catalog, const PairCounts& counts, const PairAssociation& association,
                 const config::Config& config);
/// Fills what depends on the users: audience, expected baskets and value, the likeliest users.
void fill_audience(const ChanceTable& table, const Campaign& plan, std::vector<Offer>& offers);

}  // namespace sheaf::app
