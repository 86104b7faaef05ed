#include "tests/reference/genetic.hpp"

#include <algorithm>
#include <limits>
#include <random>
#include <set>

namespace sheaf::ref {

HostProblems blank_problems(int64_t n_problems, int64_t n_candidates, int32_t min_size, int32_t max_size) {
  HostProblems host;
  host.n_problems = n_problems;
  host.n_candidates = n_candidates;
  host.min_size = min_size;
  host.max_size = max_size;
  const auto n = static_cast<size_t>(n_problems * n_candidates);
  host.linear.assign(n, 0.0f);
  host.pair.assign(n * static_cast<size_t>(n_candidates), 0.0f);
  host.price.assign(n, 0.0f);
  host.category.assign(n, 0);
  host.flags.assign(n, 0);
  host.budget.assign(static_cast<size_t>(n_problems), std::numeric_limits<float>::infinity());
  return host;
}

HostProblems random_problems(int64_t n_problems, int64_t n_candidates, int32_t min_size, int32_t max_size,
                             int32_t min_categories, uint32_t seed) {
  HostProblems host = blank_problems(n_problems, n_candidates, min_size, max_size);
  host.min_categories = min_categories;
  std::mt19937 engine(seed);
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine); };
  const auto c = static_cast<size_t>(n_candidates);
  for (size_t i = 0; i < host.linear.size(); ++i) {
    host.linear[i] = static_cast<float>(draw(-5, 20));
    host.price[i] = static_cast<float>(draw(1, 20));
    host.category[i] = draw(0, 4);
    const int chance = draw(0, 19);
    host.flags[i] = chance == 0 ? uint8_t{genetic::kMustHave} : chance <= 2 ? uint8_t{genetic::kForbidden} : uint8_t{0};
  }
  for (size_t p = 0; p < static_cast<size_t>(n_problems); ++p) {
    host.budget[p] = static_cast<float>(draw(6, 15) * max_size);
    for (size_t i = 0; i < c; ++i) {
      for (size_t j = 0; j < i; ++j) {
        const auto value = static_cast<float>(draw(-10, 10));
        host.pair[(p * c + i) * c + j] = value;
        host.pair[(p * c + j) * c + i] = value;
      }
    }
  }
  return host;
}

HostProblems pick(const HostProblems& problems, int64_t p) {
  const auto slice = [p](const auto& values, int64_t count) {
    return std::vector(values.begin() + p * count, values.begin() + (p + 1) * count);
  };
  HostProblems one = problems;
  const int64_t c = problems.n_candidates;
  one.n_problems = 1;
  one.linear = slice(problems.linear, c);
  one.pair = slice(problems.pair, c * c);
  one.price = slice(problems.price, c);
  one.category = slice(problems.category, c);
  one.flags = slice(problems.flags, c);
  one.budget = slice(problems.budget, 1);
  return one;
}

DeviceProblems::DeviceProblems(Context& context, const HostProblems& host)
    : host_(&host),
      linear_(context, host.linear),
      pair_(context, host.pair),
      price_(context, host.price),
      category_(context, host.category),
      flags_(context, host.flags),
      budget_(context, host.budget) {}

genetic::Problems DeviceProblems::view() const {
  genetic::Problems view;
  view.n_problems = host_->n_problems;
  view.n_candidates = host_->n_candidates;
  view.min_size = host_->min_size;
  view.max_size = host_->max_size;
  view.min_categories = host_->min_categories;
  view.linear = linear_.data();
  view.pair = pair_.data();
  view.price = price_.data();
  view.category = category_.data();
  view.flags = flags_.data();
  view.budget = budget_.data();
  return view;
}

Evaluation evaluate(const HostProblems& problems, int64_t p, const std::vector<int32_t>& set) {
  const int64_t c = problems.n_candidates;
  const auto at = [&](int64_t i) { return static_cast<size_t>(p * c + i); };
  Evaluation result;
  double price = 0.0;
  std::set<int32_t> categories;
  for (const int32_t i : set) {
    result.value += static_cast<double>(problems.linear[at(i)]);
    for (const int32_t j : set) {
      if (i < j) result.value += static_cast<double>(problems.pair[static_cast<size_t>((p * c + i) * c + j)]);
    }
    price += static_cast<double>(problems.price[at(i)]);
    categories.insert(problems.category[at(i)]);
    if (problems.flags[at(i)] & genetic::kForbidden) result.violation += 1.0;
  }
  for (int32_t i = 0; i < c; ++i) {
    const bool chosen = std::find(set.begin(), set.end(), i) != set.end();
    if ((problems.flags[at(i)] & genetic::kMustHave) && !chosen) result.violation += 1.0;
  }
  const auto size = static_cast<int32_t>(set.size());
  result.violation += std::max({0, problems.min_size - size, size - problems.max_size});
  result.violation += std::max(0, problems.min_categories - static_cast<int32_t>(categories.size()));
  const double budget = problems.budget[static_cast<size_t>(p)];
  if (price > budget) result.violation += (price - budget) / std::max(budget, 1.0);
  return result;
}

Evaluation optimum(const HostProblems& problems, int64_t p) {
  Evaluation best{-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  for (uint32_t mask = 0; mask < (1u << problems.n_candidates); ++mask) {
    std::vector<int32_t> set;
    for (int32_t i = 0; i < problems.n_candidates; ++i) {
      if (mask >> i & 1u) set.push_back(i);
    }
    if (static_cast<int32_t>(set.size()) > problems.max_size) continue;
    const Evaluation found = evaluate(problems, p, set);
    const bool better = found.violation != best.violation ? found.violation < best.violation : found.value > best.value;
    if (better) best = found;
  }
  return best;
}

}  // namespace sheaf::ref
