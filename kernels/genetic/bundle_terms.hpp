#pragma once
/// From probabilities and associations to bundle problems: the terms of
///
///   F(S) = weight_association * sum over i != j in S of P(i) A(i, j)
///        + sum over i in S of P(i) (weight_preference + weight_revenue * price(i)) - cost(i)
///
/// in the form of problem.hpp: pair[i, j] = weight_association * (P(i) + P(j)) * A(i, j), linear[i] has the rest.
/// A(i, j) = scale * max(0, cos(v_i, v_j)) from `vectors`. If these are empty, it is the larger of the entries (i, j)
/// and (j, i) of `association`, times scale; an entry that is not stored counts 0. Vectors whose squared length is 0,
/// above 3e38 or no number have A = 0.
/// Places with item -1 become forbidden padding.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"
#include "kernels/genetic/problem.hpp"

namespace sheaf::genetic {

struct BundleTermsArgs {
  MatrixView<const int32_t> candidates;  // [n_problems, C] i32 item ids, unique in a row, or -1; C <= kMaxCandidates
  MatrixView<const float> probability;   // [n_problems, C] f32
  MatrixView<const float> vectors;       // [n_items, dim] f32, or empty
  CsrView association;  // [n_items, n_items], values required, columns ascending; read if vectors is empty
  VectorView<const float> item_price;       // [n_items] f32
  VectorView<const int32_t> item_category;  // [n_items] i32
  VectorView<const uint8_t> item_flags;     // [n_items] CandidateFlag bits
  VectorView<const float> item_cost = {};   // [n_items] f32: cost of using the item, in units of F; empty: none
  bool first_is_must_have = false;          // candidate 0 of every problem is its anchor
  float scale = 1.0f;
  float weight_association = 1.0f, weight_preference = 0.0f, weight_revenue = 0.0f;
  MatrixView<float> linear;      // [n_problems, C] f32
  VectorView<float> pair;        // [n_problems, C, C] f32, symmetric, diagonal 0
  MatrixView<float> price;       // [n_problems, C] f32
  MatrixView<int32_t> category;  // [n_problems, C] i32
  MatrixView<uint8_t> flags;     // [n_problems, C] CandidateFlag bits
};

void bundle_terms(Context& context, const BundleTermsArgs& args);
OpCost bundle_terms_cost(const BundleTermsArgs& args);

SHEAF_BACKENDS(bundle_terms, BundleTermsArgs);

}  // namespace sheaf::genetic
