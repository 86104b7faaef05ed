#pragma once
/// A network over (user, item) pairs: x = [e_u, e_i]; x = max(0, W_l x + b_l) in each layer but the last, which gives
/// the score (the MLP of He et al., "Neural collaborative filtering", 2017). It would cost too much to score the whole
/// catalog for everyone. So another scorer retrieves candidates for each list, and the network orders those.

#include "engine/scoring/scorer.hpp"

namespace sheaf {

struct NetworkParts {
  int64_t n_users = 0, n_items = 0, dim = 0;
  Buffer<float> users = {};  // [n_users, dim] f32
  Buffer<float> items = {};  // [n_items, dim] f32
  struct Layer {
    int64_t n_in = 0, n_out = 0;
    Buffer<float> weight;  // [n_out, n_in] f32
    Buffer<float> bias;    // [n_out] f32
  };
  std::vector<Layer> layers = {};                // the first takes 2 dim, the last gives 1
  std::shared_ptr<const Scorer> retrieval = {};  // of the same users and items
  int64_t n_retrieved = 256;                     // candidates of a query, at most 256
};

class NetworkScorer final : public Scorer {
 public:
  /// UsageError for layers that do not fit.
  NetworkScorer(Context& context, NetworkParts parts);

  int64_t n_users() const override { return parts_.n_users; }
  int64_t n_items() const override { return parts_.n_items; }
  void all_scores(Context& context, const Queries& queries, int64_t first, MatrixView<float> out) const override;
  void scores(Context& context, const Queries& queries, MatrixView<const int32_t> items,
              MatrixView<float> out) const override;
  /// Of the retrieved items.
  TopLists top_k(Context& context, const Queries& queries, int64_t k, const Exclusion& exclude) const override;

 private:
  /// out[p] of pair p of a user and an item.
  void score_pairs(Context& context, VectorView<const int32_t> users, VectorView<const int32_t> items,
                   float* out) const;
  void check_known(const Queries& queries) const;

  NetworkParts parts_;
  Buffer<float> left_,
      right_;  // [n_users, 2 dim] of [e_u, 0] and [n_items, 2 dim] of [0, e_i]: their sums are the inputs
};

}  // namespace sheaf
