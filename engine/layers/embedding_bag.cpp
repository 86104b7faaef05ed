#include "engine/layers/embedding_bag.hpp"

#include <algorithm>

#include "kernels/core/error.hpp"
#include "kernels/embedding/table_bag.hpp"
#include "kernels/embedding/table_update.hpp"

namespace sheaf {
namespace {

/// Bag n is row n alone.
bool is_identity(const HostCsr& bags) {
  if (!bags.values.empty() || bags.nnz() != bags.n_rows() || bags.n_rows() != bags.n_columns) return false;
  for (int64_t n = 0; n < bags.n_rows(); ++n) {
    const auto row = bags.row(n);
    if (row.size() != 1 || row[0] != n) return false;
  }
  return true;
}

embedding::TableType table_type(Element type) {
  switch (type) {
    case Element::f32: return embedding::TableType::f32;
    case Element::f16: return embedding::TableType::f16;
    case Element::bf16: return embedding::TableType::bf16;
  }
  return embedding::TableType::f32;
}

}  // namespace

EmbeddingBag::EmbeddingBag(Context& context, const HostCsr& bags, bool with_backward)
    : n_bags_(bags.n_rows()),
      n_rows_(bags.n_columns),
      is_lookup_(is_identity(bags)),
      has_backward_(with_backward),
      bags_(context, bags) {
  for (int64_t n = 0; n < n_bags_; ++n) max_bag_ = std::max(max_bag_, static_cast<int64_t>(bags.row(n).size()));
  if (with_backward) readers_ = DeviceCsr(context, transpose(bags));
}

void EmbeddingBag::forward(Context& context, MatrixView<const float> x, MatrixView<float> out) const {
  embedding::bag_sums(context, x, embedding::bags_of(bags_.view()), out);
}

void EmbeddingBag::forward_tensor(Context& context, const Tensor& x, MatrixView<float> out) const {
  embedding::table_bag(context,
                       {.tables = {.data = x.data, .type = table_type(x.type), .n_rows = x.rows, .dim = x.cols},
                        .bags = embedding::bags_of(bags_.view()),
                        .out = out});
}

void EmbeddingBag::backward(Context& context, MatrixView<const float> d_out, MatrixView<float> d_x) const {
  if (!has_backward_) throw UsageError("a bag without a backward pass", "make it with one");
  embedding::bag_sums(context, d_out, embedding::bags_of(readers_.view()), d_x);
}

embedding::Bags EmbeddingBag::named(VectorView<const int32_t> ids) const {
  return is_lookup_ ? embedding::lookup(ids) : embedding::bags_of(bags_.view(), ids, max_bag_);
}

void EmbeddingBag::look_up(Context& context, MatrixView<const float> table, VectorView<const int32_t> ids,
                           MatrixView<float> out) const {
  embedding::bag_sums(context, table, named(ids), out);
}

void EmbeddingBag::update(Context& context, MatrixView<const float> d_out, VectorView<const int32_t> ids,
                          const AdamParams& adam, Parameter& table) const {
  embedding::table_update(context, {.grad = d_out,
                                    .tables = embedding::table_of(table.matrix()),
                                    .bags = named(ids),
                                    .optimizer = embedding::Optimizer::adam,
                                    .params = adam,
                                    .state1 = table.moment1.data(),
                                    .state2 = table.moment2.data()});
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
