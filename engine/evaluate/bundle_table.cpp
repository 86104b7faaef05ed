#include "engine/evaluate/bundle_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <unordered_map>
#include <utility>

#include "engine/evaluate/ratio.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/philox.hpp"

namespace sheaf {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

uint64_t pair_of(int32_t i, int32_t j) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(std::min(i, j))) << 32) | static_cast<uint32_t>(std::max(i, j));
}

template <class F>
void for_each_pair(std::span<const int32_t> items, F&& f) {
  for (size_t a = 0; a < items.size(); ++a) {
    for (size_t b = a + 1; b < items.size(); ++b) f(items[a], items[b]);
  }
}

/// Poisson(1) from 32 uniform bits by inversion.
uint8_t poisson_one(uint32_t bits) {
  const double u = static_cast<double>(bits) * 0x1.0p-32;
  double term = std::exp(-1.0), sum = term;
  uint8_t n = 0;
  while (u >= sum && n < 32) sum += term /= ++n;
  return n;
}

/// [resamples, n_users]
std::vector<uint8_t> draw_weights(const BootstrapParams& bootstrap, int64_t n_users) {
  std::vector<uint8_t> weights;
  weights.reserve(static_cast<size_t>(bootstrap.resamples * n_users));
  for (int64_t r = 0; r < bootstrap.resamples; ++r) {
    const RandomKey key{bootstrap.seed, Purpose::evaluation, static_cast<uint32_t>(r)};
    for (int64_t u = 0; u < n_users; ++u) weights.push_back(poisson_one(random_u32(key, static_cast<uint64_t>(u), 0)));
  }
  return weights;
}

/// Counts the common baskets of the pairs that bundles offer. Items and pairs get numbers as they come. Other items are
/// not counted.
class PairBaskets {
 public:
  void add_bundle(std::span<const int32_t> items) {
    for (const int32_t item : items) number_of_item_.try_emplace(item, n_items());
    for_each_pair(items, [&](int32_t i, int32_t j) { number_of_pair_.try_emplace(pair_of(i, j), n_pairs()); });
  }
  void count(const BasketsOf& baskets) {
    std::vector<int32_t> own;
    for (int64_t b = 0; b < baskets.items->n_rows(); ++b) {
      const int32_t user = (*baskets.user)[static_cast<size_t>(b)];
      basket_user_.push_back(user);
      own.clear();
      for (const int32_t item : baskets.items->row(b)) {
        const auto found = number_of_item_.find(item);
        if (found == number_of_item_.end()) continue;
        own.push_back(item);
        of_item_.emplace_back(found->second, user);
      }
      for_each_pair(own, [&](int32_t i, int32_t j) {
        const auto found = number_of_pair_.find(pair_of(i, j));
        if (found != number_of_pair_.end()) of_pair_.emplace_back(found->second, user);
      });
    }
  }
  /// Sums with each user's baskets counted `weight` times; null: once.
  void sum(const uint8_t* weight) {
    const auto times = [&](int32_t user) { return weight ? static_cast<double>(weight[user]) : 1.0; };
    items_.assign(number_of_item_.size(), 0.0);
    pairs_.assign(number_of_pair_.size(), 0.0);
    n_baskets_ = 0;
    for (const int32_t user : basket_user_) n_baskets_ += times(user);
    for (const auto& [item, user] : of_item_) items_[static_cast<size_t>(item)] += times(user);
    for (const auto& [pair, user] : of_pair_) pairs_[static_cast<size_t>(pair)] += times(user);
  }
  int32_t item(int32_t id) const { return number_of_item_.at(id); }
  int32_t pair(int32_t i, int32_t j) const { return number_of_pair_.at(pair_of(i, j)); }
  double observed(int32_t pair) const { return pairs_[static_cast<size_t>(pair)]; }
  double expected(int32_t a, int32_t b) const {
    return n_baskets_ > 0 ? items_[static_cast<size_t>(a)] * items_[static_cast<size_t>(b)] / n_baskets_ : 0.0;
  }

 private:
  int32_t n_items() const { return static_cast<int32_t>(number_of_item_.size()); }
  int32_t n_pairs() const { return static_cast<int32_t>(number_of_pair_.size()); }

  std::unordered_map<int32_t, int32_t> number_of_item_;
  std::unordered_map<uint64_t, int32_t> number_of_pair_;
  std::vector<int32_t> basket_user_;
  std::vector<std::pair<int32_t, int32_t>> of_item_, of_pair_;  // (number, user of a basket that holds it)
  std::vector<double> items_, pairs_;
  double n_baskets_ = 0;
};

/// Numerator and denominator of a column, by user.
struct UserSums {
  std::vector<double> part, whole;
  explicit UserSums(size_t n = 0) : part(n, 0.0), whole(n, 0.0) {}
  double value(const uint8_t* weight) const {
    double above = 0, below = 0;
    for (size_t u = 0; u < part.size(); ++u) {
      const double w = weight ? static_cast<double>(weight[u]) : 1.0;
      above += w * part[u];
      below += w * whole[u];
    }
    return ratio(above, below);
  }
};

struct Pair {
  int32_t owner;  // user, or -1 for everyone
  int32_t number, first, second;
};

/// One list, ready to be resampled.
class MeasuredList {
 public:
  MeasuredList(const NamedBundles& list, const BundleWorld& world, size_t n_users, const PairBaskets& before,
               const PairBaskets& after)
      : list_(list), world_(world), catalog_(list.user.empty()), n_users_(n_users) {
    for (UserSums& column : columns_) column = UserSums(n_users);
    bundles_of_user_.resize(n_users);
    std::vector<uint8_t> shown(static_cast<size_t>(world.catalog->n_items), 0);
    for (size_t b = 0; b < list.items.size(); ++b) {
      if (list.items[b].empty()) continue;
      ++n_bundles_;
      if (catalog_) {
        everyones_.push_back(b);
      } else {
        bundles_of_user_[static_cast<size_t>(list.user[b])].push_back(b);
      }
      total_size_ += static_cast<double>(list.items[b].size());
      for (const int32_t item : list.items[b]) {
        total_price_ += price_of(item);
        shown[static_cast<size_t>(item)] = 1;
      }
      add_properties(b, before, after);
    }
    coverage_ = ratio(static_cast<double>(std::ranges::count(shown, 1)), static_cast<double>(shown.size()));
    meet_baskets();
    count_new_items();
  }

  BundleRow row() const {
    BundleRow row;
    row.name = list_.name;
    row.n_bundles = n_bundles_;
    row.n_baskets = n_baskets_;
    row.mean_size = ratio(total_size_, static_cast<double>(n_bundles_));
    row.mean_price = ratio(total_price_, static_cast<double>(n_bundles_));
    return row;
  }

  /// All columns with each user counted `weight` times. `after` has been summed with the same weights.
  std::array<double, kBundleColumns> values(const uint8_t* weight, const PairBaskets& after) const {
    std::array<double, kBundleColumns> out{};
    for (size_t c = 0; c < kBundleColumns; ++c) out[c] = columns_[c].value(weight);
    const auto put = [&](BundleColumn column, double value) { out[static_cast<size_t>(column)] = value; };
    double observed = 0, expected = 0;
    for (const Pair& pair : pairs_) {
      const double w = weight && pair.owner >= 0 ? static_cast<double>(weight[pair.owner]) : 1.0;
      if (w == 0) continue;
      observed += w * after.observed(pair.number);
      expected += w * after.expected(pair.first, pair.second);
    }
    if (catalog_) {
      put(BundleColumn::lift_before, ratio(before_observed_, before_expected_));
      put(BundleColumn::same_category, ratio(n_same_category_, static_cast<double>(n_bundles_)));
      put(BundleColumn::substitutes, ratio(n_substitutes_, static_cast<double>(n_bundles_)));
    }
    put(BundleColumn::lift_after, ratio(observed, expected));
    const double before = out[static_cast<size_t>(BundleColumn::lift_before)];
    put(BundleColumn::lift_kept, ratio(ratio(observed, expected), before));
    put(BundleColumn::coverage, coverage_);
    if (!world_.substitutes || world_.substitutes->n_rows() == 0) put(BundleColumn::substitutes, kNaN);
    return out;
  }
  /// Whether resampling users moves the column.
  bool is_resampled(size_t column) const {
    const auto c = static_cast<BundleColumn>(column);
    if (c == BundleColumn::coverage) return false;
    return !catalog_ ||
           (c != BundleColumn::same_category && c != BundleColumn::substitutes && c != BundleColumn::lift_before);
  }

 private:
  UserSums& of(BundleColumn column) { return columns_[static_cast<size_t>(column)]; }
  double price_of(int32_t item) const { return static_cast<double>(world_.catalog->price[static_cast<size_t>(item)]); }
  std::span<const size_t> bundles_for(int32_t user) const {
    return catalog_ ? std::span(everyones_) : std::span(bundles_of_user_[static_cast<size_t>(user)]);
  }

  /// What a bundle is, whatever is bought later.
  void add_properties(size_t b, const PairBaskets& before, const PairBaskets& after) {
    const auto& items = list_.items[b];
    bool same_category = false, substitutes = false;
    double observed = 0, expected = 0;
    const int32_t owner = catalog_ ? -1 : list_.user[b];
    for_each_pair(items, [&](int32_t i, int32_t j) {
      same_category |=
          world_.catalog->category[static_cast<size_t>(i)] == world_.catalog->category[static_cast<size_t>(j)];
      substitutes |= world_.substitutes && world_.substitutes->n_rows() > 0 && world_.substitutes->contains(i, j);
      observed += before.observed(before.pair(i, j));
      expected += before.expected(before.item(i), before.item(j));
      pairs_.push_back({owner, after.pair(i, j), after.item(i), after.item(j)});
    });
    n_same_category_ += same_category ? 1 : 0;
    n_substitutes_ += substitutes ? 1 : 0;
    before_observed_ += observed;
    before_expected_ += expected;
    if (catalog_) return;
    const auto u = static_cast<size_t>(owner);
    add(BundleColumn::same_category, u, same_category ? 1 : 0, 1);
    add(BundleColumn::substitutes, u, substitutes ? 1 : 0, 1);
    add(BundleColumn::lift_before, u, observed, expected);
  }

  void add(BundleColumn column, size_t user, double part, double whole) {
    of(column).part[user] += part;
    of(column).whole[user] += whole;
  }

  void meet_baskets() {
    std::vector<uint8_t> in_basket(static_cast<size_t>(world_.catalog->n_items), 0);
    const BasketsOf& held_out = world_.held_out;
    for (int64_t basket = 0; basket < held_out.items->n_rows(); ++basket) {
      const int32_t user = (*held_out.user)[static_cast<size_t>(basket)];
      const std::span<const size_t> bundles = bundles_for(user);
      if (bundles.empty()) continue;
      ++n_baskets_;
      const std::span<const int32_t> bought = held_out.items->row(basket);
      for (const int32_t item : bought) in_basket[static_cast<size_t>(item)] = 1;
      std::array<double, 5> found{};  // at least one, two, three, all; revenue
      for (const size_t b : bundles) {
        size_t common = 0;
        double price = 0;
        for (const int32_t item : list_.items[b]) {
          if (in_basket[static_cast<size_t>(item)] == 0) continue;
          ++common;
          price += price_of(item);
        }
        for (size_t least = 1; least <= 3; ++least) found[least - 1] += common >= least ? 1 : 0;
        found[3] += common == list_.items[b].size() ? 1 : 0;
        found[4] += common >= 2 ? price : 0;
      }
      for (size_t c = 0; c < found.size(); ++c) {
        add(static_cast<BundleColumn>(c), static_cast<size_t>(user), found[c], 1);
      }
      for (const int32_t item : bought) in_basket[static_cast<size_t>(item)] = 0;
    }
  }

  void count_new_items() {
    std::vector<std::vector<int32_t>> later(n_users_);
    const BasketsOf& held_out = world_.held_out;
    std::vector<uint8_t> has_baskets(n_users_, 0);
    for (int64_t basket = 0; basket < held_out.items->n_rows(); ++basket) {
      const auto u = static_cast<size_t>((*held_out.user)[static_cast<size_t>(basket)]);
      has_baskets[u] = 1;
      const auto bought = held_out.items->row(basket);
      later[u].insert(later[u].end(), bought.begin(), bought.end());
    }
    for (size_t u = 0; u < n_users_; ++u) {
      std::ranges::sort(later[u]);
      double offered = 0, fresh = 0, found = 0;
      for (const size_t b : bundles_for(static_cast<int32_t>(u))) {
        for (const int32_t item : list_.items[b]) {
          ++offered;
          if (world_.history->contains(static_cast<int64_t>(u), item)) continue;
          ++fresh;
          found += std::ranges::binary_search(later[u], item) ? 1 : 0;
        }
      }
      add(BundleColumn::new_items, u, fresh, offered);
      if (has_baskets[u]) add(BundleColumn::discovered, u, found, fresh);
    }
  }

  const NamedBundles& list_;
  const BundleWorld& world_;
  bool catalog_;
  size_t n_users_;
  int64_t n_bundles_ = 0, n_baskets_ = 0;
  double n_same_category_ = 0, n_substitutes_ = 0, before_observed_ = 0, before_expected_ = 0;
  double total_size_ = 0, total_price_ = 0, coverage_ = 0;
  std::array<UserSums, kBundleColumns> columns_;
  std::vector<Pair> pairs_;
  std::vector<size_t> everyones_;
  std::vector<std::vector<size_t>> bundles_of_user_;
};

/// Sum and sum of squares of what is a number.
struct Spread {
  double n = 0, sum = 0, squares = 0;
  void add(double x) {
    if (!std::isfinite(x)) return;
    ++n;
    sum += x;
    squares += x * x;
  }
  double deviation() const {
    if (n < 2) return kNaN;
    return std::sqrt(std::max(0.0, (squares - sum * sum / n) / (n - 1)));
  }
};

}  // namespace

const char* to_string(BundleColumn column) {
  constexpr std::array<const char*, kBundleColumns> kNames{
      "at_least_one", "at_least_two",  "at_least_three", "all_items", "revenue",    "lift_before", "lift_after",
      "lift_kept",    "same_category", "substitutes",    "new_items", "discovered", "coverage"};
  return kNames[static_cast<size_t>(column)];
}

std::vector<BundleRow> measure_bundles(const std::vector<NamedBundles>& lists, const BundleWorld& world,
                                       const BootstrapParams& bootstrap) {
  const int64_t n_users = world.history->n_rows();
  PairBaskets before, after;
  for (const NamedBundles& list : lists) {
    for (const auto& items : list.items) {
      before.add_bundle(items);
      after.add_bundle(items);
    }
  }
  before.count(world.before);
  before.sum(nullptr);
  after.count(world.after);
  after.sum(nullptr);

  std::vector<MeasuredList> measured;
  std::vector<BundleRow> rows;
  std::vector<std::array<double, kBundleColumns>> plain;
  for (const NamedBundles& list : lists) {
    measured.emplace_back(list, world, static_cast<size_t>(n_users), before, after);
    rows.push_back(measured.back().row());
    plain.push_back(measured.back().values(nullptr, after));
  }
  std::vector<std::array<Spread, kBundleColumns>> own(lists.size()), lead(lists.size());
  const std::vector<uint8_t> weights = draw_weights(bootstrap, n_users);
  for (int64_t r = 0; r < bootstrap.resamples; ++r) {
    check_interrupt("the resampling of bundles");
    const uint8_t* weight = weights.data() + r * n_users;
    after.sum(weight);
    std::array<double, kBundleColumns> first{};
    for (size_t l = 0; l < measured.size(); ++l) {
      const std::array<double, kBundleColumns> values = measured[l].values(weight, after);
      if (l == 0) first = values;
      for (size_t c = 0; c < kBundleColumns; ++c) {
        own[l][c].add(values[c]);
        lead[l][c].add(first[c] - values[c]);
      }
    }
  }
  for (size_t l = 0; l < rows.size(); ++l) {
    for (size_t c = 0; c < kBundleColumns; ++c) {
      const bool moves = measured[l].is_resampled(c);
      rows[l].columns[c] = {plain[l][c], moves ? own[l][c].deviation() : kNaN};
      rows[l].difference[c] = {plain[0][c] - plain[l][c], moves ? lead[l][c].deviation() : kNaN};
    }
  }
  return rows;
}

double share_with_two(const NamedBundles& list, const BasketsOf& baskets) {
  std::unordered_map<int32_t, std::vector<size_t>> of_user;
  std::vector<size_t> everyones;
  for (size_t b = 0; b < list.items.size(); ++b) {
    if (list.items[b].empty()) continue;
    (list.user.empty() ? everyones : of_user[list.user[b]]).push_back(b);
  }
  double hits = 0, met = 0;
  for (int64_t basket = 0; basket < baskets.items->n_rows(); ++basket) {
    const auto own = of_user.find((*baskets.user)[static_cast<size_t>(basket)]);
    const std::vector<size_t>& bundles = own == of_user.end() ? everyones : own->second;
    if (bundles.empty()) continue;
    ++met;
    for (const size_t b : bundles) {
      const auto common =
          std::ranges::count_if(list.items[b], [&](int32_t item) { return baskets.items->contains(basket, item); });
      hits += common >= 2 ? 1 : 0;
    }
  }
  return ratio(hits, met);
}

}  // namespace sheaf
