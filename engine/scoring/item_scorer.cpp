#include "engine/scoring/item_scorer.hpp"

#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/embedding/bag.hpp"
#include "kernels/sparse/spgemm.hpp"

namespace sheaf {

ItemScorer::ItemScorer(Context& context, const HostCsr& weights, ItemSimilarity similarity,
                       const std::vector<float>& item_bias)
    : n_users_(weights.n_rows()),
      weights_(context, weights),
      similarity_(std::move(similarity)),
      item_bias_(context, item_bias) {
  if (!item_bias_.empty() && !similarity_.dense.empty()) {
    throw UsageError("a dense similarity takes no item bias", "leave one of the two out");
  }
}

void ItemScorer::all_scores(Context& context, const Queries& queries, int64_t first, MatrixView<float> out) const {
  const CsrView weights = queries.are_known() ? weights_.view() : queries.device_purchases().view();
  const VectorView<const int32_t> rows = queries.rows().subview(first, out.rows);
  if (similarity_.dense.empty()) {
    sparse::spgemm(context, {.left = weights,
                             .right = similarity_.sparse.view(),
                             .ids = rows,
                             .column_bias = item_bias_.view(),
                             .out = out});
    return;
  }
  // A sum of rows of the similarity: an embedding bag.
  embedding::bag(context, {similarity_.dense.matrix(n_items(), n_items()), weights, rows, out});
}

}  // namespace sheaf
