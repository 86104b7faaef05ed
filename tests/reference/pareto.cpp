#include "tests/reference/pareto.hpp"

#include <algorithm>
#include <random>
#include <set>

namespace sheaf::ref {

ParetoCases pareto_cases(const SearchCases& rules, int32_t n_objectives, uint32_t seed) {
  std::mt19937 engine(seed);
  std::uniform_int_distribution<int32_t> gain(-5, 40), bond(-10, 30), share(0, 3);
  ParetoCases cases{.rules = rules, .n_objectives = n_objectives};
  const auto n = static_cast<size_t>(rules.n_candidates);
  for (int64_t p = 0; p < rules.n_problems; ++p) {
    for (int32_t m = 0; m < n_objectives; ++m) {
      for (size_t i = 0; i < n; ++i) cases.linear.push_back(gain(engine));
      const size_t first = cases.pair.size();
      cases.pair.resize(first + n * n);
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < i; ++j) {
          const double value = share(engine) == 0 ? bond(engine) : 0.0;
          cases.pair[first + i * n + j] = cases.pair[first + j * n + i] = value;
        }
      }
      if (!rules.category.empty()) cases.category_value.push_back(m + 1 == n_objectives ? 25.0 : 0.0);
    }
  }
  return cases;
}

ParetoCases pick(const ParetoCases& cases, int64_t p) {
  const int64_t m = cases.n_objectives, n = cases.rules.n_candidates;
  const auto part = [&](const std::vector<double>& all, int64_t size) {
    return all.empty() ? all : std::vector<double>(all.begin() + p * size, all.begin() + (p + 1) * size);
  };
  return {pick(cases.rules, p), cases.n_objectives, part(cases.linear, m * n), part(cases.pair, m * n * n),
          part(cases.category_value, m)};
}

Point objectives(const ParetoCases& cases, int64_t p, const std::vector<int32_t>& set) {
  const int64_t n = cases.rules.n_candidates;
  std::set<int32_t> categories;
  for (const int32_t i : set) {
    if (!cases.rules.category.empty()) categories.insert(cases.rules.category[static_cast<size_t>(p * n + i)]);
  }
  Point point;
  for (int32_t m = 0; m < cases.n_objectives; ++m) {
    const int64_t at = p * cases.n_objectives + m;
    double value = 0.0;
    for (const int32_t i : set) {
      value += cases.linear[static_cast<size_t>(at * n + i)];
      for (const int32_t j : set) {
        if (j < i) value += cases.pair[static_cast<size_t>((at * n + i) * n + j)];
      }
    }
    if (!cases.category_value.empty()) {
      value += cases.category_value[static_cast<size_t>(at)] * static_cast<double>(categories.size());
    }
    point.push_back(value);
  }
  return point;
}

bool point_dominates(const Point& a, const Point& b) {
  bool better = false;
  for (size_t m = 0; m < a.size(); ++m) {
    if (a[m] < b[m]) return false;
    better = better || a[m] > b[m];
  }
  return better;
}

std::vector<Point> exact_front(const ParetoCases& cases, int64_t p) {
  std::set<Point> front;
  std::vector<int32_t> set;
  const auto offer = [&](const Point& point) {
    if (std::ranges::any_of(front, [&](const Point& other) { return point_dominates(other, point); })) return;
    std::erase_if(front, [&](const Point& other) { return point_dominates(point, other); });
    front.insert(point);
  };
  const auto visit = [&](const auto& self, int32_t next) -> void {
    if (!(score(cases.rules, p, set).violation > 0.0)) offer(objectives(cases, p, set));
    if (static_cast<int32_t>(set.size()) == cases.rules.max_size) return;
    for (int32_t j = next; j < cases.rules.n_candidates; ++j) {
      set.push_back(j);
      self(self, j + 1);
      set.pop_back();
    }
  };
  visit(visit, 0);
  return {front.begin(), front.end()};
}

double hypervolume(const std::vector<Point>& points, const Point& reference) {
  double volume = 0.0;
  for (uint32_t some = 1; some < 1u << points.size(); ++some) {
    double box = 1.0;
    for (size_t m = 0; m < reference.size(); ++m) {
      double least = 1e300;
      for (size_t k = 0; k < points.size(); ++k) {
        if ((some >> k & 1u) != 0) least = std::min(least, points[k][m]);
      }
      box *= std::max(0.0, least - reference[m]);
    }
    volume += __builtin_popcount(some) % 2 == 1 ? box : -box;
  }
  return volume;
}

std::vector<int32_t> ids_of(const genetic::ParetoSet& set) {
  std::vector<int32_t> ids;
  for (int32_t j = 0; j < genetic::kMaxCandidates; ++j) {
    if ((set.mask[j / 32] >> (j % 32) & 1u) != 0) ids.push_back(j);
  }
  return ids;
}

DeviceParetoCases::DeviceParetoCases(Context& context, const ParetoCases& host)
    : rules_(context, host.rules),
      linear_(context, host.linear),
      pair_(context, host.pair),
      category_value_(context, host.category_value) {
  args_.rules = rules_.view();
  args_.n_objectives = host.n_objectives;
  args_.linear = host.linear.empty() ? nullptr : linear_.data();
  args_.pair = pair_.data();
  args_.category_value = host.category_value.empty() ? nullptr : category_value_.data();
}

}  // namespace sheaf::ref
