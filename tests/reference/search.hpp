#pragma once
/// The search's problems by definition, in double precision, and their optimum by trying every set.

#include <cstdint>
#include <vector>

#include "kernels/core/buffer.hpp"
#include "kernels/genetic/problem.hpp"

namespace sheaf::ref {

/// As genetic::SearchProblems; an empty array is a null one.
struct SearchCases {
  int64_t n_problems = 0;
  int32_t n_candidates = 0, n_limits = 0, min_size = 0, max_size = 0, min_categories = 0;
  std::vector<float> linear{}, pair{}, weight{};
  std::vector<double> upper{};
  std::vector<int32_t> category{}, category_min{}, category_max{};
  std::vector<uint32_t> conflict{};
  std::vector<uint8_t> flags{};
};

/// Whole-number gains of both signs, limits that bind.
SearchCases plain_search_cases(int64_t n_problems, int32_t n_candidates, int32_t n_limits, int32_t min_size,
                               int32_t max_size, uint32_t seed);

/// Every kind of constraint: two upper limits, a lower one, must-haves, forbidden candidates, ranges of categories, a
/// least number of categories, conflicts.
SearchCases full_search_cases(int64_t n_problems, int32_t n_candidates, int32_t min_size, int32_t max_size,
                              uint32_t seed);

SearchCases pick(const SearchCases& cases, int64_t p);

class DeviceSearchCases {
 public:
  DeviceSearchCases(Context& context, const SearchCases& host);
  const genetic::SearchProblems& view() const { return view_; }

 private:
  Buffer<float> linear_, pair_, weight_;
  Buffer<double> upper_;
  Buffer<int32_t> category_, category_min_, category_max_;
  Buffer<uint32_t> conflict_;
  Buffer<uint8_t> flags_;
  genetic::SearchProblems view_;
};

struct SearchScore {
  double value = 0.0, violation = 0.0;
};
/// `set` in any order, without repetition.
SearchScore score(const SearchCases& cases, int64_t p, const std::vector<int32_t>& set);

/// The best of all sets within the sizes; feasible before infeasible. For small numbers of sets.
SearchScore best_score(const SearchCases& cases, int64_t p);

std::vector<int32_t> ids_of(const genetic::SearchSet& set);

}  // namespace sheaf::ref
