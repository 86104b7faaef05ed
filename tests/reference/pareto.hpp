#pragma once
/// Problems of several objectives by definition, in double precision, and their fronts by trying every set.

#include <cstdint>
#include <vector>

#include "kernels/genetic/pareto.hpp"
#include "tests/reference/search.hpp"

namespace sheaf::ref {

/// As genetic::ParetoArgs; an empty category_value is a null one.
struct ParetoCases {
  SearchCases rules;
  int32_t n_objectives = 0;
  std::vector<double> linear{}, pair{}, category_value{};
};

/// Whole-numbered objectives of both signs under `rules`; the last one counts categories too, where the rules have any.
ParetoCases pareto_cases(const SearchCases& rules, int32_t n_objectives, uint32_t seed);

ParetoCases pick(const ParetoCases& cases, int64_t p);

using Point = std::vector<double>;  // a value an objective

/// `set` in any order, without repetition.
Point objectives(const ParetoCases& cases, int64_t p, const std::vector<int32_t>& set);

/// At least as good in all, better in one.
bool point_dominates(const Point& a, const Point& b);

/// The objectives of all feasible sets that no feasible set dominates, ascending, each once. For small numbers of sets.
std::vector<Point> exact_front(const ParetoCases& cases, int64_t p);

/// What the boxes between `reference` and the points fill, by inclusion and exclusion: at most 20 points.
double hypervolume(const std::vector<Point>& points, const Point& reference);

std::vector<int32_t> ids_of(const genetic::ParetoSet& set);

class DeviceParetoCases {
 public:
  DeviceParetoCases(Context& context, const ParetoCases& host);
  /// Without problem_ids and what is written.
  const genetic::ParetoArgs& args() const { return args_; }

 private:
  DeviceSearchCases rules_;
  Buffer<double> linear_, pair_, category_value_;
  genetic::ParetoArgs args_;
};

}  // namespace sheaf::ref
