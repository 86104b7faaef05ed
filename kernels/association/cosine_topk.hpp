#pragma once
/// All-pairs cosine association, thresholded, the k strongest per item; the n_items x n_items matrix is never stored.
///
///   A(i, j) = max(0, cos(e_i, e_j)) * scale,   cos(a, b) = a . b / (|a| |b|)
///   scale = 1 / sqrt(d_i * d_j) for the scaled form (= 1 / dim for one table), 1 for the plain cosine
///   row i: the k pairs j != i with the largest A(i, j) >= max(min_score, smallest positive), score descending, then id ascending
///
/// A row of zero length (or with a NaN) has no neighbours and is nobody's neighbour. Pairs with A == 0 are never listed. Unused
/// places hold id -1 and score 0. Deterministic; the CPU result has the same bits on any number of threads.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::association {

struct CosineTopkArgs {
  MatrixView<const float> vectors;  // [n_items, dim] f32
  float scale = 1.0f;               // > 0
  float min_score = 0.0f;           // of the scaled score
  MatrixView<int32_t> neighbours;   // [n_items, k] i32, 1 <= k <= 256
  MatrixView<float> scores;         // [n_items, k] f32
};

void cosine_topk(Context& context, const CosineTopkArgs& args);
OpCost cosine_topk_cost(const CosineTopkArgs& args);

SHEAF_BACKENDS(cosine_topk, CosineTopkArgs);

}  // namespace sheaf::association
