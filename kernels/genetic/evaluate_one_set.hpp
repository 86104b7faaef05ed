#pragma once
/// What both backends of evaluate_sets compute for one set.

#include "kernels/genetic/evaluate_sets.hpp"
#include "kernels/genetic/search_prepare.hpp"

namespace sheaf::genetic {

/// What all sets of a problem share.
struct ProblemTally {
  int32_t n_must_have;      // candidates
  int32_t category_minima;  // their sum over the categories
};

SHEAF_HD inline ProblemTally problem_tally(const SearchProblems& problems, int64_t p) {
  ProblemTally tally{0, 0};
  for (int32_t j = 0; j < problems.n_candidates; ++j) {
    tally.n_must_have += is_flagged(problems, p, j, kMustHave) ? 1 : 0;
    if (problems.category_min != nullptr && category_head(problems, p, j) == j) {
      tally.category_minima += problems.category_min[p * problems.n_candidates + j];
    }
  }
  return tally;
}

/// Items over or under the ranges of their categories, and missing categories.
SHEAF_HD inline int32_t category_wrong(const SearchProblems& problems, int64_t p, const ProblemTally& tally,
                                       const int32_t* ids, int32_t size) {
  const int64_t first = p * problems.n_candidates;
  int32_t wrong = tally.category_minima, distinct = 0;
  for (int32_t a = 0; a < size; ++a) {
    const int32_t category = problems.category[first + ids[a]];
    int32_t before = 0, after = 0;
    for (int32_t b = 0; b < size; ++b) {
      if (problems.category[first + ids[b]] == category) (b < a ? before : after) += 1;
    }
    if (before > 0) continue;  // counted at its first member
    ++distinct;
    if (problems.category_min != nullptr) {
      const int32_t least = problems.category_min[first + ids[a]];
      wrong -= after < least ? after : least;
    }
    if (problems.category_max != nullptr) {
      const int32_t most = problems.category_max[first + ids[a]];
      wrong += after > most ? after - most : 0;
    }
  }
  return wrong + (distinct < problems.min_categories ? problems.min_categories - distinct : 0);
}

SHEAF_HD inline int32_t conflicts_within(const SearchProblems& problems, int64_t p, const int32_t* ids, int32_t size) {
  int32_t conflicts = 0;
  for (int32_t a = 0; a < size; ++a) {
    const uint32_t* row = problems.conflict + (p * problems.n_candidates + ids[a]) * kMaskWords;
    for (int32_t b = 0; b < a; ++b) conflicts += static_cast<int32_t>(row[ids[b] / 32] >> (ids[b] % 32) & 1u);
  }
  return conflicts;
}

SHEAF_HD inline float set_violation(const SearchProblems& problems, int64_t p, const ProblemTally& tally,
                                    const int32_t* ids, int32_t size) {
  int32_t wrong = tally.n_must_have;
  if (size < problems.min_size) wrong += problems.min_size - size;
  if (size > problems.max_size) wrong += size - problems.max_size;
  if (problems.flags != nullptr) {
    for (int32_t a = 0; a < size; ++a) {
      wrong +=
          (is_flagged(problems, p, ids[a], kForbidden) ? 1 : 0) - (is_flagged(problems, p, ids[a], kMustHave) ? 1 : 0);
    }
  }
  if (problems.category != nullptr) wrong += category_wrong(problems, p, tally, ids, size);
  if (problems.conflict != nullptr) wrong += conflicts_within(problems, p, ids, size);
  double broken = static_cast<double>(wrong);
  for (int32_t r = 0; r < problems.n_limits; ++r) {
    const int64_t row = p * problems.n_limits + r;
    const double upper = problems.upper[row], magnitude = upper < 0.0 ? -upper : upper;
    double load = 0.0;
    for (int32_t a = 0; a < size; ++a)
      load += static_cast<double>(problems.weight[row * problems.n_candidates + ids[a]]);
    const double over = load - upper;
    if (over > 0.0) broken += over / (magnitude > 1.0 ? magnitude : 1.0);
    if (over != over) broken += 0x1.0p100;  // a weight that is no number never fits
  }
  return static_cast<float>(broken);
}

/// `pair` and `linear` are those of the problem, in any memory; `place` counts the sets of all problems.
SHEAF_HD inline void evaluate_one_set(const EvaluateSetsArgs& args, int64_t p, const ProblemTally& tally,
                                      const float* linear, const float* pair, int64_t place) {
  const int32_t* ids = args.sets.row(place);
  const int32_t n = args.problems.n_candidates;
  const auto width = static_cast<int32_t>(args.sets.cols);
  float value = 0.0f;
  int32_t size = 0;
  for (; size < width && ids[size] >= 0; ++size) {
    const float* row = pair + ids[size] * n;
    value += linear[ids[size]];
    for (int32_t b = 0; b < size; ++b) value += row[ids[b]];
  }
  args.value[place] = value;
  args.violation[place] = set_violation(args.problems, p, tally, ids, size);
}

}  // namespace sheaf::genetic
