#pragma once
/// What a top-k list must satisfy, given every candidate's score in double precision and the rounding that is allowed.

#include <cstdint>
#include <string>
#include <vector>

namespace sheaf::ref {

struct Candidate {
  double score = 0.0;
  double bound = 0.0;  // |computed - score| allowed
  bool may = true;     // may be listed
  bool must = true;    // must be listed if it ranks high enough
};

/// Empty when the list is right, else what is wrong with it. candidates [n_items] by id.
std::string top_k_fault(const std::vector<Candidate>& candidates, const int32_t* ids, const float* scores, int64_t k,
                        float filler);

/// Rounding bound of a float sum of n products whose absolute values sum to `magnitude`, in any order, fused or not.
double sum_bound(int64_t n, double magnitude);

/// x [rows, cols]: out[r] = sum over d of a[d] * x[r, d], and the sums of the absolute values.
struct Dot {
  double value;
  double magnitude;
};
Dot dot(const float* a, const float* b, int64_t dim);

}  // namespace sheaf::ref
