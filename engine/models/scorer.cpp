#include "engine/models/scorer.hpp"

#include <algorithm>

#include "engine/data/csr.hpp"
#include "kernels/dense/dot_scores.hpp"
#include "kernels/embedding/bag.hpp"

namespace sheaf {

LinearScorer probability_scorer(Context& context, const LinearScorer& scorer) {
  const auto scaled = [&](const Buffer<float>& values, double factor, double shift) {
    std::vector<float> host = values.to_host();
    for (float& x : host) x = static_cast<float>(factor * static_cast<double>(x) + shift);
    return Buffer<float>(context, host);
  };
  const Calibration& c = scorer.calibration;
  LinearScorer folded;
  folded.n_users = scorer.n_users;
  folded.n_items = scorer.n_items;
  folded.dim = scorer.dim;
  folded.users = scaled(scorer.users, c.slope, 0.0);
  folded.items = scaled(scorer.items, 1.0, 0.0);
  folded.user_bias = scaled(scorer.user_bias, c.bias_slope, 0.0);
  folded.item_bias = scaled(scorer.item_bias, c.bias_slope, 0.0);
  folded.bias = scaled(scorer.bias, c.bias_slope, c.offset);
  return folded;
}

std::vector<float> pair_logits(Context& context, const LinearScorer& scorer, const std::vector<int32_t>& users,
                               const std::vector<int32_t>& items, int64_t group) {
  const auto n_users = static_cast<int64_t>(users.size());
  const int64_t chunk = std::max<int64_t>(1, (int64_t{1} << 16) / group);
  const DeviceCsr user_rows(context, identity_csr(scorer.n_users));
  const DeviceCsr item_rows(context, identity_csr(scorer.n_items));
  const Buffer<int32_t> user_ids(context, users);
  const Buffer<int32_t> item_ids(context, items);
  Buffer<float> logits(context, n_users * group);
  for (int64_t first = 0; first < n_users; first += chunk) {
    const int64_t n = std::min(chunk, n_users - first);
    ScratchScope scratch(context);
    const MatrixView<float> user_vectors{scratch.take<float>(n * scorer.dim), n, scorer.dim};
    const MatrixView<float> item_vectors{scratch.take<float>(n * group * scorer.dim), n * group, scorer.dim};
    const MatrixView<float> user_bias{scratch.take<float>(n), n, 1};
    const MatrixView<float> item_bias{scratch.take<float>(n * group), n * group, 1};
    const auto batch_users = user_ids.view().subview(first, n);
    const auto batch_items = item_ids.view().subview(first * group, n * group);
    embedding::bag(context, {scorer.user_matrix(), user_rows.view(), batch_users, user_vectors});
    embedding::bag(context, {scorer.item_matrix(), item_rows.view(), batch_items, item_vectors});
    embedding::bag(context, {scorer.user_bias.matrix(scorer.n_users, 1), user_rows.view(), batch_users, user_bias});
    embedding::bag(context, {scorer.item_bias.matrix(scorer.n_items, 1), item_rows.view(), batch_items, item_bias});
    dense::dot_scores(context, {.users = user_vectors,
                                .items = item_vectors,
                                .user_bias = {user_bias.data, n},
                                .item_bias = {item_bias.data, n * group},
                                .bias = scorer.bias.view(),
                                .logits = {logits.data() + first * group, n, group}});
  }
  return logits.to_host();
}

}  // namespace sheaf
