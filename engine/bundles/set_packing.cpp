#include "engine/bundles/set_packing.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <set>
#include <utility>

#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr int64_t kPriceSteps = 200;  // of the prices
constexpr int64_t kPasses = 20;       // of the exchanges
constexpr ptrdiff_t kNext = 32;       // best columns of an item that are tried where one has left
constexpr double kSlack = 1e-9;       // of demands that fill a stock, relative
constexpr double kGain = 1e-12;       // an exchange is worth more than this share of the value

int64_t shared(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  int64_t n = 0;
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    if (*i == *j) ++n;
    if (*i <= *j) {
      ++i;
    } else {
      ++j;
    }
  }
  return n;
}

double capacity(const PackingConstraints& constraints, int32_t item) {
  const double stock = constraints.stock.empty() ? std::numeric_limits<double>::infinity()
                                                 : constraints.stock[static_cast<size_t>(item)];
  return stock * (1.0 + kSlack);
}

/// Which columns hold an item, and which are a subject's.
struct Index {
  Index(const std::vector<Column>& columns, const std::vector<int64_t>& order, int64_t n_items)
      : rank(columns.size(), -1), subject(columns.size()), of_item(static_cast<size_t>(n_items)) {
    std::vector<int64_t> subjects;
    for (const Column& column : columns) subjects.push_back(column.bundle.subject);
    std::ranges::sort(subjects);
    subjects.erase(std::ranges::unique(subjects).begin(), subjects.end());
    of_subject.resize(subjects.size());
    for (size_t r = 0; r < order.size(); ++r) {
      const int64_t c = order[r];
      const Bundle& bundle = columns[static_cast<size_t>(c)].bundle;
      rank[static_cast<size_t>(c)] = static_cast<int64_t>(r);
      for (const int32_t i : bundle.items) of_item[static_cast<size_t>(i)].push_back(c);
      const auto at = static_cast<size_t>(std::ranges::lower_bound(subjects, bundle.subject) - subjects.begin());
      subject[static_cast<size_t>(c)] = at;
      of_subject[at].push_back(c);
    }
  }
  std::vector<int64_t> rank;                              // in the order by value; -1: not to be chosen
  std::vector<size_t> subject;                            // of each column, counted from 0
  std::vector<std::vector<int64_t>> of_item, of_subject;  // best first
};

/// Columns that go together, and what they use.
class Choice {
 public:
  Choice(const std::vector<Column>& columns, const PackingConstraints& constraints, const Index& index)
      : columns_(columns),
        constraints_(constraints),
        index_(index),
        chosen_(columns.size()),
        holders_(index.of_item.size()),
        of_subject_(index.of_subject.size()),
        sold_(holders_.size(), 0.0) {}

  std::vector<int64_t> members() const {
    std::vector<int64_t> list;
    for (const auto& [rank, column] : members_) list.push_back(column);
    return list;
  }
  double value() const { return value_; }

  /// Whether nothing must go before column c can come.
  bool fits(int64_t c) const {
    const Column& column = columns_[static_cast<size_t>(c)];
    if (chosen_[static_cast<size_t>(c)]) return false;
    if (constraints_.count > 0 && std::ssize(members_) >= constraints_.count) return false;
    if (constraints_.one_per_subject && !of_subject_[index_.subject[static_cast<size_t>(c)]].empty()) return false;
    for (const int32_t i : column.bundle.items) {
      const auto at = static_cast<size_t>(i);
      if (constraints_.max_uses > 0 && std::ssize(holders_[at]) >= constraints_.max_uses) return false;
      if (sold_[at] + column.demand > capacity(constraints_, i)) return false;
      if (constraints_.max_overlap == kAnyOverlap) continue;
      for (const int64_t m : holders_[at]) {
        const auto& items = columns_[static_cast<size_t>(m)].bundle.items;
        if (items == column.bundle.items || shared(items, column.bundle.items) > constraints_.max_overlap) return false;
      }
    }
    return true;
  }

  /// Members that must go before column c can come, the least worth of those that may choose; false if it never can.
  bool in_the_way(int64_t c, std::vector<int64_t>& leaving) const {
    leaving.clear();
    const Column& column = columns_[static_cast<size_t>(c)];
    if (chosen_[static_cast<size_t>(c)]) return false;
    const auto goes = [&](int64_t m) {
      if (std::ranges::find(leaving, m) == leaving.end()) leaving.push_back(m);
    };
    const auto stays = [&](int64_t m) { return std::ranges::find(leaving, m) == leaving.end(); };
    if (constraints_.one_per_subject) {
      for (const int64_t m : of_subject_[index_.subject[static_cast<size_t>(c)]]) goes(m);
    }
    for (const int32_t i : column.bundle.items) {
      if (constraints_.max_overlap == kAnyOverlap) break;
      for (const int64_t m : holders_[static_cast<size_t>(i)]) {
        const auto& items = columns_[static_cast<size_t>(m)].bundle.items;
        if (items == column.bundle.items || shared(items, column.bundle.items) > constraints_.max_overlap) goes(m);
      }
    }
    for (const int32_t i : column.bundle.items) {
      if (column.demand > capacity(constraints_, i)) return false;
      std::vector<int64_t> holders = holders_[static_cast<size_t>(i)];
      std::erase_if(holders, [&](int64_t m) { return !stays(m); });
      std::ranges::sort(holders, std::ranges::greater{},
                        [&](int64_t m) { return index_.rank[static_cast<size_t>(m)]; });
      double sold = 0.0;
      for (const int64_t m : holders) sold += columns_[static_cast<size_t>(m)].demand;
      auto left = std::ssize(holders);
      for (const int64_t m : holders) {
        const bool used_up = constraints_.max_uses > 0 && left + 1 > constraints_.max_uses;
        if (!used_up && sold + column.demand <= capacity(constraints_, i)) break;
        goes(m);
        sold -= columns_[static_cast<size_t>(m)].demand;
        --left;
      }
    }
    if (constraints_.count > 0 && std::ssize(members_) - std::ssize(leaving) + 1 > constraints_.count) {
      const auto least =
          std::find_if(members_.rbegin(), members_.rend(), [&](const auto& m) { return stays(m.second); });
      goes(least->second);
    }
    return true;
  }

  void fill(const std::vector<int64_t>& order) {
    for (const int64_t c : order) {
      if (fits(c)) add(c);
    }
  }

  /// Column c for `leaving`, and what then fits where they were; taken back unless it is worth something.
  bool exchange(int64_t c, const std::vector<int64_t>& leaving) {
    const double before = value_;
    std::vector<int64_t> next;
    for (const int64_t m : leaving) {
      remove(m);
      const auto& own = index_.of_subject[index_.subject[static_cast<size_t>(m)]];
      next.insert(next.end(), own.begin(), own.end());
      for (const int32_t i : columns_[static_cast<size_t>(m)].bundle.items) {
        const auto& more = index_.of_item[static_cast<size_t>(i)];
        next.insert(next.end(), more.begin(), more.begin() + std::min(std::ssize(more), kNext));
      }
    }
    const auto rank = [&](int64_t m) { return index_.rank[static_cast<size_t>(m)]; };
    std::ranges::sort(next, {}, rank);
    next.erase(std::ranges::unique(next).begin(), next.end());
    add(c);
    std::vector<int64_t> added{c};
    for (const int64_t m : next) {
      if (!fits(m)) continue;
      add(m);
      added.push_back(m);
    }
    if (value_ > before + kGain * std::abs(before)) return true;
    for (const int64_t m : added) remove(m);
    for (const int64_t m : leaving) add(m);
    value_ = before;
    return false;
  }

 private:
  static constexpr int64_t kAnyOverlap = std::numeric_limits<int64_t>::max();

  void add(int64_t c) {
    const Column& column = columns_[static_cast<size_t>(c)];
    chosen_[static_cast<size_t>(c)] = true;
    members_.emplace(index_.rank[static_cast<size_t>(c)], c);
    of_subject_[index_.subject[static_cast<size_t>(c)]].push_back(c);
    value_ += static_cast<double>(column.bundle.value);
    for (const int32_t i : column.bundle.items) {
      holders_[static_cast<size_t>(i)].push_back(c);
      sold_[static_cast<size_t>(i)] += column.demand;
    }
  }
  void remove(int64_t c) {
    const Column& column = columns_[static_cast<size_t>(c)];
    chosen_[static_cast<size_t>(c)] = false;
    members_.erase({index_.rank[static_cast<size_t>(c)], c});
    std::erase(of_subject_[index_.subject[static_cast<size_t>(c)]], c);
    value_ -= static_cast<double>(column.bundle.value);
    for (const int32_t i : column.bundle.items) {
      auto& own = holders_[static_cast<size_t>(i)];
      std::erase(own, c);
      double& sold = sold_[static_cast<size_t>(i)];
      sold = 0.0;  // anew: differences would leave rounding behind
      for (const int64_t m : own) sold += columns_[static_cast<size_t>(m)].demand;
    }
  }

  const std::vector<Column>& columns_;
  const PackingConstraints& constraints_;
  const Index& index_;
  std::vector<bool> chosen_;
  std::vector<std::vector<int64_t>> holders_, of_subject_;  // members by item and by subject
  std::vector<double> sold_;                                // of each item
  std::set<std::pair<int64_t, int64_t>> members_;           // (rank, column): best first
  double value_ = 0.0;
};

/// One column in, those in its way out, while that is worth something.
void improve(Choice& choice, const std::vector<int64_t>& order) {
  std::vector<int64_t> leaving;
  for (int64_t pass = 0; pass < kPasses; ++pass) {
    bool better = false;
    for (const int64_t c : order) {
      if (choice.in_the_way(c, leaving) && choice.exchange(c, leaving)) better = true;
    }
    if (!better) return;
  }
}

/// Prices of uses and of stock, and the least bound that they showed.
struct Prices {
  std::vector<double> use, unit;
  double bound = std::numeric_limits<double>::infinity();
};

class Dual {
 public:
  Dual(const std::vector<Column>& columns, const PackingConstraints& constraints, const Index& index, size_t n_items)
      : columns_(columns), constraints_(constraints), index_(index), reduced_(columns.size()) {
    current_.use.assign(n_items, 0.0);
    current_.unit.assign(n_items, 0.0);
    best_ = current_;
  }

  /// `value` is that of a choice: steps are towards it (Polyak, 1969).
  Prices run(double value) {
    for (int64_t step = 0; step < kPriceSteps; ++step) {
      const std::vector<int64_t> taken = best_response();
      double bound = 0.0, length = 0.0;
      for (const int64_t c : taken) bound += reduced_[static_cast<size_t>(c)];
      std::vector<double> uses(current_.use.size(), 0.0), units(uses.size(), 0.0);
      for (const int64_t c : taken) {
        const Column& column = columns_[static_cast<size_t>(c)];
        for (const int32_t i : column.bundle.items) {
          uses[static_cast<size_t>(i)] += 1.0;
          units[static_cast<size_t>(i)] += column.demand;
        }
      }
      for (size_t i = 0; i < uses.size(); ++i) {
        bound += price_of(i);
        uses[i] = constraints_.max_uses > 0 ? uses[i] - static_cast<double>(constraints_.max_uses) : 0.0;
        units[i] = limited(i) ? units[i] - constraints_.stock[i] : 0.0;
        length += uses[i] * uses[i] + units[i] * units[i];
      }
      if (bound < best_.bound) {
        best_ = current_;
        best_.bound = bound;
      }
      if (length == 0.0 || best_.bound <= value) break;
      const double size = 1.5 / (1.0 + 0.05 * static_cast<double>(step)) * std::max(bound - value, 0.0) / length;
      for (size_t i = 0; i < uses.size(); ++i) {
        current_.use[i] = std::max(0.0, current_.use[i] + size * uses[i]);
        current_.unit[i] = std::max(0.0, current_.unit[i] + size * units[i]);
      }
    }
    return best_;
  }

 private:
  bool limited(size_t i) const { return !constraints_.stock.empty() && std::isfinite(constraints_.stock[i]); }
  double price_of(size_t i) const {
    const double uses = constraints_.max_uses > 0 ? current_.use[i] * static_cast<double>(constraints_.max_uses) : 0.0;
    return uses + (limited(i) ? current_.unit[i] * constraints_.stock[i] : 0.0);
  }

  /// The columns that a buyer at these prices takes, if nothing but the number of columns and of each subject's held.
  std::vector<int64_t> best_response() {
    std::vector<int64_t> taken;
    for (size_t c = 0; c < columns_.size(); ++c) {
      reduced_[c] = static_cast<double>(columns_[c].bundle.value);
      for (const int32_t i : columns_[c].bundle.items) {
        reduced_[c] -=
            current_.use[static_cast<size_t>(i)] + columns_[c].demand * current_.unit[static_cast<size_t>(i)];
      }
      if (index_.rank[c] >= 0 && reduced_[c] > 0.0) taken.push_back(static_cast<int64_t>(c));
    }
    const auto gain = [&](int64_t c) { return reduced_[static_cast<size_t>(c)]; };
    std::ranges::stable_sort(taken, std::ranges::greater{}, gain);
    if (constraints_.one_per_subject) {
      std::vector<bool> served(index_.of_subject.size());
      std::erase_if(taken, [&](int64_t c) {
        const size_t s = index_.subject[static_cast<size_t>(c)];
        const bool again = served[s];
        served[s] = true;
        return again;
      });
    }
    if (constraints_.count > 0 && std::ssize(taken) > constraints_.count)
      taken.resize(static_cast<size_t>(constraints_.count));
    return taken;
  }

  const std::vector<Column>& columns_;
  const PackingConstraints& constraints_;
  const Index& index_;
  std::vector<double> reduced_;
  Prices current_, best_;
};

/// The columns that may be part of a choice that is better by at most `gap` than another one. A column that costs its
/// subject more than the gap, at the prices of the bound, is in none (reduced-cost fixing).
std::vector<int64_t> within_reach(std::vector<int64_t> columns, const std::vector<double>& reduced, const Index& index,
                                  const PackingConstraints& constraints, double gap) {
  if (!constraints.one_per_subject || constraints.count > 0) return columns;
  std::vector<double> best(index.of_subject.size(), 0.0);
  for (const int64_t c : columns) {
    double& own = best[index.subject[static_cast<size_t>(c)]];
    own = std::max(own, reduced[static_cast<size_t>(c)]);
  }
  std::erase_if(columns, [&](int64_t c) {
    const double slack = best[index.subject[static_cast<size_t>(c)]] - reduced[static_cast<size_t>(c)];
    return slack > gap + kGain * std::abs(gap);
  });
  return columns;
}

}  // namespace

Packing pack_bundles(const std::vector<Column>& columns, const PackingConstraints& constraints, int64_t n_items) {
  if (!constraints.stock.empty() && std::ssize(constraints.stock) != n_items) {
    throw UsageError("the stock is of " + std::to_string(constraints.stock.size()) + " items, the catalog has " +
                         std::to_string(n_items),
                     "give every item's");
  }
  std::vector<int64_t> by_value(columns.size());
  std::iota(by_value.begin(), by_value.end(), 0);
  const auto value_of = [&](int64_t c) { return columns[static_cast<size_t>(c)].bundle.value; };
  std::ranges::stable_sort(by_value, std::ranges::greater{}, value_of);
  std::erase_if(by_value, [&](int64_t c) {
    return columns[static_cast<size_t>(c)].bundle.violation > 0.0f || !(value_of(c) > 0.0f);
  });

  const Index index(columns, by_value, n_items);
  Choice best(columns, constraints, index);
  best.fill(by_value);
  const Prices prices = Dual(columns, constraints, index, static_cast<size_t>(n_items)).run(best.value());
  std::vector<int64_t> chosen;
  if (constraints.limits_items()) {
    // Retry greedily with values reduced by the current prices.
    std::vector<double> reduced(columns.size());
    for (const int64_t c : by_value) {
      const Column& column = columns[static_cast<size_t>(c)];
      double cost = 0.0;
      for (const int32_t i : column.bundle.items) {
        cost += prices.use[static_cast<size_t>(i)] + column.demand * prices.unit[static_cast<size_t>(i)];
      }
      reduced[static_cast<size_t>(c)] = static_cast<double>(column.bundle.value) - cost;
    }
    std::vector<int64_t> by_gain = by_value;
    std::ranges::stable_sort(by_gain, std::ranges::greater{},
                             [&](int64_t c) { return reduced[static_cast<size_t>(c)]; });
    Choice other(columns, constraints, index);
    other.fill(by_gain);
    improve(other, within_reach(by_gain, reduced, index, constraints, prices.bound - other.value()));
    const std::vector<int64_t> worthy =
        within_reach(by_value, reduced, index, constraints, prices.bound - std::max(best.value(), other.value()));
    improve(best, worthy);
    if (other.value() > best.value()) chosen = other.members();
  } else {
    improve(best, by_value);
  }

  if (chosen.empty()) chosen = best.members();

  Packing result;
  result.chosen = chosen;
  for (const int64_t c : result.chosen) result.value += static_cast<double>(value_of(c));
  result.bound = std::max(prices.bound, result.value);
  double demand = 0.0;
  for (const Column& column : columns) demand += column.demand / static_cast<double>(columns.size());
  for (size_t i = 0; i < static_cast<size_t>(n_items); ++i)
    result.price.push_back(prices.use[i] + demand * prices.unit[i]);
  return result;
}

}  // namespace sheaf
