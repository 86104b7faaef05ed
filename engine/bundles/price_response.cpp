#include "engine/bundles/price_response.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr double kLeastRatio = 0.1;  // of paid to full price: what is almost given away says nothing of elasticity
constexpr double kDiscountedBelow = 0.995;  // cents are rounded
constexpr double kLeastChange = 0.02;       // of log(paid / full), between two weeks of an item
constexpr double kRidge = 1e-9;             // share of a regressor's sum of squares that is left after the items' means
constexpr double kSameSpread = 1e-6;        // relative: no reason to begin weeks on another day
constexpr int kIterations = 100;
constexpr double kConverged = 1e-9;

using Pair = std::array<double, 2>;  // own, cross

/// An item in a week with at least one purchase.
struct Cell {
  int32_t item = 0, week = 0;
  double count = 0;
  Pair x{};  // log price ratio; the deviation of the rest of the category
};

/// A line with valid prices.
struct PricedLine {
  int32_t item, day;
  double log_ratio;
};

/// By item and day; counts what is discounted.
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

int32_t week_of(int32_t day, int32_t week_start) { return (day + 7 - week_start) / 7; }

/// All cells, by item and week.
std::vector<Cell> make_cells(const std::vector<PricedLine>& lines, int32_t week_start) {
  std::vector<Cell> cells;
  cells.reserve(lines.size());
  for (const PricedLine& line : lines) {
    const int32_t week = week_of(line.day, week_start);
    if (cells.empty() || cells.back().item != line.item || cells.back().week != week) {
      cells.push_back({line.item, week, 0.0, {}});
    }
    cells.back().count += 1;
    cells.back().x[0] += line.log_ratio;
  }
  for (Cell& cell : cells) cell.x[0] /= cell.count;
  return cells;
}

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

/// The day of the week whose weeks have the smallest spread; the first of equals.
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

/// The cells [begin, end) of one item.
struct ItemCells {
  size_t begin = 0, end = 0;
  double count = 0;  // lines
};

std::vector<ItemCells> group_by_item(const std::vector<Cell>& cells) {
  std::vector<ItemCells> items;
  for (size_t c = 0; c < cells.size(); ++c) {
    if (c == 0 || cells[c].item != cells[c - 1].item) items.push_back({c, c, 0.0});
    items.back().end = c + 1;
    items.back().count += cells[c].count;
  }
  return items;
}

/// Fills x[1]: sum over the category's other items j of n_j (x(j, w) - mean x(j)) / sum of n_j. An item without a sale in the week
/// counts as at its mean. 0 for an item that is alone.
void fill_substitutes(std::vector<Cell>& cells, const std::vector<ItemCells>& items, std::span<const int32_t> category,
                      int64_t n_weeks) {
  const int32_t n_categories = *std::ranges::max_element(category) + 1;
  std::vector<double> lines_of(static_cast<size_t>(n_categories));
  std::vector<double> sums(static_cast<size_t>(n_categories) * static_cast<size_t>(n_weeks));
  std::vector<double> own(cells.size());  // n_i (x(i, w) - mean x(i))
  const auto category_of = [&](const Cell& cell) {
    return static_cast<size_t>(category[static_cast<size_t>(cell.item)]);
  };
  const auto slot = [&](const Cell& cell) {
    return category_of(cell) * static_cast<size_t>(n_weeks) + static_cast<size_t>(cell.week);
  };
  for (const ItemCells& item : items) {
    double mean = 0;
    for (size_t c = item.begin; c < item.end; ++c) mean += cells[c].count * cells[c].x[0];
    mean /= item.count;
    lines_of[category_of(cells[item.begin])] += item.count;
    for (size_t c = item.begin; c < item.end; ++c) {
      own[c] = item.count * (cells[c].x[0] - mean);
      sums[slot(cells[c])] += own[c];
    }
  }
  for (const ItemCells& item : items) {
    const double others = lines_of[category_of(cells[item.begin])] - item.count;
    for (size_t c = item.begin; c < item.end; ++c) {
      cells[c].x[1] = others > 0 ? (sums[slot(cells[c])] - own[c]) / others : 0.0;
    }
  }
}

/// Of the zero-truncated Poisson distribution with rate `rate`.
struct Truncated {
  double mean, variance;
};
Truncated truncated(double rate) {
  // rate / (1 - exp(-rate)) = 1 + rate / 2 + ..
  const double mean = rate > 1e-8 ? rate / -std::expm1(-rate) : 1.0 + rate / 2;
  const double variance = rate > 1e-4 ? mean * (1.0 + rate - mean) : rate / 2;
  return {mean, std::max(variance, 1e-300)};
}

/// Symmetric 2 x 2, or 1 x 1 where only the own price is asked for.
struct Square {
  double aa = 0, ab = 0, bb = 0;

  void add(const Pair& p, double weight) {
    aa += weight * p[0] * p[0];
    ab += weight * p[0] * p[1];
    bb += weight * p[1] * p[1];
  }
  Square inverse(bool both) const {
    if (!both) return {1.0 / aa, 0.0, 0.0};
    const double determinant = aa * bb - ab * ab;
    return {bb / determinant, -ab / determinant, aa / determinant};
  }
  Pair times(const Pair& p) const { return {aa * p[0] + ab * p[1], ab * p[0] + bb * p[1]}; }
};

/// What an item adds at the present rates: sums over its cells.
struct ItemSums {
  double residual = 0, variance = 0;
  Pair mean{};  // of x, weighted by the variances
};

/// Newton's method for the items' levels and the responses together. The levels are eliminated from each step, because every cell has one.
class Fit {
 public:
  Fit(const std::vector<Cell>& cells, std::vector<ItemCells> items, std::span<const double> exposure, bool both)
      : cells_(cells), items_(std::move(items)), both_(both), residual_(cells.size()), variance_(cells.size()) {
    for (const Cell& cell : cells) log_exposure_.push_back(std::log(exposure[static_cast<size_t>(cell.week)]));
    for (const ItemCells& item : items_) {
      double baskets = 0;
      for (size_t c = item.begin; c < item.end; ++c) baskets += exposure[static_cast<size_t>(cells[c].week)];
      const double above =
          item.count - 0.8 * static_cast<double>(item.end - item.begin);  // a guess of what truncation hides
      levels_.push_back(std::log(std::max(above, 0.1) / baskets));
    }
    sums_.resize(items_.size());
  }

  /// False if it does not converge.
  bool solve() {
    for (int iteration = 0; iteration < kIterations; ++iteration) {
      evaluate();
      const Square inverse = information().inverse(both_);
      Pair step = inverse.times(score());
      double largest = 0;
      for (double& s : step) {
        if (!std::isfinite(s)) return false;
        s = std::clamp(s, -1.0, 1.0);
        largest = std::max(largest, std::abs(s));
      }
      for (size_t i = 0; i < items_.size(); ++i) {
        const ItemSums& sums = sums_[i];
        const double own = sums.residual / sums.variance - sums.mean[0] * step[0] - sums.mean[1] * step[1];
        levels_[i] += std::clamp(own, -1.5, 1.5);
        largest = std::max(largest, std::abs(own) * 1e-3);  // a level may be less exact than a response
      }
      for (size_t k = 0; k < 2; ++k) response_[k] += step[k];
      if (largest < kConverged) {
        evaluate();
        return true;
      }
    }
    return false;
  }
  const Pair& response() const { return response_; }

  /// Standard errors, clustered by item.
  Pair errors() const {
    Square meat;
    for (size_t i = 0; i < items_.size(); ++i) {
      Pair g{};
      for (size_t c = items_[i].begin; c < items_[i].end; ++c) {
        for (size_t k = 0; k < 2; ++k) g[k] += (cells_[c].x[k] - sums_[i].mean[k]) * residual_[c];
      }
      meat.add(g, 1.0);
    }
    const Square inverse = information().inverse(both_);
    const auto n = static_cast<double>(items_.size());
    const double small_sample = n > 1 ? n / (n - 1) : 1.0;
    const auto variance = [&](const Pair& row) {
      const Pair m = meat.times(row);
      return small_sample * (row[0] * m[0] + row[1] * m[1]);
    };
    return {std::sqrt(variance({inverse.aa, inverse.ab})), both_ ? std::sqrt(variance({inverse.ab, inverse.bb})) : 0.0};
  }

 private:
  void evaluate() {
    for (size_t i = 0; i < items_.size(); ++i) {
      ItemSums sums;
      for (size_t c = items_[i].begin; c < items_[i].end; ++c) {
        const Pair& x = cells_[c].x;
        const double log_rate = log_exposure_[c] + levels_[i] + response_[0] * x[0] + response_[1] * x[1];
        const Truncated t = truncated(std::exp(std::min(log_rate, 50.0)));
        residual_[c] = cells_[c].count - t.mean;
        variance_[c] = t.variance;
        sums.residual += residual_[c];
        sums.variance += t.variance;
        for (size_t k = 0; k < 2; ++k) sums.mean[k] += t.variance * x[k];
      }
      for (double& m : sums.mean) m /= sums.variance;
      sums_[i] = sums;
    }
  }
  Pair score() const {
    Pair s{};
    for (size_t i = 0; i < items_.size(); ++i) {
      for (size_t c = items_[i].begin; c < items_[i].end; ++c) {
        for (size_t k = 0; k < 2; ++k) s[k] += (cells_[c].x[k] - sums_[i].mean[k]) * residual_[c];
      }
    }
    if (!both_) s[1] = 0;
    return s;
  }
  Square information() const {
    Square h;
    for (size_t i = 0; i < items_.size(); ++i) {
      for (size_t c = items_[i].begin; c < items_[i].end; ++c) {
        h.add({cells_[c].x[0] - sums_[i].mean[0], cells_[c].x[1] - sums_[i].mean[1]}, variance_[c]);
      }
    }
    return h;
  }

  const std::vector<Cell>& cells_;
  std::vector<ItemCells> items_;
  bool both_;
  Pair response_{};
  std::vector<double> levels_, log_exposure_, residual_, variance_;
  std::vector<ItemSums> sums_;
};

/// Whether the deviations of x[k] from the items' means are more than rounding.
bool varies(const std::vector<Cell>& cells, const std::vector<ItemCells>& items, size_t k) {
  double all = 0, within = 0;
  for (const ItemCells& item : items) {
    double mean = 0;
    for (size_t c = item.begin; c < item.end; ++c) mean += cells[c].x[k];
    mean /= static_cast<double>(item.end - item.begin);
    for (size_t c = item.begin; c < item.end; ++c) {
      all += cells[c].x[k] * cells[c].x[k];
      within += (cells[c].x[k] - mean) * (cells[c].x[k] - mean);
    }
  }
  return within > kRidge * all && within > 0;
}

void check_lines(std::span<const PriceLine> lines, std::span<const int32_t> category, std::span<const double> baskets) {
  for (const PriceLine& line : lines) {
    if (line.item < 0 || line.item >= std::ssize(category)) {
      throw UsageError(fmt::format("price response: item {} of {}", line.item, category.size()));
    }
    if (line.day < 0 || line.day >= std::ssize(baskets)) {
      throw UsageError(fmt::format("price response: day {} of {}", line.day, baskets.size()));
    }
    if (!(baskets[static_cast<size_t>(line.day)] > 0)) {
      throw UsageError(fmt::format("price response: day {} has lines but no baskets", line.day));
    }
  }
  for (const int32_t c : category) {
    if (c < 0) throw UsageError(fmt::format("price response: category {}", c));
  }
}

}  // namespace

PriceResponse estimate_price_response(std::span<const PriceLine> lines, std::span<const int32_t> category,
                                      std::span<const double> baskets, const PriceResponseParams& params) {
  check_lines(lines, category, baskets);
  PriceResponse result;
  const std::vector<PricedLine> priced = valid_lines(lines, result);
  const auto cannot = [&](const std::string& reason) {
    result.own_reason = result.cross_reason = reason;
    return result;
  };
  if (result.n_discounted == 0) return cannot("no discounts");

  result.week_start = params.week_start >= 0 ? params.week_start : best_week_start(priced);
  std::vector<Cell> cells = make_cells(priced, result.week_start);
  std::vector<double> exposure(baskets.size() / 7 + 2);
  for (size_t day = 0; day < baskets.size(); ++day) {
    exposure[static_cast<size_t>(week_of(static_cast<int32_t>(day), result.week_start))] += baskets[day];
  }
  const std::vector<ItemCells> all = group_by_item(cells);
  fill_substitutes(cells, all, category, std::ssize(exposure));
  // A single week, or weeks of one line each, says nothing: any level far enough down explains them.
  std::vector<ItemCells> items;
  for (const ItemCells& item : all) {
    const auto n_cells = static_cast<double>(item.end - item.begin);
    if (item.count < static_cast<double>(params.min_lines) || n_cells < 2 || item.count <= n_cells) continue;
    const auto [low, high] = std::ranges::minmax_element(cells.begin() + static_cast<std::ptrdiff_t>(item.begin),
                                                         cells.begin() + static_cast<std::ptrdiff_t>(item.end), {},
                                                         [](const Cell& cell) { return cell.x[0]; });
    result.n_items += high->x[0] - low->x[0] > kLeastChange ? 1 : 0;
    result.n_observations += static_cast<int64_t>(item.end - item.begin);
    items.push_back(item);
  }
  if (result.n_items < params.min_items) {
    return cannot(
        fmt::format("too few price changes: {} items with at least {} lines change their price, {} are needed",
                    result.n_items, params.min_lines, params.min_items));
  }
  const bool has_categories = std::ranges::adjacent_find(category, std::ranges::not_equal_to{}) != category.end();
  const bool both = has_categories && varies(cells, items, 1);
  if (!both) result.cross_reason = has_categories ? "no discounts of other items of a category" : "no categories";
  Fit fit(cells, std::move(items), exposure, both);
  if (!fit.solve()) return cannot("the estimate does not converge");
  const Pair errors = fit.errors();
  result.own = {fit.response()[0], errors[0]};
  if (both) result.cross = {fit.response()[1], errors[1]};
  return result;
}

UsedResponse choose_response(const PriceResponse& estimate, double given_own, double given_cross) {
  using Source = UsedResponse::Source;
  const auto choose = [](double given, const Elasticity& found, const std::string& reason, Elasticity assumed,
                         Source& source) {
    if (!std::isnan(given)) {
      source = Source::given;
      return Elasticity{given, 0.0};
    }
    const bool excludes = found.low() > assumed.value || found.high() < assumed.value;
    source = reason.empty() && (found.distinguishable() || excludes) ? Source::estimated : Source::assumed;
    return source == Source::estimated ? found : assumed;
  };
  UsedResponse used;
  used.own = choose(given_own, estimate.own, estimate.own_reason, {kAssumedOwn, kAssumedOwnError}, used.own_source);
  used.cross = choose(given_cross, estimate.cross, estimate.cross_reason, {kAssumedCross, kAssumedCrossError},
                      used.cross_source);
  return used;
}

const char* to_string(UsedResponse::Source source) {
  switch (source) {
    case UsedResponse::Source::given: return "given";
    case UsedResponse::Source::estimated: return "estimated";
    case UsedResponse::Source::assumed: return "assumed";
  }
  return "";
}

}  // namespace sheaf
