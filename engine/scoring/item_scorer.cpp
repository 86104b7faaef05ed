#include "engine/scoring/item_scorer.hpp"

#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/dense/gather_scores.hpp"
#include "kernels/embedding/table_bag.hpp"
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

void ItemScorer::scores_of_items(Context& context, const Queries& queries, const std::vector<int32_t>& items,
                                 MatrixView<float> out) const {
  // Of a dense similarity only the columns of the items are needed.
  const int64_t width = std::ssize(items);
  if (similarity_.dense.empty() || width * 8 > n_items() || out.empty()) {
    Scorer::scores_of_items(context, queries, items, out);
    return;
  }
  std::vector<int32_t> all;
  for (int64_t i = 0; i < n_items(); ++i) all.insert(all.end(), items.begin(), items.end());
  const Buffer<int32_t> device_items(context, all);
  Buffer<float> columns(context, n_items() * width);
  dense::gather_scores(context, {similarity_.dense.matrix(n_items(), n_items()), device_items.matrix(n_items(), width),
                                 columns.matrix(n_items(), width)});
  const CsrView weights = queries.are_known() ? weights_.view() : queries.device_purchases().view();
  embedding::bag_sums(context, columns.matrix(n_items(), width), embedding::bags_of(weights, queries.rows()), out);
  context.synchronize();  // `columns` ends here
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
  embedding::bag_sums(context, similarity_.dense.matrix(n_items(), n_items()), embedding::bags_of(weights, rows), out);
}

}  // namespace sheaf
