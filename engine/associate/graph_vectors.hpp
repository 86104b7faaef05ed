#pragma once
/// Item vectors averaged with those of their neighbours in the graph of purchases: LightGCN (He et al., 2020).
///
///   U(l+1) = N V(l),  V(l+1) = N^T U(l),  N = D_u^-1/2 A D_i^-1/2
///   result = mean of V(0) .. V(layers)
///
/// A is the 0/1 pattern of user_item, D_u and D_i the diagonals of its row and column sums. U(0) and V(0) are the
/// model's own vectors.

#include "engine/data/csr.hpp"

namespace sheaf {

/// user_item [n_users, n_items] (values are not used), users [n_users, dim], items [n_items, dim]; returns
/// [n_items, dim].
Buffer<float> graph_vectors(Context& context, const HostCsr& user_item, MatrixView<const float> users,
                            MatrixView<const float> items, int64_t layers);

}  // namespace sheaf
