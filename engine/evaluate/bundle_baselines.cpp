#include "engine/evaluate/bundle_baselines.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

constexpr double kSecondsPerDay = 86400.0;
constexpr size_t kMaxFitting = 5'000;  // itemsets that every user is compared with

using Items = std::vector<int32_t>;

bool contains(const Items& items, int32_t item) { return std::ranges::find(items, item) != items.end(); }

Items sorted(Items items) {
  std::ranges::sort(items);
  return items;
}

/// Items with the larger sums first, of a pattern those in more rows.
Items by_popularity(const HostCsr& matrix) {
  std::vector<double> count(static_cast<size_t>(matrix.n_columns), 0.0);
  for (size_t e = 0; e < matrix.columns.size(); ++e) {
    count[static_cast<size_t>(matrix.columns[e])] +=
        matrix.values.empty() ? 1.0 : static_cast<double>(matrix.values[e]);
  }
  Items items(count.size());
  std::iota(items.begin(), items.end(), 0);
  std::ranges::stable_sort(items, std::ranges::greater{}, [&](int32_t i) { return count[static_cast<size_t>(i)]; });
  return items;
}

/// The columns of a row, larger values first.
Items ranked_row(const HostCsr& weights, int64_t row) {
  const auto columns = weights.row(row);
  const auto first = static_cast<size_t>(weights.row_offsets[static_cast<size_t>(row)]);
  std::vector<size_t> order(columns.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](size_t e) { return weights.values[first + e]; });
  Items items;
  for (const size_t e : order) items.push_back(columns[e]);
  return items;
}

/// Sets of which many baskets hold at least two items, among a few candidates.
class Covering {
 public:
  using Bits = std::vector<uint64_t>;
  /// Whether a set may be chosen or grown.
  using Allowed = std::function<bool(const Items&)>;

  Covering(const HostCsr& baskets, std::span<const int64_t> rows, Items candidates, const BundleRules& rules)
      : candidates_(std::move(candidates)), rules_(rules), words_((rows.size() + 63) / 64) {
    Items place(static_cast<size_t>(baskets.n_columns), -1);
    for (size_t c = 0; c < candidates_.size(); ++c)
      place[static_cast<size_t>(candidates_[c])] = static_cast<int32_t>(c);
    bits_.assign(candidates_.size(), Bits(words_, 0));
    for (size_t r = 0; r < rows.size(); ++r) {
      for (const int32_t item : baskets.row(rows[r])) {
        const int32_t c = place[static_cast<size_t>(item)];
        if (c >= 0) bits_[static_cast<size_t>(c)][r / 64] |= uint64_t{1} << (r % 64);
      }
    }
  }

  /// Positions among the candidates; fewer than `size` where none may join.
  std::vector<size_t> find(int64_t size, const Allowed& allowed) const {
    std::vector<size_t> chosen;
    for (const int32_t item : rules_.params().must_have) {
      const auto at = std::ranges::find(candidates_, item);
      if (at != candidates_.end()) chosen.push_back(static_cast<size_t>(at - candidates_.begin()));
    }
    if (chosen.empty()) chosen = best_pair(size, allowed);
    const size_t fixed = rules_.params().must_have.size();
    while (std::ssize(chosen) < size) {
      const auto [next, gain] = best_addition(chosen, size, allowed);
      if (next == kNone) break;
      chosen.push_back(next);
    }
    for (bool better = true; better;) {
      better = false;
      for (size_t m = fixed; m < chosen.size(); ++m) {
        std::vector<size_t> rest = chosen;
        rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(m));
        const int64_t without = covered(rest), before = covered(chosen);
        const auto [next, gain] = best_addition(rest, size, allowed);
        if (next == kNone || without + gain <= before) continue;
        chosen[m] = next;
        better = true;
      }
    }
    return chosen;
  }

  Items items_of(const std::vector<size_t>& places) const {
    Items items;
    for (const size_t c : places) items.push_back(candidates_[c]);
    return items;
  }

 private:
  static constexpr size_t kNone = std::numeric_limits<size_t>::max();

  /// Baskets with at least one and at least two of the set.
  std::pair<Bits, Bits> levels(const std::vector<size_t>& places) const {
    Bits one(words_, 0), two(words_, 0);
    for (const size_t c : places) {
      for (size_t w = 0; w < words_; ++w) {
        two[w] |= one[w] & bits_[c][w];
        one[w] |= bits_[c][w];
      }
    }
    return {std::move(one), std::move(two)};
  }
  int64_t covered(const std::vector<size_t>& places) const {
    int64_t n = 0;
    for (const uint64_t word : levels(places).second) n += std::popcount(word);
    return n;
  }
  bool may_join(const std::vector<size_t>& places, size_t c, int64_t size, const Allowed& allowed) const {
    Items items = items_of(places);
    if (!rules_.may_join(items, candidates_[c], size)) return false;
    items.push_back(candidates_[c]);
    return allowed(items);
  }

  std::vector<size_t> best_pair(int64_t size, const Allowed& allowed) const {
    std::vector<size_t> best;
    int64_t most = -1;
    for (size_t a = 0; a < candidates_.size() && size >= 2; ++a) {
      for (size_t b = a + 1; b < candidates_.size(); ++b) {
        int64_t common = 0;
        for (size_t w = 0; w < words_; ++w) common += std::popcount(bits_[a][w] & bits_[b][w]);
        if (common <= most || !may_join({}, a, size, allowed) || !may_join({a}, b, size, allowed)) continue;
        most = common;
        best = {a, b};
      }
    }
    return best;
  }

  /// The candidate that adds most, and how many baskets; of equals the first.
  std::pair<size_t, int64_t> best_addition(const std::vector<size_t>& places, int64_t size,
                                           const Allowed& allowed) const {
    const auto [one, two] = levels(places);
    size_t best = kNone;
    int64_t most = -1;
    for (size_t c = 0; c < candidates_.size(); ++c) {
      int64_t gain = 0;
      for (size_t w = 0; w < words_; ++w) gain += std::popcount(one[w] & ~two[w] & bits_[c][w]);
      if (gain <= most || !may_join(places, c, size, allowed)) continue;
      most = gain;
      best = c;
    }
    return {best, most};
  }

  Items candidates_;
  const BundleRules& rules_;
  size_t words_;
  std::vector<Bits> bits_;
};

/// The items that must be in, then the first `pool` of `ranked` that are not forbidden, then those beyond the first
/// `pool` of which a bundle needs one.
Items candidates_of(const Items& ranked, const BundleRules& rules, int64_t pool) {
  Items items = rules.params().must_have;
  for (const int32_t item : ranked) {
    if (std::ssize(items) >= pool && !(rules.has_one_of() && rules.is_one_of(item))) continue;
    if (!rules.is_forbidden(item) && !contains(items, item)) items.push_back(item);
  }
  return items;
}

std::vector<int64_t> all_rows(int64_t n) {
  std::vector<int64_t> rows(static_cast<size_t>(n));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  return rows;
}

bool anything(const Items&) { return true; }

int64_t n_common(const Items& a, const Items& b) {
  return std::ranges::count_if(a, [&](int32_t item) { return contains(b, item); });
}

}  // namespace

HostCsr decayed_counts(const BasketHistory& history, double days) {
  const int64_t last = history.time.empty() ? 0 : *std::ranges::max_element(history.time);
  Items users;
  std::vector<float> weights;
  for (int64_t b = 0; b < history.items.n_rows(); ++b) {
    const double age = static_cast<double>(last - history.time[static_cast<size_t>(b)]) / kSecondsPerDay;
    const auto weight = static_cast<float>(std::exp(-age / days));
    for (size_t m = 0; m < history.items.row(b).size(); ++m) {
      users.push_back(history.user[static_cast<size_t>(b)]);
      weights.push_back(weight);
    }
  }
  return csr_from_pairs(users, history.items.columns, weights, history.n_users, history.items.n_columns);
}

BundleRules::BundleRules(const Catalog& catalog, const SearchParams& params, const std::vector<int32_t>& one_of)
    : catalog_(catalog), params_(params), forbidden_(static_cast<size_t>(catalog.n_items), 0) {
  for (const int32_t item : params.forbidden) forbidden_[static_cast<size_t>(item)] = 1;
  if (!one_of.empty()) one_of_.assign(forbidden_.size(), 0);
  for (const int32_t item : one_of) one_of_[static_cast<size_t>(item)] = 1;
}

bool BundleRules::holds_one_of(const std::vector<int32_t>& items) const {
  return one_of_.empty() || std::ranges::any_of(items, [&](int32_t item) { return is_one_of(item); });
}

bool BundleRules::may_join(const std::vector<int32_t>& items, int32_t item, int64_t size) const {
  if (std::ssize(items) >= size || is_forbidden(item) || contains(items, item)) return false;
  std::set<int32_t> categories{catalog_.category[static_cast<size_t>(item)]};
  auto price = static_cast<double>(catalog_.price[static_cast<size_t>(item)]);
  for (const int32_t other : items) {
    categories.insert(catalog_.category[static_cast<size_t>(other)]);
    price += static_cast<double>(catalog_.price[static_cast<size_t>(other)]);
  }
  const int64_t places_left = size - std::ssize(items) - 1;
  return price <= budget_limit(params_) && std::ssize(categories) + places_left >= params_.min_categories &&
         (places_left > 0 || is_one_of(item) || holds_one_of(items));
}

bool BundleRules::fits(const std::vector<int32_t>& items) const {
  std::set<int32_t> categories;
  double price = 0;
  for (const int32_t item : items) {
    if (is_forbidden(item)) return false;
    categories.insert(catalog_.category[static_cast<size_t>(item)]);
    price += static_cast<double>(catalog_.price[static_cast<size_t>(item)]);
  }
  return std::ssize(items) >= params_.min_size && std::ssize(items) <= params_.max_size &&
         price <= budget_limit(params_) && std::ssize(categories) >= params_.min_categories && holds_one_of(items) &&
         std::ranges::all_of(params_.must_have, [&](int32_t item) { return contains(items, item); });
}

std::vector<int32_t> BundleRules::fill(const std::vector<int32_t>& ranked, const std::vector<int32_t>& more) const {
  Items items;
  for (const Items* list : {&params_.must_have, &ranked, &more}) {
    for (const int32_t item : *list) {
      if (std::ssize(items) == params_.max_size) break;
      if (item >= 0 && may_join(items, item, params_.max_size)) items.push_back(item);
    }
  }
  return fits(items) ? sorted(std::move(items)) : Items{};
}

NamedBundles most_frequent_bundles(std::string name, const HostCsr& weights, const BundleRules& rules,
                                   const std::vector<int32_t>& users) {
  NamedBundles bundles{std::move(name), {}, users};
  const Items popular = by_popularity(weights);
  for (const int32_t user : users) bundles.items.push_back(rules.fill(ranked_row(weights, user), popular));
  return bundles;
}

NamedBundles listed_bundles(std::string name, const std::vector<int32_t>& lists, int64_t length,
                            const BundleRules& rules, const std::vector<int32_t>& users) {
  NamedBundles bundles{std::move(name), {}, users};
  for (const int32_t user : users) {
    const auto begin = lists.begin() + static_cast<std::ptrdiff_t>(user * length);
    bundles.items.push_back(rules.fill(Items(begin, begin + static_cast<std::ptrdiff_t>(length))));
  }
  return bundles;
}

NamedBundles covering_bundles(std::string name, const BasketHistory& history, const BundleRules& rules,
                              const std::vector<int32_t>& users, int64_t size, int64_t pool) {
  NamedBundles bundles{std::move(name), {}, users};
  const Items popular = by_popularity(history.items);
  const HostCsr counts = decayed_counts(history, std::numeric_limits<double>::infinity());
  std::vector<std::vector<int64_t>> rows(static_cast<size_t>(history.n_users));
  for (int64_t b = 0; b < history.items.n_rows(); ++b) {
    rows[static_cast<size_t>(history.user[static_cast<size_t>(b)])].push_back(b);
  }
  const int64_t most = std::min(size, rules.params().max_size);
  for (const int32_t user : users) {
    check_interrupt("the evaluation");
    const Covering covering(history.items, rows[static_cast<size_t>(user)],
                            candidates_of(ranked_row(counts, user), rules, pool), rules);
    const Items items = covering.items_of(covering.find(most, anything));
    if (most == rules.params().max_size) {
      bundles.items.push_back(rules.fill(items, popular));
    } else {
      bundles.items.push_back(rules.fits(items) ? sorted(items) : Items{});
    }
  }
  return bundles;
}

NamedBundles itemset_bundles(std::string name, const std::vector<Itemset>& itemsets, const HostCsr& counts,
                             const BundleRules& rules, const std::vector<int32_t>& users) {
  NamedBundles bundles{std::move(name), {}, users};
  std::vector<const Itemset*> fitting;
  for (const Itemset& set : itemsets) {
    if (rules.fits(set.items)) fitting.push_back(&set);
  }
  std::ranges::stable_sort(fitting, std::ranges::greater{}, &Itemset::support);
  fitting.resize(std::min(fitting.size(), kMaxFitting));
  std::vector<float> own(static_cast<size_t>(counts.n_columns));
  for (const int32_t user : users) {
    std::ranges::fill(own, 0.0f);
    const auto columns = counts.row(user);
    const auto first = static_cast<size_t>(counts.row_offsets[static_cast<size_t>(user)]);
    for (size_t e = 0; e < columns.size(); ++e) own[static_cast<size_t>(columns[e])] = counts.values[first + e];
    const Itemset* best = nullptr;
    float most = -1;
    for (const Itemset* set : fitting) {
      float sum = 0;
      for (const int32_t item : set->items) sum += own[static_cast<size_t>(item)];
      if (sum > most) {
        most = sum;
        best = set;
      }
    }
    bundles.items.push_back(best ? rules.fill(best->items, ranked_row(counts, user)) : Items{});
  }
  return bundles;
}

NamedBundles global_bundle(std::string name, const BasketHistory& history, const BundleRules& rules,
                           const std::vector<int32_t>& users, int64_t pool) {
  const Items popular = by_popularity(history.items);
  const Covering covering(history.items, all_rows(history.items.n_rows()), candidates_of(popular, rules, pool), rules);
  const Items items = rules.fill(covering.items_of(covering.find(rules.params().max_size, anything)), popular);
  return {std::move(name), std::vector<Items>(users.size(), items), users};
}

NamedBundles itemset_catalog(std::string name, const std::vector<Itemset>& itemsets, const PairCounts& counts,
                             ItemsetScore score, const BundleRules& rules, int64_t max_overlap, int64_t count) {
  const auto score_of = [&](const Itemset& set) {
    const auto support = static_cast<double>(set.support);
    if (score == ItemsetScore::support) return support;
    double price = 0, leverage = 0, n_pairs = 0;
    for (size_t a = 0; a < set.items.size(); ++a) {
      price += static_cast<double>(rules.catalog().price[static_cast<size_t>(set.items[a])]);
      for (size_t b = a + 1; b < set.items.size(); ++b, ++n_pairs) {
        leverage += counts.measure(association::Measure::leverage, set.items[a], set.items[b]);
      }
    }
    return score == ItemsetScore::support_price ? support * price : leverage / std::max(1.0, n_pairs);
  };
  std::vector<std::pair<double, const Itemset*>> order;
  for (const Itemset& set : itemsets) {
    if (rules.fits(set.items)) order.emplace_back(-score_of(set), &set);
  }
  std::ranges::stable_sort(order, [](const auto& a, const auto& b) {
    const size_t na = a.second->items.size(), nb = b.second->items.size();
    return na != nb ? na > nb : a.first < b.first;
  });
  NamedBundles bundles{std::move(name), {}, {}};
  for (const auto& [value, set] : order) {
    if (std::ssize(bundles.items) == count) break;
    const auto apart = [&](const Items& other) { return n_common(set->items, other) <= max_overlap; };
    if (std::ranges::all_of(bundles.items, apart)) bundles.items.push_back(set->items);
  }
  return bundles;
}

NamedBundles covering_catalog(std::string name, const BasketHistory& history, const BundleRules& rules,
                              int64_t max_overlap, int64_t count, int64_t pool) {
  NamedBundles bundles{std::move(name), {}, {}};
  const Covering covering(history.items, all_rows(history.items.n_rows()),
                          candidates_of(by_popularity(history.items), rules, pool), rules);
  while (std::ssize(bundles.items) < count) {
    check_interrupt("the evaluation");
    const auto apart = [&](const Items& items) {
      return std::ranges::all_of(bundles.items,
                                 [&](const Items& other) { return n_common(items, other) <= max_overlap; });
    };
    const Items items = covering.items_of(covering.find(rules.params().max_size, apart));
    if (std::ssize(items) < rules.params().max_size || !rules.fits(items)) break;
    bundles.items.push_back(sorted(items));
  }
  return bundles;
}

}  // namespace sheaf
