#pragma once
/// Softmax cross-entropy of every user over the whole catalog, forward and backward in one op. The matrix of all scores
/// is never stored: on the CPU scores exist for a tile of users and items, on a device for a block of users.
///
///   s(u, i) = users[u, :] . items[i, :] + item_bias[i],   p(u, :) = softmax of s(u, :),
///   w(u, i) = targets, W_u = sum over i of w(u, i)
///   loss += - scale * sum over (u, i) of w(u, i) log p(u, i)
///   G(u, i) = scale * (W_u p(u, i) - w(u, i))
///   d_users = G items;  d_items = G^T users;  d_item_bias = column sums of G        (overwritten)
///
/// This is maximum likelihood of a multinomial over the items (Liang et al., 2018, use it for implicit feedback).
/// A bias of -infinity takes an item out of the catalog: its probability and its gradients are 0. It must be no target.
/// Deterministic, the same bits on any number of threads. On the CPU, AVX2 and AVX-512 give the same bits; processors
/// without them have other sums.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::loss {

struct FullSoftmaxArgs {
  MatrixView<const float> users;      // [n_users, dim] f32
  MatrixView<const float> items;      // [n_items, dim] f32
  VectorView<const float> item_bias;  // [n_items] f32
  CsrView targets;                    // [n_users, n_items] weights >= 0; null values mean 1
  float scale = 1.0f;
  MatrixView<float> d_users;                // [n_users, dim] f32
  MatrixView<float> d_items;                // [n_items, dim] f32
  VectorView<float> d_item_bias;            // [n_items] f32
  VectorView<double> loss;                  // [1] f64; added to
  int64_t score_bytes = int64_t{64} << 20;  // for the scores of a block of users, on a device
};

void full_softmax(Context& context, const FullSoftmaxArgs& args);
OpCost full_softmax_cost(const FullSoftmaxArgs& args);

/// Users whose scores a device holds at a time: as many as fit in score_bytes, at least one.
int64_t full_softmax_block(const FullSoftmaxArgs& args);

/// Bytes of scratch memory that the call takes. On the CPU they grow with the tables and the targets, but not with
/// users times items.
int64_t full_softmax_scratch(const Context& context, const FullSoftmaxArgs& args);

SHEAF_BACKENDS(full_softmax, FullSoftmaxArgs);

namespace cpu {
int64_t full_softmax_scratch(int n_threads, const FullSoftmaxArgs& args);
}

}  // namespace sheaf::loss
