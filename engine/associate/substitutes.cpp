#include "engine/associate/substitutes.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>

#include "kernels/core/check.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

constexpr double kNormalPoint = 1.6448536269514722;  // 95 % of the normal distribution lie below

size_t at(int64_t i) { return static_cast<size_t>(i); }

/// A Gamma distribution of the ratio.
struct Gamma {
  double shape, rate;

  double mean() const { return shape / rate; }
  double point(double z) const {
    const double ninth = 1.0 / (9.0 * shape);
    const double cube = std::max(0.0, 1.0 - ninth + z * std::sqrt(ninth));
    return mean() * cube * cube * cube;
  }
  double lower() const { return point(-kNormalPoint); }
  double upper() const { return point(kNormalPoint); }
};

Gamma posterior(double together, double expected, double prior, double prior_mean) {
  return {together + prior, expected + prior / prior_mean};
}

void set_ratio(PairRelation& pair, const Gamma& ratio) {
  pair.ratio = static_cast<float>(ratio.mean());
  pair.lower = static_cast<float>(ratio.lower());
  pair.upper = static_cast<float>(ratio.upper());
}

/// Sums of one row of a matrix, for columns that are then read and emptied.
template <class T>
class RowSums {
 public:
  explicit RowSums(size_t n) : sums_(n), seen_(n) {}
  void add(int32_t column, T value) {
    if (!seen_[at(column)]) {
      seen_[at(column)] = 1;
      touched_.push_back(column);
    }
    sums_[at(column)] += value;
  }
  T operator[](int32_t column) const { return sums_[at(column)]; }
  const std::vector<int32_t>& ascending() {
    std::ranges::sort(touched_);
    return touched_;
  }
  void clear() {
    for (const int32_t column : touched_) sums_[at(column)] = T{}, seen_[at(column)] = 0;
    touched_.clear();
  }

 private:
  std::vector<T> sums_;
  std::vector<uint8_t> seen_;
  std::vector<int32_t> touched_;
};

}  // namespace

const char* to_string(PairKind kind) {
  switch (kind) {
    case PairKind::substitute: return "substitute";
    case PairKind::complement: return "complement";
    default: return "neither";
  }
}

/// Counts, learns the priors and judges.
class RelationBuilder {
 public:
  RelationBuilder(const RelationInput& input, const RelationParams& params) : input_(input) {
    const int64_t n_items = input.baskets.n_columns, n_baskets = input.baskets.n_rows();
    const char* name = "relate_pairs";
    check_argument(static_cast<int64_t>(input.basket_user.size()) == n_baskets &&
                       static_cast<int64_t>(input.basket_time.size()) == n_baskets,
                   name, "every basket must have a user and a time");
    check_argument(static_cast<int64_t>(input.category.size()) == n_items, name, "every item must have a category");
    check_argument(input.type.empty() || static_cast<int64_t>(input.type.size()) == n_items, name,
                   "every item must have a type, or none");
    check_argument(std::ranges::all_of(input.basket_user, [](int32_t u) { return u >= 0; }), name,
                   "users must not be negative");
    check_argument(params.prior_within > 0 && params.prior_across > 0 && params.min_together >= 1, name,
                   "priors and min_together must be positive");
    result_.params_ = params;
    result_.category_.assign(input.category.begin(), input.category.end());
    result_.type_.assign(input.type.begin(), input.type.end());
    result_.type_.resize(at(n_items), -1);
    for (const int32_t c : input.category) n_categories_ = std::max(n_categories_, c + 1);
    for (const int32_t u : input.basket_user) n_users_ = std::max(n_users_, u + 1);
  }

  PairRelations build() {
    order_baskets();
    list_by_item();
    weigh_users();
    list_by_user();
    count_pairs_of_items();
    learn_types();
    learn_and_judge_across();
    judge_within();
    mirror();
    return std::move(result_);
  }

 private:
  struct Purchase {  // how many baskets of a user hold an item
    int32_t user, item, baskets;
  };
  struct Pair {
    int32_t i, j;
  };

  int32_t category(int32_t item) const { return result_.category_[at(item)]; }
  bool one_category(int32_t i, int32_t j) const { return category(i) >= 0 && category(i) == category(j); }
  std::span<const int32_t> items_of(int32_t place) const { return input_.baskets.row(order_[at(place)]); }

  /// order_: baskets by user, then time, then number. From here on a basket is its place in this order.
  void order_baskets() {
    order_.resize(at(input_.baskets.n_rows()));
    std::iota(order_.begin(), order_.end(), 0);
    std::ranges::stable_sort(order_, [&](int32_t a, int32_t b) {
      return std::pair(input_.basket_user[at(a)], input_.basket_time[at(a)]) <
             std::pair(input_.basket_user[at(b)], input_.basket_time[at(b)]);
    });
    for (const int32_t basket : order_) user_.push_back(input_.basket_user[at(basket)]);
  }

  void list_by_item() {
    const auto n_items = at(input_.baskets.n_columns);
    item_begin_.assign(n_items + 1, 0);
    for (const int32_t item : input_.baskets.columns) ++item_begin_[at(item) + 1];
    std::partial_sum(item_begin_.begin(), item_begin_.end(), item_begin_.begin());
    places_.resize(input_.baskets.columns.size());
    std::vector<int64_t> next(item_begin_.begin(), item_begin_.end() - 1);
    for (size_t place = 0; place < order_.size(); ++place) {
      for (const int32_t item : items_of(static_cast<int32_t>(place))) {
        places_[at(next[at(item)]++)] = static_cast<int32_t>(place);
      }
    }
  }
  /// Places of the baskets with the item, ascending.
  std::span<const int32_t> places(int32_t item) const {
    return std::span(places_).subspan(at(item_begin_[at(item)]), at(item_begin_[at(item) + 1] - item_begin_[at(item)]));
  }

  /// spread_: f_u.
  void weigh_users() {
    std::vector<double> sum(at(n_users_)), squares(at(n_users_));
    std::vector<int32_t> kinds;
    for (size_t place = 0; place < order_.size(); ++place) {
      kinds.clear();
      double width = 0;
      for (const int32_t item : items_of(static_cast<int32_t>(place))) {
        if (category(item) < 0) {
          ++width;  // nothing says that it is like another
        } else {
          kinds.push_back(category(item));
        }
      }
      std::ranges::sort(kinds);
      width += static_cast<double>(std::unique(kinds.begin(), kinds.end()) - kinds.begin());
      sum[at(user_[place])] += width;
      squares[at(user_[place])] += width * width;
    }
    spread_.assign(at(n_users_), 0.0);
    for (size_t u = 0; u < spread_.size(); ++u) {
      if (sum[u] > 0) spread_[u] = squares[u] / (sum[u] * sum[u]);
    }
  }

  /// purchases_: by user, then category, then item; of_item_: the same by item, as indices.
  void list_by_user() {
    const auto n_items = static_cast<int32_t>(input_.baskets.n_columns);
    for (int32_t item = 0; item < n_items; ++item) {
      const size_t first = purchases_.size();
      for (const int32_t place : places(item)) {
        const int32_t user = user_[at(place)];
        if (purchases_.size() == first || purchases_.back().user != user) purchases_.push_back({user, item, 0});
        ++purchases_.back().baskets;
      }
    }
    std::ranges::sort(purchases_, [this](const Purchase& a, const Purchase& b) {
      return std::tuple(a.user, category(a.item), a.item) < std::tuple(b.user, category(b.item), b.item);
    });
    bought_begin_.assign(at(n_items) + 1, 0);
    for (const Purchase& p : purchases_) ++bought_begin_[at(p.item) + 1];
    std::partial_sum(bought_begin_.begin(), bought_begin_.end(), bought_begin_.begin());
    of_item_.resize(purchases_.size());
    std::vector<int64_t> next(bought_begin_.begin(), bought_begin_.end() - 1);
    for (size_t p = 0; p < purchases_.size(); ++p) {
      of_item_[at(next[at(purchases_[p].item)]++)] = static_cast<int64_t>(p);
    }
  }
  std::span<const int64_t> bought(int32_t item) const {
    return std::span(of_item_).subspan(at(bought_begin_[at(item)]),
                                       at(bought_begin_[at(item) + 1] - bought_begin_[at(item)]));
  }

  /// Fills found_ and pairs_ with what is counted of every pair with evidence, by i, then j > i.
  void count_pairs_of_items() {
    const auto n_items = static_cast<int32_t>(input_.baskets.n_columns);
    RowSums<int32_t> together(at(n_items));
    RowSums<double> expected(at(n_items));
    std::vector<double> weight(at(n_users_));  // n_ui f_u of the row's item
    std::vector<int32_t> partners;
    for (int32_t i = 0; i < n_items; ++i) {
      check_interrupt("the counting of substitutes");
      for (const int32_t place : places(i)) {
        const auto items = items_of(place);
        for (auto j = std::ranges::upper_bound(items, i); j != items.end(); ++j) together.add(*j, 1);
      }
      for (const int64_t p : bought(i)) {
        const Purchase& own = purchases_[at(p)];
        weight[at(own.user)] = own.baskets * spread_[at(own.user)];
        if (category(i) < 0) continue;
        for (size_t q = at(p) + 1; q < purchases_.size(); ++q) {  // later items of the user and the category
          const Purchase& other = purchases_[q];
          if (other.user != own.user || category(other.item) != category(i)) break;
          expected.add(other.item, weight[at(own.user)] * other.baskets);
        }
      }
      partners = expected.ascending();
      for (const int32_t j : together.ascending()) {
        if (one_category(i, j) || together[j] < result_.params_.min_together) continue;
        double sum = 0;
        for (const int64_t p : bought(j)) {
          sum += weight[at(purchases_[at(p)].user)] * purchases_[at(p)].baskets;
        }
        expected.add(j, sum);
        partners.push_back(j);
      }
      std::ranges::sort(partners);
      for (const int32_t j : partners) {
        PairRelation& pair = result_.pairs_.emplace_back();
        found_.push_back({i, j});
        pair.together = together[j];
        pair.expected = static_cast<float>(expected[j]);
        count_switches(i, j, pair);
      }
      for (const int64_t p : bought(i)) weight[at(purchases_[at(p)].user)] = 0;
      together.clear();
      expected.clear();
    }
  }

  /// Walks the baskets of both in the order of users and time.
  void count_switches(int32_t i, int32_t j, PairRelation& pair) const {
    const auto a = places(i), b = places(j);
    size_t x = 0, y = 0;
    int32_t user = -1, last = -1, n_i = 0, n_j = 0;
    double expected = 0;
    const auto leave_user = [&] {
      if (n_i > 0 && n_j > 0) expected += 2.0 * n_i * n_j / (n_i + n_j);
      n_i = n_j = 0;
      last = -1;
    };
    while (x < a.size() || y < b.size()) {
      if (x < a.size() && y < b.size() && a[x] == b[y]) {  // both in one basket: no choice was made
        ++x;
        ++y;
        continue;
      }
      const bool takes_i = y == b.size() || (x < a.size() && a[x] < b[y]);
      const int32_t place = takes_i ? a[x++] : b[y++];
      if (user_[at(place)] != user) {
        leave_user();
        user = user_[at(place)];
      }
      const int32_t item = takes_i ? i : j;
      if (last >= 0 && last != item) ++pair.switches;
      last = item;
      ++(takes_i ? n_i : n_j);
    }
    leave_user();
    pair.expected_switches = static_cast<float>(expected);
  }

  void learn_types() {
    result_.category_pools_.resize(at(n_categories_));
    std::map<int64_t, PairRelations::Pool> types;
    for (size_t k = 0; k < found_.size(); ++k) {
      const auto [i, j] = found_[k];
      if (!one_category(i, j)) continue;
      const PairRelation& pair = result_.pairs_[k];
      const auto add = [&pair](PairRelations::Pool& pool) {
        pool.together += pair.together;
        pool.expected += static_cast<double>(pair.expected);
      };
      add(result_.category_pools_[at(category(i))]);
      const int64_t key = result_.type_key(i, j);
      if (key >= 0) add(types[key]);
    }
    for (const auto& [key, pool] : types) result_.type_pools_.push_back({key, pool});
  }

  void judge_within() {
    for (size_t k = 0; k < found_.size(); ++k) {
      const auto [i, j] = found_[k];
      if (one_category(i, j)) result_.judge_within(i, j, result_.pairs_[k]);
    }
  }

  /// All pairs of two categories: observed and expected as of the pairs, summed over the categories' items.
  void learn_and_judge_across() {
    std::map<std::pair<int32_t, int32_t>, std::vector<size_t>> by_categories;
    for (size_t k = 0; k < found_.size(); ++k) {
      const auto [c, d] = std::minmax(category(found_[k].i), category(found_[k].j));
      if (c < 0) {
        result_.judge_across({}, result_.pairs_[k]);
      } else if (c != d) {
        by_categories[{c, d}].push_back(k);
      }
    }
    count_categories();
    RowSums<double> together(at(n_categories_)), expected(at(n_categories_));
    int32_t row = -1;
    for (const auto& [key, pairs] : by_categories) {
      const auto [c, d] = key;
      if (c != row) {
        row = c;
        together.clear();
        expected.clear();
        sum_row(
            basket_categories_, c, [](int32_t) { return 1.0; }, together);
        sum_row(
            user_categories_, c, [this](int32_t u) { return spread_[at(u)]; }, expected);
      }
      for (const size_t k : pairs) {
        PairRelation& pair = result_.pairs_[k];
        result_.judge_across({together[d] - pair.together, expected[d] - static_cast<double>(pair.expected)}, pair);
      }
    }
  }

  /// How many lines of each category a basket or a user has, both ways.
  struct CategoryCounts {
    struct Entry {
      int32_t other;
      double count;
    };
    std::vector<std::vector<Entry>> of_row, of_category;
  };

  void count_categories() {
    const auto fill = [this](CategoryCounts& counts, size_t n_rows, const std::vector<int32_t>& row_of_place) {
      counts.of_row.resize(n_rows);
      counts.of_category.resize(at(n_categories_));
      std::vector<int32_t> kinds;
      for (size_t first = 0, last = 0; first < order_.size(); first = last) {  // places of one row stand together
        kinds.clear();
        for (last = first; last < order_.size() && row_of_place[last] == row_of_place[first]; ++last) {
          for (const int32_t item : items_of(static_cast<int32_t>(last))) {
            if (category(item) >= 0) kinds.push_back(category(item));
          }
        }
        std::ranges::sort(kinds);
        const int32_t row = row_of_place[first];
        for (size_t k = 0, end = 0; k < kinds.size(); k = end) {
          end = at(std::ranges::upper_bound(kinds, kinds[k]) - kinds.begin());
          const auto count = static_cast<double>(end - k);
          counts.of_row[at(row)].push_back({kinds[k], count});
          counts.of_category[at(kinds[k])].push_back({row, count});
        }
      }
    };
    std::vector<int32_t> own(order_.size());
    std::iota(own.begin(), own.end(), 0);
    fill(basket_categories_, order_.size(), own);
    fill(user_categories_, at(n_users_), user_);
  }

  template <class Weight>
  static void sum_row(const CategoryCounts& counts, int32_t category, const Weight& weight, RowSums<double>& sums) {
    for (const auto& [row, own] : counts.of_category[at(category)]) {
      for (const auto& [other, count] : counts.of_row[at(row)]) sums.add(other, weight(row) * own * count);
    }
  }

  /// Each pair into both rows.
  void mirror() {
    const int64_t n_items = input_.baskets.n_columns;
    HostCsr& rows = result_.rows_;
    rows.n_columns = n_items;
    rows.row_offsets.assign(at(n_items) + 1, 0);
    for (const auto& [i, j] : found_) ++rows.row_offsets[at(i) + 1], ++rows.row_offsets[at(j) + 1];
    std::partial_sum(rows.row_offsets.begin(), rows.row_offsets.end(), rows.row_offsets.begin());
    rows.columns.resize(2 * found_.size());
    result_.pair_of_.resize(2 * found_.size());
    std::vector<int64_t> next(rows.row_offsets.begin(), rows.row_offsets.end() - 1);
    const auto put = [&](int32_t row, int32_t column, size_t k) {
      rows.columns[at(next[at(row)])] = column;
      result_.pair_of_[at(next[at(row)]++)] = static_cast<int32_t>(k);
    };
    // By i, then j: a row first gets its lower partners, then its higher ones, each in ascending order.
    for (size_t k = 0; k < found_.size(); ++k) put(found_[k].j, found_[k].i, k);
    for (size_t k = 0; k < found_.size(); ++k) put(found_[k].i, found_[k].j, k);
  }

  const RelationInput& input_;
  PairRelations result_;
  int32_t n_categories_ = 0, n_users_ = 0;
  std::vector<int32_t> order_, user_;
  std::vector<int64_t> item_begin_;
  std::vector<int32_t> places_;
  std::vector<double> spread_;
  std::vector<Purchase> purchases_;
  std::vector<int64_t> bought_begin_, of_item_;
  std::vector<Pair> found_;  // of pairs_
  CategoryCounts basket_categories_, user_categories_;
};

int64_t PairRelations::type_key(int32_t i, int32_t j) const {
  const auto [a, b] = std::minmax(type_[at(i)], type_[at(j)]);
  return a < 0 ? -1 : (static_cast<int64_t>(a) << 32) | b;
}

PairRelations::Pool PairRelations::type_pool(int32_t i, int32_t j) const {
  const int64_t key = type_key(i, j);
  const auto found = std::ranges::lower_bound(type_pools_, key, {}, &TypePool::key);
  return key < 0 || found == type_pools_.end() || found->key != key ? Pool{} : found->pool;
}

void PairRelations::judge_within(int32_t i, int32_t j, PairRelation& pair) const {
  const double s = params_.prior_within, o = pair.together, e = static_cast<double>(pair.expected);
  const Pool category = category_pools_[at(category_[at(i)])], types = type_pool(i, j);
  // What no type is known of counts with its category alone, there without itself.
  const Pool own = type_key(i, j) < 0 ? Pool{o, e} : types;
  const auto left = [](double all, double part) { return std::max(0.0, all - part); };
  const double category_mean =
      posterior(left(category.together, own.together), left(category.expected, own.expected), s, 1.0).mean();
  const Gamma type_ratio = posterior(types.together, types.expected, s, category_mean);
  const double mean = type_key(i, j) < 0
                          ? category_mean
                          : posterior(left(types.together, o), left(types.expected, e), s, category_mean).mean();
  set_ratio(pair, posterior(o, e, s, mean));
  const bool one_type = type_[at(i)] >= 0 && type_[at(i)] == type_[at(j)];
  const bool presumed = one_type && type_ratio.upper() < 1 && posterior(o, e, s, 1.0).lower() <= 1;
  const bool switched = pair.switches > 0 && 2 * static_cast<float>(pair.switches) >= pair.expected_switches;
  if (presumed || (pair.upper < 1 && switched)) {
    pair.kind = PairKind::substitute;
    pair.strength = 1 - std::min(pair.ratio, 1.0f);
  } else if (pair.lower > 1 && pair.together >= params_.min_together) {
    pair.kind = PairKind::complement;
    pair.strength = pair.lower - 1;
  }
}

void PairRelations::judge_across(const Pool& categories, PairRelation& pair) const {
  const double s = params_.prior_across;
  const double mean = posterior(std::max(0.0, categories.together), std::max(0.0, categories.expected), s, 1.0).mean();
  set_ratio(pair, posterior(pair.together, static_cast<double>(pair.expected), s, mean));
  if (pair.lower > 1 && pair.together >= params_.min_together) {
    pair.kind = PairKind::complement;
    pair.strength = pair.lower - 1;
  }
}

PairRelation PairRelations::find(int32_t i, int32_t j) const {
  const auto row = rows_.row(i);
  const auto found = std::ranges::lower_bound(row, j);
  if (found != row.end() && *found == j) {
    return pairs_[at(pair_of_[at(rows_.row_offsets[at(i)] + (found - row.begin()))])];
  }
  PairRelation pair;
  if (i != j && category_[at(i)] >= 0 && category_[at(i)] == category_[at(j)]) {
    judge_within(i, j, pair);
  } else {
    set_ratio(pair, posterior(0, 0, params_.prior_across, 1.0));
  }
  return pair;
}

HostCsr PairRelations::of_kind(PairKind kind) const {
  HostCsr out;
  out.n_columns = rows_.n_columns;
  for (int64_t i = 0; i < rows_.n_rows(); ++i) {
    for (int64_t e = rows_.row_offsets[at(i)]; e < rows_.row_offsets[at(i) + 1]; ++e) {
      const PairRelation& pair = pairs_[at(pair_of_[at(e)])];
      if (pair.kind != kind) continue;
      out.columns.push_back(rows_.columns[at(e)]);
      out.values.push_back(pair.strength);
    }
    out.row_offsets.push_back(out.nnz());
  }
  return out;
}

PairRelations relate_pairs(const RelationInput& input, const RelationParams& params) {
  return RelationBuilder(input, params).build();
}

}  // namespace sheaf
