#include "engine/bundles/increment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr int kSteps = 32;  // of the own response, from one end of its interval to the other

/// A value in money and what it costs the shop.
struct Goods {
  double value = 0, cost = 0;
};

struct Added {
  double turnover = 0, revenue = 0, margin = 0;
};

/// `together_goods` and `single_goods` are means a buyer.
struct Base {
  double population = 0, together = 0, single = 0;
  Goods together_goods, single_goods;
};

Base base_of(const BundleDemand& demand) {
  Base base{demand.population, demand.together, 0.0, {}, {}};
  for (size_t m = 0; m < demand.price.size(); ++m) {
    const double alone = std::max(0.0, demand.holding[m] - demand.holding_together[m]);
    base.single += alone;
    base.single_goods.value += alone * demand.price[m];
    base.single_goods.cost += alone * demand.unit_cost[m];
    base.together_goods.value += demand.holding_together[m] * demand.price[m];
    base.together_goods.cost += demand.holding_together[m] * demand.unit_cost[m];
  }
  const auto divide = [](Goods& goods, double n) { goods = n > 0 ? Goods{goods.value / n, goods.cost / n} : Goods{}; };
  divide(base.together_goods, base.together);
  divide(base.single_goods, base.single);
  return base;
}

Added added(const Base& base, double discount, double own, double cross) {
  const double r = 1.0 - discount, answer = std::max(0.0, -own);
  const double growth = r > 0 ? std::pow(r, -answer) - 1.0 : answer > 0 ? base.population : 0.0;
  const double extra = std::clamp(base.together * growth, 0.0, std::max(0.0, base.population - base.together));
  const double upgrade = std::min(extra, base.single);
  const double diverted = answer > 0 ? std::clamp(cross / answer, 0.0, 1.0) : 0.0;
  const double more = std::max(0.0, extra * base.together_goods.value - upgrade * base.single_goods.value);
  const double takers = base.together + extra;
  Added result;
  result.turnover = takers * base.together_goods.value * r;
  const double without = base.together * base.together_goods.value + upgrade * base.single_goods.value;
  result.revenue = result.turnover - without - diverted * more;
  const double costs =
      takers * base.together_goods.cost - base.together * base.together_goods.cost - upgrade * base.single_goods.cost;
  const double cost_share = base.together_goods.value > 0 ? base.together_goods.cost / base.together_goods.value : 0.0;
  result.margin = result.revenue - costs + diverted * more * cost_share;
  return result;
}

}  // namespace

BundleDemand expected_demand(std::span<const double> chances, std::vector<double> price,
                             std::vector<double> unit_cost) {
  const size_t size = price.size();
  if (size == 0 || unit_cost.size() != size || chances.size() % size != 0) {
    throw UsageError(
        fmt::format("a bundle of {} prices, {} costs and {} chances", size, unit_cost.size(), chances.size()));
  }
  BundleDemand demand;
  demand.holding.resize(size);
  demand.holding_together.resize(size);
  std::vector<double> p(size);
  for (size_t first = 0; first < chances.size(); first += size) {
    double none = 1, one = 0;
    for (size_t m = 0; m < size; ++m) {
      const double chance = chances[first + m];
      p[m] = std::isnan(chance) ? 0.0 : std::clamp(chance, 0.0, 1.0);
      one = one * (1 - p[m]) + none * p[m];
      none *= 1 - p[m];
    }
    demand.together += std::max(0.0, 1 - none - one);
    demand.population += 1;
    for (size_t m = 0; m < size; ++m) {
      double without_others = 1;
      for (size_t k = 0; k < size; ++k) without_others *= k == m ? 1.0 : 1 - p[k];
      demand.holding[m] += p[m];
      demand.holding_together[m] += p[m] * (1 - without_others);
    }
  }
  demand.price = std::move(price);
  demand.unit_cost = std::move(unit_cost);
  return demand;
}

BundleIncrement bundle_increment(const BundleDemand& demand, double discount, const UsedResponse& response) {
  const size_t size = demand.price.size();
  if (demand.holding.size() != size || demand.holding_together.size() != size || demand.unit_cost.size() != size) {
    throw UsageError("a bundle's demand, prices and costs are not of one size");
  }
  if (!(discount >= 0 && discount <= 1)) {
    throw UsageError(fmt::format("a discount of {}", discount), "a discount is a share from 0 to 1");
  }
  const Base base = base_of(demand);
  BundleIncrement result;
  const auto at = [&](double own, double cross) {
    // Without a discount nothing changes; rounding must not say otherwise.
    if (discount == 0) return Added{base.together * base.together_goods.value, 0.0, 0.0};
    return added(base, discount, own, cross);
  };
  const auto start = [](Interval& interval, double value) { interval = {value, value, value}; };
  const Added expected = at(response.own.value, response.cross.value);
  start(result.turnover, expected.turnover);
  start(result.revenue, expected.revenue);
  start(result.margin, expected.margin);
  const auto widen = [](Interval& interval, double value) {
    interval.low = std::min(interval.low, value);
    interval.high = std::max(interval.high, value);
  };
  // Every value is monotone in `cross`. It need not be so in `own`: while everything that is added is diverted, adding
  // more loses more.
  for (const double cross : {response.cross.low(), response.cross.high()}) {
    std::vector<double> owns{
        std::clamp(-cross, response.own.low(), response.own.high())};  // from here on not all is diverted
    for (int step = 0; step <= kSteps; ++step) {
      owns.push_back(response.own.low() + (response.own.high() - response.own.low()) * step / kSteps);
    }
    for (const double own : owns) {
      const Added there = at(own, cross);
      widen(result.turnover, there.turnover);
      widen(result.revenue, there.revenue);
      widen(result.margin, there.margin);
    }
  }
  return result;
}

}  // namespace sheaf
