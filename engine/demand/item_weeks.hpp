#pragma once
/// The panel of the price response (price_response.hpp): items in weeks, with counts and prices. Internal to this
/// folder.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/demand/price_response.hpp"

namespace sheaf {

using PricePair = std::array<double, 2>;  // own, cross

/// An item in a week with at least one purchase.
struct ItemWeek {
  int32_t item = 0, week = 0;
  double count = 0;
  PricePair x{};  // log price ratio; the deviation of the rest of the category
};

/// The item-weeks [begin, end) of one item.
struct ItemWeeks {
  size_t begin = 0, end = 0;
  double count = 0;  // lines
};

/// A line with valid prices.
struct PricedLine {
  int32_t item, day;
  double log_ratio;
};

/// Lines with valid prices by item and day. Counts them, and the discounted ones, in `result`.
std::vector<PricedLine> valid_lines(std::span<const PriceLine> lines, PriceResponse& result);

inline int32_t week_of(int32_t day, int32_t week_start) { return (day + 7 - week_start) / 7; }
/// The day (0 .. 6) whose weeks have the smallest variance of the log ratio within item-weeks; the first of equals.
int32_t best_week_start(const std::vector<PricedLine>& lines);

/// All item-weeks with a line, by item and week; x[1] is 0 until fill_substitutes().
std::vector<ItemWeek> make_item_weeks(const std::vector<PricedLine>& lines, int32_t week_start);
std::vector<ItemWeeks> group_by_item(const std::vector<ItemWeek>& cells);

/// Fills x[1]: sum over the category's other items j of n_j (x(j, w) - mean x(j)) / sum of n_j. An item without a sale
/// in the week counts as at its mean. 0 for an item that is alone.
void fill_substitutes(std::vector<ItemWeek>& cells, const std::vector<ItemWeeks>& items,
                      std::span<const int32_t> category, int64_t n_weeks);

}  // namespace sheaf
