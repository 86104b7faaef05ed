#include "engine/layers/embedding_bag.hpp"

#include <algorithm>

#include "kernels/core/error.hpp"
#include "kernels/embedding/bag.hpp"
#include "kernels/embedding/sparse_update.hpp"

namespace sheaf {

EmbeddingBag::EmbeddingBag(Context& context, const HostCsr& bags, bool with_backward)
    : n_bags_(bags.n_rows()), n_rows_(bags.n_columns), bags_(context, bags), all_bags_(all_ids(context, n_bags_)) {
  for (int64_t n = 0; n < n_bags_; ++n) max_bag_ = std::max(max_bag_, static_cast<int64_t>(bags.row(n).size()));
  if (!with_backward) return;
  readers_ = DeviceCsr(context, transpose(bags));
  all_rows_ = all_ids(context, n_rows_);
}

void EmbeddingBag::forward(Context& context, MatrixView<const float> x, MatrixView<float> out) const {
  embedding::bag(context, {x, bags_.view(), all_bags_.view(), out});
}

void EmbeddingBag::backward(Context& context, MatrixView<const float> d_out, MatrixView<float> d_x) const {
  if (all_rows_.size() != n_rows_) {
    throw UsageError("a bag without a backward pass", "make it with one");
  }
  embedding::bag(context, {d_out, readers_.view(), all_rows_.view(), d_x});
}

void EmbeddingBag::look_up(Context& context, MatrixView<const float> table, VectorView<const int32_t> ids,
                           MatrixView<float> out) const {
  embedding::bag(context, {table, bags_.view(), ids, out});
}

void EmbeddingBag::update(Context& context, MatrixView<const float> d_out, VectorView<const int32_t> ids,
                          const AdamParams& adam, Parameter& table) const {
  embedding::sparse_update(context, {.grad = d_out,
                                     .bags = bags_.view(),
                                     .max_bag = max_bag_,
                                     .ids = ids,
                                     .adam = adam,
                                     .table = table.matrix(),
                                     .moment1 = table.moment1.matrix(table.rows, table.cols),
                                     .moment2 = table.moment2.matrix(table.rows, table.cols)});
}

HostCsr rows_of(const std::vector<int32_t>& rows, int64_t n_rows) {
  HostCsr bags;
  bags.n_columns = n_rows;
  bags.columns = rows;
  for (size_t r = 1; r <= rows.size(); ++r) bags.row_offsets.push_back(static_cast<int64_t>(r));
  return bags;
}

HostCsr pooling_of(const std::vector<int64_t>& offsets, Pooling pooling) {
  HostCsr bags;
  bags.n_columns = offsets.back();
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const int64_t length = offsets[s + 1] - offsets[s];
    const int64_t first = pooling == Pooling::last ? std::max(offsets[s], offsets[s + 1] - 1) : offsets[s];
    for (int64_t row = first; row < offsets[s + 1]; ++row) {
      bags.columns.push_back(static_cast<int32_t>(row));
      if (pooling == Pooling::mean) bags.values.push_back(1.0f / static_cast<float>(length));
    }
    bags.row_offsets.push_back(bags.nnz());
  }
  return bags;
}

}  // namespace sheaf
