#include "engine/associate/substitutes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "engine/associate/user_baskets.hpp"
#include "kernels/core/check.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/memory.hpp"

namespace sheaf {
namespace {

constexpr int64_t kNextWithin = 7 * 86400;           // seconds
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

/// What is left of a sum without a part of it.
double without(double sum, double part) { return std::max(0.0, sum - part); }

/// Sets the ratio, and the kind where the pair is a complement.
void judge_together(const Gamma& ratio, int64_t min_together, PairRelation& pair) {
  pair.ratio = static_cast<float>(ratio.mean());
  pair.lower = static_cast<float>(ratio.lower());
  pair.upper = static_cast<float>(ratio.upper());
  if (pair.lower > 1 && pair.together >= min_together) {
    pair.kind = PairKind::complement;
    pair.strength = pair.lower - 1;
  }
}

void set_substitute(PairRelation& pair) {
  pair.kind = PairKind::substitute;
  pair.strength = 1 - std::min(pair.ratio, 1.0f);
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
  const std::vector<int32_t>& touched() const { return touched_; }
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
  RelationBuilder(const RelationInput& input, const RelationParams& params)
      : baskets_(input.baskets, input.basket_user, input.basket_time, input.category) {
    result_.params_ = params;
    result_.category_.assign(input.category.begin(), input.category.end());
    result_.type_.assign(input.type.begin(), input.type.end());
    result_.type_.resize(input.category.size(), -1);
  }

  PairRelations build() {
    count_pairs();
    learn_within();
    count_categories();
    judge_across();
    judge_within();
    mirror();
    return std::move(result_);
  }

 private:
  using Pool = PairRelations::Pool;
  struct Pair {
    int32_t i, j;
  };

  int32_t category(int32_t item) const { return baskets_.category(item); }
  bool one_category(int32_t i, int32_t j) const { return category(i) >= 0 && category(i) == category(j); }

  /// Fills found_ and pairs_ with the counts of every pair with evidence. A pair of one category is counted at its
  /// lower item. A pair of two categories is counted at the item with more buyers, so that the search goes through the
  /// fewer ones.
  void count_pairs() {
    const auto& purchases = baskets_.purchases();
    RowSums<int32_t> together(at(baskets_.n_items()));
    RowSums<double> expected(at(baskets_.n_items()));
    std::vector<double> weight(at(baskets_.n_users()));  // n_ui f_u of the row's item
    const auto has_more_buyers = [this](int32_t i, int32_t j) {
      return std::pair(baskets_.bought(i).size(), i) > std::pair(baskets_.bought(j).size(), j);
    };
    for (int32_t i = 0; i < baskets_.n_items(); ++i) {
      check_interrupt("the counting of substitutes");
      for (const int32_t place : baskets_.places(i)) {
        for (const int32_t j : baskets_.items(place)) together.add(j, 1);
      }
      for (const int32_t p : baskets_.bought(i)) {
        const auto [user, item, n] = purchases[at(p)];
        weight[at(user)] = n * baskets_.spread(user);
        if (category(i) < 0) continue;
        for (size_t q = at(p) + 1; q < purchases.size(); ++q) {  // later items of this user and category
          const auto& other = purchases[q];
          if (other.user != user || category(other.item) != category(i)) break;
          expected.add(other.item, weight[at(user)] * other.baskets);
        }
      }
      for (const int32_t j : together.touched()) {
        if (j == i || one_category(i, j) || together[j] < result_.params_.min_together || !has_more_buyers(i, j)) {
          continue;
        }
        double sum = 0;
        for (const int32_t p : baskets_.bought(j)) sum += weight[at(purchases[at(p)].user)] * purchases[at(p)].baskets;
        expected.add(j, sum);
      }
      for (const int32_t j : expected.touched()) {
        PairRelation pair;
        pair.together = together[j];
        pair.expected = static_cast<float>(expected[j]);
        if (category(i) < 0 || category(j) < 0) {  // no other pair can change what it is
          result_.judge_across({}, pair);
          if (pair.kind == PairKind::neither) continue;
        }
        make_room();
        result_.pairs_.push_back(pair);
        found_.push_back({i, j});
      }
      for (const int32_t p : baskets_.bought(i)) weight[at(purchases[at(p)].user)] = 0;
      together.clear();
      expected.clear();
    }
  }

  /// For one more pair. Where their memory has to grow, it must be free first.
  void make_room() {
    if (found_.size() < std::min(found_.capacity(), result_.pairs_.capacity())) return;
    const size_t size = std::max<size_t>(1024, 2 * found_.size());
    require_memory(fmt::format("the substitutes and complements among {} pairs of items need", size),
                   static_cast<int64_t>(size * (sizeof(Pair) + sizeof(PairRelation))),
                   "import finer categories or fewer items; without substitutes: search.substitutes = \"allow\", and "
                   "for sheaf associate an --out that ends in .csv");
    found_.reserve(size);
    result_.pairs_.reserve(size);
  }

  void learn_within() {
    result_.category_pools_.resize(at(baskets_.n_categories()));
    std::map<int64_t, Pool> types;
    for (size_t k = 0; k < found_.size(); ++k) {
      const auto [i, j] = found_[k];
      if (!one_category(i, j)) continue;
      const PairRelation& pair = result_.pairs_[k];
      const auto add = [&pair](Pool& pool) {
        pool.together += pair.together;
        pool.expected += static_cast<double>(pair.expected);
      };
      add(result_.category_pools_[at(category(i))]);
      const int64_t key = result_.type_key(i, j);
      if (key >= 0) add(types[key]);
    }
    for (const auto& [key, pool] : types) result_.type_pools_.push_back({key, pool});
  }

  /// How many items of each category a basket or a user has, both ways.
  struct CategoryCounts {
    struct Entry {
      int32_t other;
      double count;
    };
    std::vector<std::vector<Entry>> of_row, of_category;
  };

  void count_categories() {
    const auto fill = [this](CategoryCounts& counts, int32_t n_rows, const auto& row_of) {
      counts.of_row.resize(at(n_rows));
      counts.of_category.resize(at(baskets_.n_categories()));
      std::vector<int32_t> kinds;
      for (int32_t first = 0, last = 0; first < baskets_.n_places(); first = last) {  // places of a row stand together
        const int32_t row = row_of(first);
        kinds.clear();
        for (; last < baskets_.n_places() && row_of(last) == row; ++last) {
          for (const int32_t item : baskets_.items(last)) {
            if (category(item) >= 0) kinds.push_back(category(item));
          }
        }
        std::ranges::sort(kinds);
        for (size_t k = 0, end = 0; k < kinds.size(); k = end) {
          end = at(std::ranges::upper_bound(kinds, kinds[k]) - kinds.begin());
          const auto count = static_cast<double>(end - k);
          counts.of_row[at(row)].push_back({kinds[k], count});
          counts.of_category[at(kinds[k])].push_back({row, count});
        }
      }
    };
    fill(of_baskets_, baskets_.n_places(), [](int32_t place) { return place; });
    fill(of_users_, baskets_.n_users(), [this](int32_t place) { return baskets_.user(place); });
  }

  /// Sums over rows of weight(row) times the counts of the category and of each higher one.
  template <class Weight>
  static void sum_row(const CategoryCounts& counts, int32_t category, const Weight& weight, RowSums<double>& sums) {
    sums.clear();
    for (const auto& [row, own] : counts.of_category[at(category)]) {
      const auto& entries = counts.of_row[at(row)];  // by category
      for (auto e = entries.rbegin(); e != entries.rend() && e->other > category; ++e) {
        sums.add(e->other, weight(row) * own * e->count);
      }
    }
  }

  /// Pairs of two categories, whose prior is what all items of these two do.
  void judge_across() {
    std::map<std::pair<int32_t, int32_t>, std::vector<size_t>> by_categories;
    for (size_t k = 0; k < found_.size(); ++k) {
      const auto [c, d] = std::minmax({category(found_[k].i), category(found_[k].j)});
      if (c < 0) {
        result_.judge_across({}, result_.pairs_[k]);
      } else if (c != d) {
        by_categories[{c, d}].push_back(k);
      }
    }
    RowSums<double> together(at(baskets_.n_categories())), expected(at(baskets_.n_categories()));
    int32_t row = -1;
    for (const auto& [key, pairs] : by_categories) {
      check_interrupt("the judging of substitutes");
      const auto [c, d] = key;
      if (c != row) {
        row = c;
        sum_row(
            of_baskets_, c, [](int32_t) { return 1.0; }, together);
        sum_row(
            of_users_, c, [this](int32_t u) { return baskets_.spread(u); }, expected);
      }
      for (const size_t k : pairs) result_.judge_across({together[d], expected[d]}, result_.pairs_[k]);
    }
  }

  /// Pairs of one category; the switches of those that may be substitutes.
  void judge_within() {
    for (size_t k = 0; k < found_.size(); ++k) {
      check_interrupt("the judging of substitutes");
      const auto [i, j] = found_[k];
      if (!one_category(i, j)) continue;
      PairRelation& pair = result_.pairs_[k];
      result_.judge_within(i, j, pair);
      if (pair.kind != PairKind::substitute && pair.upper >= 1) continue;
      const UserBaskets::Count switches = baskets_.switches(i, j);
      pair.switches = switches.observed;
      pair.expected_switches = static_cast<float>(switches.expected);
      if (switches.observed > 0 && 2 * switches.observed >= switches.expected) set_substitute(pair);
    }
  }

  /// Each pair into both rows.
  void mirror() {
    struct Entry {
      int32_t partner, pair;
    };
    HostCsr& rows = result_.rows_;
    rows.n_columns = baskets_.n_items();
    rows.row_offsets.assign(at(rows.n_columns) + 1, 0);
    for (const auto& [i, j] : found_) {
      ++rows.row_offsets[at(i) + 1];
      ++rows.row_offsets[at(j) + 1];
    }
    std::partial_sum(rows.row_offsets.begin(), rows.row_offsets.end(), rows.row_offsets.begin());
    std::vector<Entry> entries(2 * found_.size());
    std::vector<int64_t> next(rows.row_offsets.begin(), rows.row_offsets.end() - 1);
    for (size_t k = 0; k < found_.size(); ++k) {
      const auto [i, j] = found_[k];
      entries[at(next[at(i)]++)] = {j, static_cast<int32_t>(k)};
      entries[at(next[at(j)]++)] = {i, static_cast<int32_t>(k)};
    }
    for (size_t i = 0; i + 1 < rows.row_offsets.size(); ++i) {
      std::sort(entries.begin() + rows.row_offsets[i], entries.begin() + rows.row_offsets[i + 1],
                [](const Entry& a, const Entry& b) { return a.partner < b.partner; });
    }
    for (const Entry& entry : entries) {
      rows.columns.push_back(entry.partner);
      result_.pair_of_.push_back(entry.pair);
    }
  }

  UserBaskets baskets_;
  PairRelations result_;
  std::vector<Pair> found_;  // of pairs_
  CategoryCounts of_baskets_, of_users_;
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
  const bool typed = type_key(i, j) >= 0;
  // The category without what its types say, or without the pair itself where no type is known.
  const double category_mean = posterior(without(category.together, typed ? types.together : o),
                                         without(category.expected, typed ? types.expected : e), s, 1.0)
                                   .mean();
  const double mean = typed ? posterior(without(types.together, o), without(types.expected, e), s, category_mean).mean()
                            : category_mean;
  judge_together(posterior(o, e, s, mean), params_.min_together, pair);

  const bool one_type = type_[at(i)] >= 0 && type_[at(i)] == type_[at(j)];
  if (one_type && posterior(types.together, types.expected, s, category_mean).upper() < 1 &&
      posterior(o, e, s, 1.0).lower() <= 1) {
    set_substitute(pair);
  }
}

void PairRelations::judge_across(const Pool& categories, PairRelation& pair) const {
  const double s = params_.prior_across, o = pair.together, e = static_cast<double>(pair.expected);
  const double mean = posterior(without(categories.together, o), without(categories.expected, e), s, 1.0).mean();
  judge_together(posterior(o, e, s, mean), params_.min_together, pair);
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
    judge_across({}, pair);
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
  const char* name = "relate_pairs";
  const auto n_baskets = at(input.baskets.n_rows()), n_items = at(input.baskets.n_columns);
  check_argument(input.basket_user.size() == n_baskets && input.basket_time.size() == n_baskets, name,
                 "every basket must have a user and a time");
  check_argument(std::ranges::all_of(input.basket_user, [](int32_t u) { return u >= 0; }), name,
                 "users must not be negative");
  check_argument(input.category.size() == n_items, name, "every item must have a category");
  check_argument(input.type.empty() || input.type.size() == n_items, name, "every item must have a type, or none");
  check_argument(params.prior_within > 0 && params.prior_across > 0 && params.min_together >= 1, name,
                 "priors and min_together must be positive");
  return RelationBuilder(input, params).build();
}

}  // namespace sheaf
