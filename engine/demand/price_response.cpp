#include "engine/demand/price_response.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/demand/item_weeks.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr double kLeastChange = 0.02;  // of log(paid / full), between two weeks of an item
constexpr double kRidge = 1e-9;        // share of a regressor's sum of squares that is left after the items' means
constexpr int kIterations = 100;
constexpr double kConverged = 1e-9;

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

  void add(const PricePair& p, double weight) {
    aa += weight * p[0] * p[0];
    ab += weight * p[0] * p[1];
    bb += weight * p[1] * p[1];
  }
  Square inverse(bool both) const {
    if (!both) return {1.0 / aa, 0.0, 0.0};
    const double determinant = aa * bb - ab * ab;
    return {bb / determinant, -ab / determinant, aa / determinant};
  }
  PricePair times(const PricePair& p) const { return {aa * p[0] + ab * p[1], ab * p[0] + bb * p[1]}; }
};

/// What an item adds at the present rates: sums over its cells.
struct ItemSums {
  double residual = 0, variance = 0;
  PricePair mean{};  // of x, weighted by the variances
};

/// Newton's method for the items' levels and the responses together. Each step eliminates the levels, because every
/// cell has one.
class Fit {
 public:
  Fit(const std::vector<ItemWeek>& cells, std::vector<ItemWeeks> items, std::span<const double> exposure, bool both)
      : cells_(cells), items_(std::move(items)), both_(both), residual_(cells.size()), variance_(cells.size()) {
    for (const ItemWeek& cell : cells) log_exposure_.push_back(std::log(exposure[static_cast<size_t>(cell.week)]));
    for (const ItemWeeks& item : items_) {
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
      PricePair step = inverse.times(score());
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
  const PricePair& response() const { return response_; }

  /// Standard errors, clustered by item.
  PricePair errors() const {
    Square meat;
    for (size_t i = 0; i < items_.size(); ++i) {
      PricePair g{};
      for (size_t c = items_[i].begin; c < items_[i].end; ++c) {
        for (size_t k = 0; k < 2; ++k) g[k] += (cells_[c].x[k] - sums_[i].mean[k]) * residual_[c];
      }
      meat.add(g, 1.0);
    }
    const Square inverse = information().inverse(both_);
    const auto n = static_cast<double>(items_.size());
    const double small_sample = n > 1 ? n / (n - 1) : 1.0;
    const auto variance = [&](const PricePair& row) {
      const PricePair m = meat.times(row);
      return small_sample * (row[0] * m[0] + row[1] * m[1]);
    };
    return {std::sqrt(variance({inverse.aa, inverse.ab})), both_ ? std::sqrt(variance({inverse.ab, inverse.bb})) : 0.0};
  }

 private:
  void evaluate() {
    for (size_t i = 0; i < items_.size(); ++i) {
      ItemSums sums;
      for (size_t c = items_[i].begin; c < items_[i].end; ++c) {
        const PricePair& x = cells_[c].x;
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
  PricePair score() const {
    PricePair s{};
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

  const std::vector<ItemWeek>& cells_;
  std::vector<ItemWeeks> items_;
  bool both_;
  PricePair response_{};
  std::vector<double> levels_, log_exposure_, residual_, variance_;
  std::vector<ItemSums> sums_;
};

/// Whether the deviations of x[k] from the items' means are more than rounding.
bool varies(const std::vector<ItemWeek>& cells, const std::vector<ItemWeeks>& items, size_t k) {
  double all = 0, within = 0;
  for (const ItemWeeks& item : items) {
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
  std::vector<ItemWeek> cells = make_item_weeks(priced, result.week_start);
  std::vector<double> exposure(baskets.size() / 7 + 2);
  for (size_t day = 0; day < baskets.size(); ++day) {
    exposure[static_cast<size_t>(week_of(static_cast<int32_t>(day), result.week_start))] += baskets[day];
  }
  const std::vector<ItemWeeks> all = group_by_item(cells);
  fill_substitutes(cells, all, category, std::ssize(exposure));
  // A single week, or weeks of one line each, says nothing: any level far enough down explains them.
  std::vector<ItemWeeks> items;
  for (const ItemWeeks& item : all) {
    const auto n_cells = static_cast<double>(item.end - item.begin);
    if (item.count < static_cast<double>(params.min_lines) || n_cells < 2 || item.count <= n_cells) continue;
    const auto [low, high] = std::ranges::minmax_element(cells.begin() + static_cast<std::ptrdiff_t>(item.begin),
                                                         cells.begin() + static_cast<std::ptrdiff_t>(item.end), {},
                                                         [](const ItemWeek& cell) { return cell.x[0]; });
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
  const PricePair errors = fit.errors();
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
