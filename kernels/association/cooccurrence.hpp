#pragma once
/// Counted co-occurrence: the number of baskets that hold both items of a pair. With users in place of baskets it
/// counts buyers.
/// The result is the strict pattern of X^T X, X the 0/1 basket-item matrix, without its diagonal.
///
/// Two calls: `cooccurrence_sizes` gives the row offsets, the caller allocates, `cooccurrence` fills. Counts are exact
/// integers; columns ascend within a row; the matrix is symmetric.
/// Measures of a pair, from its count c_ij, the items' own counts c_i, c_j and the number of baskets n (Agrawal et al.,
/// 1993; Brin et al., 1997): support c_ij / n, confidence(i -> j) c_ij / c_i, lift n c_ij / (c_i c_j), Jaccard
/// c_ij / (c_i + c_j - c_ij), cosine c_ij / sqrt(c_i c_j).

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::association {

struct CooccurrenceArgs {
  CsrView baskets;        // [n_baskets, n_items] pattern: unique ascending items a basket
  CsrView item_baskets;   // [n_items, n_baskets] its transpose; items without a row here get no row of the result
  int32_t min_count = 1;  // pairs with a smaller count are left out
};

/// row_offsets [n_items + 1] i64 of the result.
void cooccurrence_sizes(Context& context, const CooccurrenceArgs& args, VectorView<int64_t> row_offsets);

/// `row_offsets` as returned above; neighbours and counts [row_offsets[n_items]] i32.
void cooccurrence(Context& context, const CooccurrenceArgs& args, VectorView<const int64_t> row_offsets,
                  VectorView<int32_t> neighbours, VectorView<int32_t> counts);

namespace cpu {
void cooccurrence_sizes(Context& context, const CooccurrenceArgs& args, VectorView<int64_t> row_sizes);
void cooccurrence(Context& context, const CooccurrenceArgs& args, VectorView<const int64_t> row_offsets,
                  VectorView<int32_t> neighbours, VectorView<int32_t> counts);
}  // namespace cpu
namespace cuda {
void cooccurrence_sizes(Context& context, const CooccurrenceArgs& args, VectorView<int64_t> row_sizes);
void cooccurrence(Context& context, const CooccurrenceArgs& args, VectorView<const int64_t> row_offsets,
                  VectorView<int32_t> neighbours, VectorView<int32_t> counts);
}  // namespace cuda

OpCost cooccurrence_cost(const CooccurrenceArgs& args);

}  // namespace sheaf::association
