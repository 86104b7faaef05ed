#pragma once
/// What a discount on a bundle adds, compared with no offer.

#include <cstdint>
#include <span>
#include <vector>

#include "engine/demand/price_response.hpp"

namespace sheaf {

/// Purchases of a bundle's items that are expected in a period without an offer. A buyer is a user (or a basket).
struct BundleDemand {
  double population = 0;                 // buyers in all
  double together = 0;                   // buyers who take at least two of the items
  std::vector<double> holding;           // [size] buyers who take the item
  std::vector<double> holding_together;  // [size] of them, with another item of the bundle
  std::vector<double> price, unit_cost;  // [size] full price and cost of a unit, currency of the data
};

/// Sums over buyers, each of whom takes each item independently of the others. `chances` is [n_buyers, size] in [0, 1],
/// row by row; a chance that is not a number counts as 0.
BundleDemand expected_demand(std::span<const double> chances, std::vector<double> price, std::vector<double> unit_cost);

/// An expected value and its interval from the standard errors of the response, low <= expected <= high.
struct Interval {
  double expected = 0, low = 0, high = 0;
};

/// Of one period, in the currency of the data.
struct BundleIncrement {
  Interval turnover;  // of the offer: what those who take it pay
  Interval revenue;   // added to what the shop takes without the offer
  Interval margin;    // the same after costs
};

/// The offer: `discount` off the bundle's items for every buyer of at least two of them. With r = 1 - discount:
///   extra    = min(together (r^own - 1), population - together), at least 0: buyers who take two because of the offer
///   goods    = mean full price of what a buyer of two or more takes
///   single   = mean full price of what a buyer of exactly one takes
///   diverted = cross / -own, from 0 to 1: the share of the extra goods that is taken from other items of their
///       category
///   turnover = (together + extra) goods r
///   revenue  = turnover - together goods - upgrade single - diverted (extra goods - upgrade single)
/// Buyers who would take two anyway get the discount for nothing: together goods (1 - r) is lost on them. Extra buyers
/// are first those who take one item anyway (upgrade = min(extra, buyers of one)): what they pay without the offer is
/// subtracted too. Margin is the same with costs subtracted on both sides; diverted goods have the bundle's own share
/// of costs. An own response above 0 counts as 0.
///
/// The interval: the smallest and the largest value with own and cross anywhere in their intervals. It covers at least
/// as much as kErrorsWide promises. A discount of 0 adds exactly 0. UsageError for sizes that differ and a discount
/// outside [0, 1].
BundleIncrement bundle_increment(const BundleDemand& demand, double discount, const UsedResponse& response);

}  // namespace sheaf
