#pragma once
/// Vectors of people that a model of vectors never saw.

#include "engine/scoring/linear_scorer.hpp"

namespace sheaf {

/// An `encode` of LinearParts: the vectors under which the purchases are likeliest by the softmax over the catalog. The
/// items stay as they are. The problem is convex, so a hundred steps of Adam from zero end near its optimum. `vectors`
/// is [queries.n(), model.dim]; queries are people given by their purchases.
void fold_in(Context& context, const LinearParts& model, const Queries& queries, MatrixView<float> vectors);

}  // namespace sheaf
