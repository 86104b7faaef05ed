#include "tests/reference/search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

namespace sheaf::ref {
namespace {

class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}
  int32_t operator()(int32_t low, int32_t high) { return std::uniform_int_distribution<int32_t>(low, high)(engine_); }

 private:
  std::mt19937 engine_;
};

size_t at(int64_t i) { return static_cast<size_t>(i); }

// A limit that a set of the largest size breaks about half of the time.
void add_limit(SearchCases& cases, Dice& dice, int64_t p, int32_t r, int32_t least, int32_t most, double share) {
  const int64_t row = p * cases.n_limits + r;
  double sum = 0.0;
  for (int64_t j = 0; j < cases.n_candidates; ++j) {
    const int32_t weight = dice(least, most);
    cases.weight[at(row * cases.n_candidates + j)] = static_cast<float>(weight);
    sum += weight;
  }
  const double mean = sum / cases.n_candidates * std::min(cases.max_size, cases.n_candidates);
  cases.upper[at(row)] = std::floor(mean * share);
}

void add_terms(SearchCases& cases, Dice& dice) {
  const int64_t n = cases.n_candidates;
  cases.linear.resize(at(cases.n_problems * n));
  for (float& x : cases.linear) x = static_cast<float>(dice(-20, 60));
  cases.pair.assign(at(cases.n_problems * n * n), 0.0f);
  for (int64_t p = 0; p < cases.n_problems; ++p) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < i; ++j) {
        const float value = dice(0, 2) == 0 ? static_cast<float>(dice(-30, 100)) : 0.0f;
        cases.pair[at((p * n + i) * n + j)] = cases.pair[at((p * n + j) * n + i)] = value;
      }
      cases.pair[at((p * n + i) * n + i)] = 1000.0f;  // must never count
    }
  }
}

struct Oracle {
  const SearchCases& cases;
  int64_t p;
  std::vector<int32_t> chosen;
  SearchScore best{-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};

  void visit(int32_t next) {
    const auto size = static_cast<int32_t>(chosen.size());
    if (size >= cases.min_size) {
      const SearchScore here = score(cases, p, chosen);
      const bool wins = here.violation != best.violation ? here.violation < best.violation : here.value > best.value;
      if (wins) best = here;
    }
    if (size == cases.max_size) return;
    for (int32_t j = next; j < cases.n_candidates; ++j) {
      if (!cases.flags.empty() && (cases.flags[at(p * cases.n_candidates + j)] & genetic::kForbidden) != 0) continue;
      chosen.push_back(j);
      if (!hopeless(j)) visit(j + 1);
      chosen.pop_back();
    }
  }

  // Larger candidates can never repair a conflict or a must-have that was passed over. Only where something feasible is
  // known.
  bool hopeless(int32_t j) const {
    if (best.violation > 0.0) return false;
    const int64_t n = cases.n_candidates;
    if (!cases.conflict.empty()) {
      for (const int32_t i : chosen) {
        const uint32_t word = cases.conflict[at((p * n + i) * genetic::kMaskWords + j / 32)];
        if ((word >> (j % 32) & 1u) != 0) return true;
      }
    }
    const int32_t first = chosen.size() < 2 ? 0 : chosen[chosen.size() - 2] + 1;
    for (int32_t i = first; !cases.flags.empty() && i < j; ++i) {
      if ((cases.flags[at(p * n + i)] & genetic::kMustHave) != 0) return true;
    }
    return false;
  }
};

}  // namespace

SearchCases plain_search_cases(int64_t n_problems, int32_t n_candidates, int32_t n_limits, int32_t min_size,
                               int32_t max_size, uint32_t seed) {
  Dice dice(seed);
  SearchCases cases{.n_problems = n_problems,
                    .n_candidates = n_candidates,
                    .n_limits = n_limits,
                    .min_size = min_size,
                    .max_size = max_size};
  cases.weight.resize(at(n_problems * n_limits * n_candidates));
  cases.upper.resize(at(n_problems * n_limits));
  add_terms(cases, dice);
  for (int64_t p = 0; p < n_problems; ++p) {
    for (int32_t r = 0; r < n_limits; ++r) add_limit(cases, dice, p, r, 1, 50, 0.6);
  }
  return cases;
}

SearchCases full_search_cases(int64_t n_problems, int32_t n_candidates, int32_t min_size, int32_t max_size,
                              uint32_t seed) {
  SearchCases cases = plain_search_cases(n_problems, n_candidates, 3, min_size, max_size, seed);
  Dice dice(seed + 1);
  const int64_t n = n_candidates;
  constexpr int32_t kCategories = 6;
  cases.min_categories = std::min(3, max_size);
  cases.flags.assign(at(n_problems * n), 0);
  cases.category.resize(at(n_problems * n));
  cases.category_min.assign(at(n_problems * n), 0);
  cases.category_max.assign(at(n_problems * n), 2);
  cases.conflict.assign(at(n_problems * n * genetic::kMaskWords), 0);
  for (int64_t p = 0; p < n_problems; ++p) {
    add_limit(cases, dice, p, 1, 1, 20, 0.9);
    add_limit(cases, dice, p, 2, -20, -1, 0.7);  // a lower bound of 1 .. 20
    const int32_t wanted = dice(0, kCategories - 1);
    for (int64_t j = 0; j < n; ++j) {
      const int32_t category = dice(0, kCategories - 1);
      cases.category[at(p * n + j)] = 7 * category;
      if (category == wanted) cases.category_min[at(p * n + j)] = 1;
      if (dice(0, 9) == 0) cases.flags[at(p * n + j)] = genetic::kForbidden;
      for (int64_t i = 0; i < j; ++i) {
        if (dice(0, 9) != 0) continue;
        cases.conflict[at((p * n + i) * genetic::kMaskWords + j / 32)] |= 1u << (j % 32);
        cases.conflict[at((p * n + j) * genetic::kMaskWords + i / 32)] |= 1u << (i % 32);
      }
    }
    cases.flags[at(p * n + dice(0, n_candidates - 1))] = genetic::kMustHave;
  }
  return cases;
}

SearchCases pick(const SearchCases& cases, int64_t p) {
  SearchCases one = cases;
  one.n_problems = 1;
  const auto cut = [&](auto& values) {
    const auto share = static_cast<int64_t>(values.size()) / cases.n_problems;
    values = {values.begin() + p * share, values.begin() + (p + 1) * share};
  };
  cut(one.linear);
  cut(one.pair);
  cut(one.weight);
  cut(one.upper);
  cut(one.category);
  cut(one.category_min);
  cut(one.category_max);
  cut(one.conflict);
  cut(one.flags);
  return one;
}

DeviceSearchCases::DeviceSearchCases(Context& context, const SearchCases& host)
    : linear_(context, host.linear),
      pair_(context, host.pair),
      weight_(context, host.weight),
      upper_(context, host.upper),
      category_(context, host.category),
      category_min_(context, host.category_min),
      category_max_(context, host.category_max),
      conflict_(context, host.conflict),
      flags_(context, host.flags) {
  const auto data = [](const auto& buffer) { return buffer.empty() ? nullptr : buffer.data(); };
  view_ = {.n_problems = host.n_problems,
           .n_candidates = host.n_candidates,
           .n_limits = host.n_limits,
           .min_size = host.min_size,
           .max_size = host.max_size,
           .min_categories = host.min_categories,
           .linear = data(linear_),
           .pair = data(pair_),
           .weight = data(weight_),
           .upper = data(upper_),
           .category = data(category_),
           .category_min = data(category_min_),
           .category_max = data(category_max_),
           .conflict = data(conflict_),
           .flags = data(flags_)};
}

SearchScore score(const SearchCases& cases, int64_t p, const std::vector<int32_t>& set) {
  const int64_t n = cases.n_candidates;
  const auto has = [&](int64_t j) { return std::ranges::find(set, static_cast<int32_t>(j)) != set.end(); };
  SearchScore result;
  const auto size = static_cast<int32_t>(set.size());
  int64_t broken = std::max(0, cases.min_size - size) + std::max(0, size - cases.max_size);
  std::map<int32_t, int32_t> counts;
  for (size_t a = 0; a < set.size(); ++a) {
    const int64_t i = set[a];
    result.value += static_cast<double>(cases.linear[at(p * n + i)]);
    if (!cases.category.empty()) ++counts[cases.category[at(p * n + i)]];
    if (!cases.flags.empty()) broken += (cases.flags[at(p * n + i)] & genetic::kForbidden) != 0;
    for (size_t b = 0; b < a; ++b) {
      result.value += static_cast<double>(cases.pair[at((p * n + i) * n + set[b])]);
      if (cases.conflict.empty()) continue;
      broken += cases.conflict[at((p * n + i) * genetic::kMaskWords + set[b] / 32)] >> (set[b] % 32) & 1u;
    }
  }
  for (int64_t j = 0; j < n && !cases.flags.empty(); ++j) {
    broken += (cases.flags[at(p * n + j)] & genetic::kMustHave) != 0 && !has(j);
  }
  if (!cases.category_min.empty() || !cases.category_max.empty()) {
    std::map<int32_t, int64_t> first;  // a candidate of each category
    for (int64_t j = n - 1; j >= 0; --j) first[cases.category[at(p * n + j)]] = p * n + j;
    for (const auto& [category, place] : first) {
      const int32_t count = counts.contains(category) ? counts[category] : 0;
      if (!cases.category_min.empty()) broken += std::max(0, cases.category_min[at(place)] - count);
      if (!cases.category_max.empty()) broken += std::max(0, count - cases.category_max[at(place)]);
    }
  }
  if (!cases.category.empty()) broken += std::max(0, cases.min_categories - static_cast<int32_t>(counts.size()));
  result.violation = static_cast<double>(broken);
  for (int64_t r = 0; r < cases.n_limits; ++r) {
    const int64_t row = p * cases.n_limits + r;
    const double upper = cases.upper[at(row)];
    double load = 0.0;
    for (const int32_t i : set) load += static_cast<double>(cases.weight[at(row * n + i)]);
    if (load > upper) result.violation += (load - upper) / std::max(std::abs(upper), 1.0);
  }
  return result;
}

SearchScore best_score(const SearchCases& cases, int64_t p) {
  Oracle oracle{.cases = cases, .p = p, .chosen = {}};
  oracle.visit(0);
  return oracle.best;
}

std::vector<int32_t> ids_of(const genetic::SearchSet& set) {
  std::vector<int32_t> ids;
  for (int32_t j = 0; j < genetic::kMaxCandidates; ++j) {
    if ((set.mask[j / 32] >> (j % 32) & 1u) != 0) ids.push_back(j);
  }
  return ids;
}

}  // namespace sheaf::ref
