#include "engine/demand/item_weeks.hpp"

#include <algorithm>
#include <cmath>

namespace sheaf {
namespace {

constexpr double kLeastRatio = 0.1;  // of paid to full price: what is almost given away says nothing of elasticity
constexpr double kDiscountedBelow = 0.995;  // cents are rounded
constexpr double kSameSpread = 1e-6;        // relative: no reason to begin weeks on another day

/// Variance of the log ratio within cells.
double spread_of(const std::vector<PricedLine>& lines, int32_t week_start) {
  double squares = 0, mean = 0;
  int64_t count = 0, n_cells = 0;
  int32_t item = -1, week = -1;
  for (const PricedLine& line : lines) {
    const int32_t own_week = week_of(line.day, week_start);
    if (line.item != item || own_week != week) {
      item = line.item;
      week = own_week;
      mean = 0;
      count = 0;
      ++n_cells;
    }
    const double away = line.log_ratio - mean;
    mean += away / static_cast<double>(++count);  // of the cell so far (Welford, 1962)
    squares += away * (line.log_ratio - mean);
  }
  const int64_t freedom = std::ssize(lines) - n_cells;
  return freedom > 0 ? squares / static_cast<double>(freedom) : 0.0;
}

}  // namespace

std::vector<PricedLine> valid_lines(std::span<const PriceLine> lines, PriceResponse& result) {
  std::vector<PricedLine> valid;
  valid.reserve(lines.size());
  for (const PriceLine& line : lines) {
    if (!(std::isfinite(line.paid) && std::isfinite(line.full) && line.paid > 0 && line.full > 0)) continue;
    const double ratio = std::clamp(line.paid / line.full, kLeastRatio, 1.0);
    result.n_discounted += ratio < kDiscountedBelow ? 1 : 0;
    valid.push_back({line.item, line.day, std::log(ratio)});
  }
  result.n_lines = std::ssize(valid);
  std::ranges::stable_sort(valid, [](const PricedLine& a, const PricedLine& b) {
    return a.item != b.item ? a.item < b.item : a.day < b.day;
  });
  return valid;
}

std::vector<ItemWeek> make_item_weeks(const std::vector<PricedLine>& lines, int32_t week_start) {
  std::vector<ItemWeek> cells;
  cells.reserve(lines.size());
  for (const PricedLine& line : lines) {
    const int32_t week = week_of(line.day, week_start);
    if (cells.empty() || cells.back().item != line.item || cells.back().week != week) {
      cells.push_back({line.item, week, 0.0, {}});
    }
    cells.back().count += 1;
    cells.back().x[0] += line.log_ratio;
  }
  for (ItemWeek& cell : cells) cell.x[0] /= cell.count;
  return cells;
}

int32_t best_week_start(const std::vector<PricedLine>& lines) {
  int32_t best = 0;
  double least = spread_of(lines, 0);
  for (int32_t start = 1; start < 7; ++start) {
    const double spread = spread_of(lines, start);
    if (spread >= least * (1.0 - kSameSpread)) continue;
    least = spread;
    best = start;
  }
  return best;
}

std::vector<ItemWeeks> group_by_item(const std::vector<ItemWeek>& cells) {
  std::vector<ItemWeeks> items;
  for (size_t c = 0; c < cells.size(); ++c) {
    if (c == 0 || cells[c].item != cells[c - 1].item) items.push_back({c, c, 0.0});
    items.back().end = c + 1;
    items.back().count += cells[c].count;
  }
  return items;
}

void fill_substitutes(std::vector<ItemWeek>& cells, const std::vector<ItemWeeks>& items,
                      std::span<const int32_t> category, int64_t n_weeks) {
  const int32_t n_categories = *std::ranges::max_element(category) + 1;
  std::vector<double> lines_of(static_cast<size_t>(n_categories));
  std::vector<double> sums(static_cast<size_t>(n_categories) * static_cast<size_t>(n_weeks));
  std::vector<double> own(cells.size());  // n_i (x(i, w) - mean x(i))
  const auto category_of = [&](const ItemWeek& cell) {
    return static_cast<size_t>(category[static_cast<size_t>(cell.item)]);
  };
  const auto slot = [&](const ItemWeek& cell) {
    return category_of(cell) * static_cast<size_t>(n_weeks) + static_cast<size_t>(cell.week);
  };
  for (const ItemWeeks& item : items) {
    double mean = 0;
    for (size_t c = item.begin; c < item.end; ++c) mean += cells[c].count * cells[c].x[0];
    mean /= item.count;
    lines_of[category_of(cells[item.begin])] += item.count;
    for (size_t c = item.begin; c < item.end; ++c) {
      own[c] = item.count * (cells[c].x[0] - mean);
      sums[slot(cells[c])] += own[c];
    }
  }
  for (const ItemWeeks& item : items) {
    const double others = lines_of[category_of(cells[item.begin])] - item.count;
    for (size_t c = item.begin; c < item.end; ++c) {
      cells[c].x[1] = others > 0 ? (sums[slot(cells[c])] - own[c]) / others : 0.0;
    }
  }
}

}  // namespace sheaf
