#pragma once
/// score(u, i) = users[u, :] . items[i, :] + user_bias[u] + item_bias[i] + bias: for factorizations, and for the state
/// of a user's history against item vectors. Lists come from dense/score_topk, which never stores the scores.

#include <functional>
#include <vector>

#include "engine/scoring/scorer.hpp"

namespace sheaf {

/// The parameters; all on the device.
struct LinearParts {
  int64_t n_users = 0, n_items = 0, dim = 0;
  Buffer<float> users = {};      // [n_users, dim] f32
  Buffer<float> items = {};      // [n_items, dim] f32
  Buffer<float> user_bias = {};  // [n_users] f32, or empty for 0
  Buffer<float> item_bias = {};  // [n_items] f32, or empty for 0
  Buffer<float> bias = {};       // [1] f32, or empty for 0
  /// Vectors of people that the model never saw, from their purchases; null: the model has none for them.
  std::function<void(Context&, const LinearParts&, const Queries&, MatrixView<float> vectors)> encode = {};
};

class LinearScorer final : public Scorer {
 public:
  LinearScorer(Context& context, LinearParts parts);

  int64_t n_users() const override { return parts_.n_users; }
  int64_t n_items() const override { return parts_.n_items; }
  const LinearParts& parts() const { return parts_; }

  void all_scores(Context& context, const Queries& queries, int64_t first, MatrixView<float> out) const override;
  void scores(Context& context, const Queries& queries, MatrixView<const int32_t> items,
              MatrixView<float> out) const override;
  TopLists top_k(Context& context, const Queries& queries, int64_t k, const Exclusion& exclude) const override;
  std::vector<float> mean_probability(Context& context, const Queries& queries) const override;

 private:
  /// Vectors and biases of queries; `vectors` may be the whole table.
  struct QueryRows {
    MatrixView<const float> vectors;
    VectorView<const float> bias;
  };
  QueryRows rows_of(Context& context, ScratchScope& scratch, const Queries& queries, int64_t first, int64_t n) const;
  MatrixView<const float> user_matrix() const { return parts_.users.matrix(n_users(), parts_.dim); }
  MatrixView<const float> item_matrix() const { return parts_.items.matrix(n_items(), parts_.dim); }

  LinearParts parts_;
};

}  // namespace sheaf
