#include "engine/train/pair_loss.hpp"

#include "kernels/dense/dot_scores.hpp"
#include "kernels/embedding/table_bag.hpp"
#include "kernels/embedding/table_update.hpp"
#include "kernels/loss/bce.hpp"
#include "kernels/loss/bpr.hpp"
#include "kernels/sample/batch.hpp"

namespace sheaf {
namespace {

void fill_zero(Context& context, float* data, int64_t size) {
  if (size > 0) context.fill_bytes(data, 0, static_cast<size_t>(size) * sizeof(float));
}

/// rows[r, :] = the sum of grad[e, :] over the e with ids[e] = r, in their order.
void sum_by_row(Context& context, VectorView<const int32_t> ids, MatrixView<const float> grad,
                const embedding::SortedEntries& sorted, MatrixView<float> rows) {
  fill_zero(context, rows.data, rows.size());
  embedding::TableUpdateArgs place{.grad = grad, .tables = embedding::table_of(rows), .bags = embedding::lookup(ids)};
  place.params.learning_rate = -1.0f;  // 0 - (-1) * sum, exactly
  place.sorted = sorted;
  embedding::table_update(context, place);
}

embedding::SortedEntries sort_by_row(Context& context, ScratchScope& scratch, VectorView<const int32_t> ids,
                                     MatrixView<float> rows) {
  const embedding::EntriesByRow<uint32_t, int32_t> sorted{{scratch.take<uint32_t>(ids.size), ids.size},
                                                          {scratch.take<uint32_t>(ids.size), ids.size},
                                                          {scratch.take<int32_t>(ids.size), ids.size}};
  embedding::table_sort(context,
                        {.tables = embedding::table_of(rows), .bags = embedding::lookup(ids), .sorted = sorted});
  return {sorted.rows, sorted.entries, sorted.bags};
}

}  // namespace

void pair_loss(Context& context, const Positives& positives, const TrainParams& params, const PairDraw& draw,
               const PairSides& of, const PairGradients& gradients, VectorView<double> loss) {
  ScratchScope scratch(context);
  const int64_t n = draw.n, group = params.negatives + 1, n_pairs = n * group, dim = of.users.cols;
  const auto take = [&](int64_t rows, int64_t cols) {
    return MatrixView<float>{scratch.take<float>(rows * cols), rows, cols};
  };
  const VectorView<int32_t> users{scratch.take<int32_t>(n), n};
  const MatrixView<int32_t> grouped{scratch.take<int32_t>(n_pairs), n, group};
  const bool weighted = !positives.weights.empty();
  const VectorView<float> weights{weighted ? scratch.take<float>(n) : nullptr, weighted ? n : 0};
  sample::batch(context, {.seed = params.seed,
                          .epoch = draw.round,
                          .first_position = draw.first,
                          .users = positives.users.view(),
                          .items = positives.items.view(),
                          .weights = positives.weights.view(),
                          .taken = positives.taken.view(),
                          .alias_threshold = positives.alias_threshold.view(),
                          .alias_item = positives.alias_item.view(),
                          .batch_users = users,
                          .batch_items = grouped,
                          .batch_weights = weights});
  const VectorView<const int32_t> items{grouped.data, n_pairs};

  const MatrixView<float> x = take(n, dim), y = take(n_pairs, dim), bias = take(n_pairs, 1), none = take(n, 1);
  embedding::bag_sums(context, of.users, embedding::lookup(users), x);
  embedding::bag_sums(context, of.items, embedding::lookup(items), y);
  embedding::bag_sums(context, {of.item_bias.data, of.item_bias.size, 1}, embedding::lookup(items), bias);
  fill_zero(context, none.data, n);
  const MatrixView<float> logits = take(n, group);
  dense::dot_scores(context, {.users = x,
                              .items = y,
                              .user_bias = {none.data, n},
                              .item_bias = {bias.data, n_pairs},
                              .bias = {none.data, 1},
                              .logits = logits});
  if (params.loss == LossKind::bpr) {
    loss::bpr(context, {logits, weights, logits, loss});
  } else {
    loss::bce(context, {logits, weights, params.positive_weight, logits, loss});
  }
  const MatrixView<float> d_x = take(n, dim), d_y = take(n_pairs, dim), d_user_bias = take(n, 1), d_bias = take(1, 1);
  dense::dot_scores_backward(context, {.users = x,
                                       .items = y,
                                       .d_logits = logits,
                                       .d_users = d_x,
                                       .d_items = d_y,
                                       .d_user_bias = {d_user_bias.data, n},
                                       .d_bias = {d_bias.data, 1}});
  sum_by_row(context, users, d_x, sort_by_row(context, scratch, users, gradients.users), gradients.users);
  const embedding::SortedEntries by_item = sort_by_row(context, scratch, items, gradients.items);
  sum_by_row(context, items, d_y, by_item, gradients.items);
  sum_by_row(context, items, {logits.data, n_pairs, 1}, by_item,
             {gradients.item_bias.data, gradients.item_bias.size, 1});
}

}  // namespace sheaf
