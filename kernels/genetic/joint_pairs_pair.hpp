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

/// Place of (i, j) in a symmetric matrix, searched in the shorter of the two rows; -1 if there is none.
SHEAF_HD inline int64_t symmetric_place(const CsrView& matrix, int32_t i, int32_t j) {
  if (matrix.nnz == 0) return -1;
  return matrix.row_size(i) <= matrix.row_size(j) ? csr_place(matrix, i, j) : csr_place(matrix, j, i);
}

SHEAF_HD inline bool reads_substitutes(const JointPairsArgs& args) {
  return args.substitute_factor != 1.0f && args.substitutes.nnz > 0;
}

/// What is known of a pair of items, besides the tables by item.
struct PairFacts {
  float count = 0.0f;   // c
  float cosine = 0.0f;  // at least 0
  bool is_substitute = false;
};

SHEAF_HD inline float shrunk_ratio(const JointPairsArgs& args, int32_t i, int32_t j, const PairFacts& facts) {
  float prior = args.prior.empty() ? 1.0f : args.prior(args.item_category[i], args.item_category[j]);
  if (facts.cosine != 0.0f) prior *= expf(args.prior_cosine * facts.cosine);
  return (facts.count + args.prior_strength * prior) / (args.frequency[i] * args.frequency[j] + args.prior_strength);
}

/// The smaller one; q if one is NaN. A single instruction, like the maximum below.
SHEAF_HD inline float smaller(float p, float q) { return p < q ? p : q; }

/// min(p, q, p q rho); NaN where one of them is.
SHEAF_HD inline float joint_chance(float p, float q, float rho) {
  const float least = smaller(p, q), other = q > p ? q : p;     // p NaN: q and p
  return least * smaller(1.0f, other * smaller(FLT_MAX, rho));  // infinity times 0 would be NaN
}

/// What places a and b of problem p, both with an item, add to pair[a, b]. `lift` is exp(offset).
SHEAF_HD inline float joint_term(const JointPairsArgs& args, int64_t p, int64_t a, int64_t b, const PairFacts& facts,
                                 float lift) {
  const float ratio = shrunk_ratio(args, args.candidates(p, a), args.candidates(p, b), facts);
  const float rho = lift * (args.exponent == 1.0f ? ratio : powf(ratio, args.exponent));
  const float joint = joint_chance(args.probability(p, a), args.probability(p, b), rho);
  const float weight = facts.is_substitute ? args.weight * args.substitute_factor : args.weight;
  return weight * joint * (args.value(p, a) + args.value(p, b));
}

}  // namespace sheaf::genetic
