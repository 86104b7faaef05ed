#pragma once
/// How sales respond to discounts, estimated from purchases. What a discount on a bundle adds is in increment.hpp.
///
/// THE ASSUMPTION, stated only here: purchases respond with a constant elasticity to a price that is lowered to the
/// share r = 1 - discount of the full price. They grow to r^own times as many, own < 0. Purchases of other items of the
/// same category fall to r^cross times as many, cross > 0. Both are the same for all items, and an offer on a bundle
/// works like a discount on the shelf. If the data cannot say, own = -2 with a standard error of 1 and cross = 0.7 with
/// one of 0.35 are assumed. Reviews of measured elasticities give means of -1.8 (Tellis, 1988) and -2.6
/// (Bijmolt, van Heerde and Pieters, 2005), and about a third of the extra units of a promotion are taken from other
/// products of the category (van Heerde, Gupta and Wittink, 2003).
///
/// The estimate. y(i, w) = purchase lines of item i in week w, x(i, w) = mean of log(paid / full price) over these
/// lines, and s(i, w) = the mean deviation of x from its usual value over the other items of the category, weighted by
/// their sales. Weeks begin on the day for which the prices of an item differ least within a week, because that is when
/// the shop changes them. In weeks that have a sale
///   y(i, w) ~ Poisson(exposure(w) exp(a_i + own x(i, w) + cross s(i, w))), given y(i, w) > 0.
/// A week without a sale shows no price. It is left out, and the condition y > 0
/// (the zero-truncated Poisson likelihood) corrects for that; without it the estimate of rare items is far too close to
/// 0. a_i is the item's own level. The likelihood is concave; Newton's method solves it for all a_i and both responses
/// together. Standard errors are clustered by item (sandwich).
///
/// What it cannot separate: shops choose when to discount, and often advertise at the same time; some of the extra
/// purchases are taken from later weeks (stockpiling); some households use no discount card. Counts that vary more than
/// Poisson counts and prices seen in few lines move the estimate towards 0.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sheaf {

inline constexpr double kAssumedOwn = -2.0, kAssumedOwnError = 1.0;
inline constexpr double kAssumedCross = 0.7, kAssumedCrossError = 0.35;
/// Intervals reach this many standard errors to each side: about 95 %.
inline constexpr double kErrorsWide = 2.0;

/// One line of a basket. A line is left out if a price is not finite or not positive. A paid price above the full one
/// counts as full.
struct PriceLine {
  int32_t item = 0, day = 0;
  double paid = 0, full = 0;  // for one unit, currency of the data
};

/// A response with its standard error.
struct Elasticity {
  double value = 0, error = 0;

  double low() const { return value - kErrorsWide * error; }
  double high() const { return value + kErrorsWide * error; }
  /// Whether 0 is outside the interval.
  bool distinguishable() const { return low() > 0 || high() < 0; }
};

struct PriceResponse {
  Elasticity own, cross;
  std::string own_reason, cross_reason;  // why there is no estimate; empty: there is one
  int64_t n_lines = 0;                   // lines with valid prices
  int64_t n_discounted = 0;              // of them, below 99.5 % of the full price
  int64_t n_items = 0;                   // items of the estimate whose price changes
  int64_t n_observations = 0;            // item-weeks of the estimate
  int32_t week_start = 0;                // the days week_start, week_start + 7, .. begin a week
};

struct PriceResponseParams {
  int64_t min_lines = 10;   // of an item; rarer ones are left out
  int64_t min_items = 20;   // whose price changes; with fewer there is no estimate
  int32_t week_start = -1;  // 0 .. 6, or -1: chosen
};

/// `category` is [n_items]; `baskets` is [n_days], how many baskets each day has, > 0 where there are lines;
/// exposure(w) is their sum over the week. Cross is estimated where there are two categories or more. Double precision,
/// one thread, the same bits each time; O(lines log lines). UsageError for an item or a day out of range and for a day
/// with lines but without baskets.
PriceResponse estimate_price_response(std::span<const PriceLine> lines, std::span<const int32_t> category,
                                      std::span<const double> baskets, const PriceResponseParams& params = {});

/// The response that is used, and its source.
struct UsedResponse {
  enum class Source { given, estimated, assumed };
  Elasticity own, cross;
  Source own_source = Source::assumed, cross_source = Source::assumed;
};

/// A given response (not NaN) is used as it is, without an error. Otherwise the estimate is used if it is
/// distinguishable from 0 or if its interval excludes the assumed value; else the assumption is used.
UsedResponse choose_response(const PriceResponse& estimate, double given_own, double given_cross);

const char* to_string(UsedResponse::Source source);

}  // namespace sheaf
