#include "engine/scoring/product_scorer.hpp"

#include <numeric>
#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/sparse/spgemm.hpp"

namespace sheaf {

ProductScorer::ProductScorer(Context& context, ProductParts parts)
    : n_users_(parts.rows.n_rows()),
      n_items_(parts.right.n_rows() > 0 ? parts.right.n_columns : parts.rows.n_columns),
      rows_(context, parts.rows),
      right_(context, parts.right),
      item_bias_(context, parts.item_bias),
      rows_of_strangers_(std::move(parts.rows_of_strangers)) {
  if ((parts.right.n_rows() > 0 && parts.right.n_rows() != parts.rows.n_columns) ||
      (!parts.item_bias.empty() && std::ssize(parts.item_bias) != n_items_)) {
    throw UsageError("the rows, the matrix and the bias of a product of scores differ in size",
                     "give one row of the matrix a column of the rows, and one bias an item");
  }
}

void ProductScorer::all_scores(Context& context, const Queries& queries, int64_t first, MatrixView<float> out) const {
  if (out.empty()) return;
  const auto multiply = [&](const DeviceCsr& rows, VectorView<const int32_t> ids) {
    sparse::spgemm(
        context,
        {.left = rows.view(), .right = right_.view(), .ids = ids, .column_bias = item_bias_.view(), .out = out});
  };
  if (queries.are_known()) {
    multiply(rows_, queries.rows().subview(first, out.rows));
    return;
  }
  if (!rows_of_strangers_) {
    throw UsageError("the model has no way to score people that it never saw", "train it with their purchases");
  }
  std::vector<int32_t> ids(static_cast<size_t>(out.rows));
  std::iota(ids.begin(), ids.end(), 0);
  const DeviceCsr rows(context, rows_of_strangers_(context, queries, first, out.rows));
  const Buffer<int32_t> device_ids(context, ids);
  multiply(rows, device_ids.view());
  context.synchronize();  // `rows` ends here
}

}  // namespace sheaf
