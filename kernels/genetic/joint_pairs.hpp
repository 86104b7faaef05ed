#pragma once
/// Adds to the pair terms of bundle problems (bundle_terms.hpp) the worth of two items of a bundle in one coming
/// basket:
///
///   pair[p, i, j] += weight * joint(i, j) * (value(i) + value(j)) * s(i, j)       for i != j; the diagonal stays
///   joint(i, j)    = min(P(i), P(j), P(i) P(j) rho(i, j))                         chance that the basket holds both
///   rho(i, j)      = exp(offset) * ratio(i, j)^exponent                           1: independent; above 1: together
///   ratio(i, j)    = (c(i, j) + k m(i, j)) / (f(i) f(j) + k)
///   m(i, j)        = prior[category(i), category(j)] * exp(prior_cosine * max(0, cos(v_i, v_j)))
///
/// c(i, j) is the entry of `counts`, 0 where none is stored; f = `frequency`, k = `prior_strength`;
/// s(i, j) = `substitute_factor` where (i, j) is stored in `substitutes`, else 1. The ratio is counted over expected
/// baskets, shrunk towards m, the prior belief for pairs without counts. It is the mean of a Gamma posterior whose
/// prior is worth k expected baskets (DuMouchel, "Bayesian data mining in large frequency tables", 1999). Without
/// `prior` its entries are 1. Without `vectors`, or with prior_cosine 0, there is no cosine and vectors are not read.
/// Vectors without a length, or with a value that is no number, have cosine 0, as in bundle_terms.
///
/// Values: P in [0, 1]; counts, frequencies and prior at least 0, finite, frequencies below 1e18; `value` any number,
/// in the unit of `pair`. A place with item -1 adds nothing: its entries of `pair` are not touched. If P or value of an
/// item is NaN, its entries with every other item become NaN. rho beyond the largest float counts as the largest float,
/// so P 0 gives joint 0.
/// Not checked: ids in range; symmetry of counts, prior and substitutes; ascending columns. `pair` overlaps no input.
/// Deterministic: the same bits on every run and any number of threads, and in both halves of `pair` if they were the
/// same before. Backends differ by rounding in exponentials and powers: each is off by at most ((|prior_cosine|
/// (2 dim + 14) + 10) |exponent| + 30) x 2^-24 of |weight s(i, j)| joint(i, j) (|value(i)| + |value(j)|), and by the
/// rounding of the sum. UsageError for shapes and parameters.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"
#include "kernels/genetic/problem.hpp"

namespace sheaf::genetic {

struct JointPairsArgs {
  MatrixView<const int32_t> candidates;  // [n_problems, C] i32 item ids, unique in a row, or -1; C <= kMaxCandidates
  MatrixView<const float> probability;   // [n_problems, C] f32: chance P that a coming basket holds the item
  // [n_problems, C] f32: the worth of a basket with the item and another one of the bundle; half of it is credited to
  // each item of the pair
  MatrixView<const float> value;
  CsrView counts = {};                      // [n_items, n_items] baskets that hold both, values required; or empty
  VectorView<const float> frequency;        // [n_items] f32: baskets with the item / sqrt(all baskets)
  VectorView<const int32_t> item_category;  // [n_items] i32, at least 0
  MatrixView<const float> prior = {};       // [n_categories, n_categories] f32, or empty
  MatrixView<const float> vectors = {};     // [n_items, dim] f32, or empty
  CsrView substitutes = {};                 // [n_items, n_items] pattern, values not read; or empty
  float prior_strength = 5.0f;              // k > 0, in expected baskets
  float prior_cosine = 0.0f;
  float exponent = 1.0f;
  float offset = 0.0f;  // -80 to 80
  float weight = 1.0f;
  float substitute_factor = 1.0f;
  VectorView<float> pair;  // [n_problems, C, C] f32, in and out
};

void joint_pairs(Context& context, const JointPairsArgs& args);
/// Leaves out the reads of a binary search in counts or substitutes, which depend on the data. A power and an
/// exponential count 10 flops each.
OpCost joint_pairs_cost(const JointPairsArgs& args);

SHEAF_BACKENDS(joint_pairs, JointPairsArgs);

}  // namespace sheaf::genetic
