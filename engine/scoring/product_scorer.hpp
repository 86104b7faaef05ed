#pragma once
/// Sparse times sparse: score(q, i) = item_bias[i] + sum over entries (c, w) of the query's row of w * right(c, i).
/// With users as columns, the right side is what each user bought: user-kNN. Without a right side a row holds the
/// scores themselves.

#include <functional>

#include "engine/scoring/scorer.hpp"

namespace sheaf {

struct ProductParts {
  HostCsr rows = {};                  // [n_users, n_inner] of the users of the training
  HostCsr right = {};                 // [n_inner, n_items], or without rows: the identity, n_inner == n_items
  std::vector<float> item_bias = {};  // [n_items], or empty
  /// Rows [count, n_inner] of the people first .. first + count - 1 of queries that the model never saw. Where it is
  /// missing they are refused.
  std::function<HostCsr(Context&, const Queries&, int64_t first, int64_t count)> rows_of_strangers = {};
};

class ProductScorer final : public Scorer {
 public:
  /// UsageError for sizes that do not fit.
  ProductScorer(Context& context, ProductParts parts);

  int64_t n_users() const override { return n_users_; }
  int64_t n_items() const override { return n_items_; }
  void all_scores(Context& context, const Queries& queries, int64_t first, MatrixView<float> out) const override;

 private:
  int64_t n_users_, n_items_;
  DeviceCsr rows_, right_;
  Buffer<float> item_bias_;
  std::function<HostCsr(Context&, const Queries&, int64_t, int64_t)> rows_of_strangers_;
};

}  // namespace sheaf
