#pragma once
/// Item to item: score(u, i) = item_bias[i] + sum over items j that u bought of weight(u, j) * similarity(j, i).
/// EASE and SLIM have a dense similarity, item-kNN a sparse one; with the identity a user's score is the weight itself.

#include "engine/scoring/scorer.hpp"

namespace sheaf {

struct ItemSimilarity {
  int64_t n_items = 0;
  DeviceCsr sparse;     // [n_items, n_items], or without rows
  Buffer<float> dense;  // [n_items, n_items], or empty; both empty: the identity
};

class ItemScorer final : public Scorer {
 public:
  /// weights [n_users, n_items] of what users bought; item_bias [n_items] or empty, not with a dense similarity
  /// (UsageError). People that the model never saw count by the values of their purchases.
  ItemScorer(Context& context, const HostCsr& weights, ItemSimilarity similarity,
             const std::vector<float>& item_bias = {});

  int64_t n_users() const override { return n_users_; }
  int64_t n_items() const override { return similarity_.n_items; }
  void all_scores(Context& context, const Queries& queries, int64_t first, MatrixView<float> out) const override;
  void scores_of_items(Context& context, const Queries& queries, const std::vector<int32_t>& items,
                       MatrixView<float> out) const override;

 private:
  int64_t n_users_;
  DeviceCsr weights_;
  ItemSimilarity similarity_;
  Buffer<float> item_bias_;
};

}  // namespace sheaf
