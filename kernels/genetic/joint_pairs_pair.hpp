#pragma once
/// The arithmetic of genetic::joint_pairs that the backends share.

#include <cfloat>
#include <cmath>

#include "kernels/genetic/bundle_terms_pair.hpp"
#include "kernels/genetic/joint_pairs.hpp"

namespace sheaf::genetic {

SHEAF_HD inline bool reads_vectors(const JointPairsArgs& args) {
  return args.prior_cosine != 0.0f && !args.vectors.empty();
}

/// Place of (i, j) in a symmetric matrix with ascending columns, looked for in the shorter of the two rows; -1 where there is none.
SHEAF_HD inline int64_t symmetric_place(const CsrView& matrix, int32_t i, int32_t j) {
  if (matrix.nnz == 0) return -1;
  return matrix.row_size(i) <= matrix.row_size(j) ? csr_place(matrix, i, j) : csr_place(matrix, j, i);
}

/// ratio(i, j); `cosine` is at least 0.
SHEAF_HD inline float shrunk_ratio(const JointPairsArgs& args, int32_t i, int32_t j, float cosine) {
  const int64_t place = symmetric_place(args.counts, i, j);
  const float count = place < 0 ? 0.0f : args.counts.values[place];
  float prior = args.prior.empty() ? 1.0f : args.prior(args.item_category[i], args.item_category[j]);
  if (cosine != 0.0f) prior *= expf(args.prior_cosine * cosine);
  return (count + args.prior_strength * prior) / (args.frequency[i] * args.frequency[j] + args.prior_strength);
}

/// min(p, q, p q rho); NaN where one of them is.
SHEAF_HD inline float joint_chance(float p, float q, float rho) {
  const bool is_less = p < q;
  const float least = is_less ? p : q, other = is_less ? q : p;
  if (rho > FLT_MAX) rho = FLT_MAX;  // infinity times 0 would be NaN
  const float given = other * rho;
  return least * (given > 1.0f ? 1.0f : given);
}

/// What places a and b of problem p, both with an item, add to pair[a, b]. `lift` is exp(offset).
SHEAF_HD inline float joint_term(const JointPairsArgs& args, int64_t p, int64_t a, int64_t b, float cosine,
                                 float lift) {
  const int32_t i = args.candidates(p, a), j = args.candidates(p, b);
  const float ratio = shrunk_ratio(args, i, j, cosine);
  const float rho = lift * (args.exponent == 1.0f ? ratio : powf(ratio, args.exponent));
  const float joint = joint_chance(args.probability(p, a), args.probability(p, b), rho);
  const bool is_substitute = args.substitute_factor != 1.0f && symmetric_place(args.substitutes, i, j) >= 0;
  const float weight = is_substitute ? args.weight * args.substitute_factor : args.weight;
  return weight * joint * (args.value(p, a) + args.value(p, b));
}

}  // namespace sheaf::genetic
