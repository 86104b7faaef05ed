#include "engine/layers/embedding_bag.hpp"

#include <algorithm>
#include <numeric>

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
  if (!with_backward) return;
  holds_few_ = 2 * bags.nnz() < n_rows_;
  if (!holds_few_) {
    readers_ = DeviceCsr(context, transpose(bags));
    return;
  }
  // An offset for each of a million users in every batch would take more than all else together.
  std::vector<int32_t> held = bags.columns;
  std::ranges::sort(held);
  held.erase(std::ranges::unique(held).begin(), held.end());
  HostCsr placed = bags;
  placed.n_columns = std::ssize(held);
  for (int32_t& column : placed.columns) {
    column = static_cast<int32_t>(std::ranges::lower_bound(held, column) - held.begin());
  }
  readers_ = DeviceCsr(context, transpose(placed));
  std::vector<int32_t> places(held.size());
  std::iota(places.begin(), places.end(), 0);
  held_ = Buffer<int32_t>(context, held);
  places_ = Buffer<int32_t>(context, places);
}

int64_t EmbeddingBag::bytes() const { return bags_.bytes() + readers_.bytes() + 4 * (held_.size() + places_.size()); }

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
  if (!holds_few_) return embedding::bag_sums(context, d_out, embedding::bags_of(readers_.view()), d_x);
  context.fill_bytes(d_x.data, 0, static_cast<size_t>(d_x.size()) * sizeof(float));
  const int64_t n_held = held_.size();
  ScratchScope scratch(context);
  const MatrixView<float> sums{scratch.take<float>(n_held * d_x.cols), n_held, d_x.cols};
  embedding::bag_sums(context, d_out, embedding::bags_of(readers_.view()), sums);
  // To their rows: 0 - (-1) * sum, exactly.
  embedding::TableUpdateArgs place{
      .grad = sums, .tables = embedding::table_of(d_x), .bags = embedding::lookup(held_.view())};
  place.params.learning_rate = -1.0f;
  const auto words = [&](const Buffer<int32_t>& numbers) {
    return VectorView<const uint32_t>{reinterpret_cast<const uint32_t*>(numbers.data()), n_held};
  };
  place.sorted = {words(held_), words(places_), places_.view()};
  embedding::table_update(context, place);
}

embedding::Bags EmbeddingBag::named(VectorView<const int32_t> ids) const {
  return is_lookup_ ? embedding::lookup(ids) : embedding::bags_of(bags_.view(), ids, max_bag_);
}

void EmbeddingBag::look_up(Context& context, MatrixView<const float> table, VectorView<const int32_t> ids,
                           MatrixView<float> out) const {
  embedding::bag_sums(context, table, named(ids), out);
}

embedding::SortedEntries EmbeddingBag::sort(Context& context, ScratchScope& scratch, VectorView<const int32_t> ids,
                                            const Parameter& table) const {
  const embedding::Bags bags = named(ids);
  const int64_t n = embedding::n_slots(bags);
  const embedding::EntriesByRow<uint32_t, int32_t> sorted{
      {scratch.take<uint32_t>(n), n}, {scratch.take<uint32_t>(n), n}, {scratch.take<int32_t>(n), n}};
  embedding::table_sort(context, {.tables = embedding::table_to_read(table.matrix()), .bags = bags, .sorted = sorted});
  return {sorted.rows, sorted.entries, sorted.bags};
}

void EmbeddingBag::update(Context& context, MatrixView<const float> d_out, VectorView<const int32_t> ids,
                          const embedding::SortedEntries& sorted, const OptimizerParams& params,
                          Parameter& table) const {
  embedding::table_update(context, {.grad = d_out,
                                    .tables = embedding::table_of(table.matrix()),
                                    .bags = named(ids),
                                    .optimizer = table.optimizer,
                                    .params = params,
                                    .state1 = table.moment1.data(),
                                    .state2 = table.moment2.data(),
                                    .sorted = sorted});
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
