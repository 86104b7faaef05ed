#include "engine/associate/item_neighbours.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/associate/association.hpp"
#include "kernels/sparse/spgemm_topk.hpp"

namespace sheaf {

HostCsr with_diagonal(const HostCsr& matrix) {
  HostCsr result;
  result.n_columns = matrix.n_columns;
  for (int64_t r = 0; r < matrix.n_rows(); ++r) {
    const auto columns = matrix.row(r);
    const auto first = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(r)]);
    bool placed = false;
    const auto place = [&] {
      result.columns.push_back(static_cast<int32_t>(r));
      result.values.push_back(1.0f);
      placed = true;
    };
    for (size_t e = 0; e < columns.size(); ++e) {
      if (!placed && columns[e] > r) place();
      result.columns.push_back(columns[e]);
      result.values.push_back(matrix.values[first + e]);
    }
    if (!placed) place();
    result.row_offsets.push_back(result.nnz());
  }
  return result;
}

HostCsr item_neighbours(Context& context, const HostCsr& train_counts, int64_t neighbours, double shrink) {
  HostCsr scaled = train_counts;
  std::vector<double> squares(static_cast<size_t>(scaled.n_columns), 0.0);
  for (size_t e = 0; e < scaled.columns.size(); ++e) {
    const float x = scaled.values[e] = std::log1p(scaled.values[e]);
    squares[static_cast<size_t>(scaled.columns[e])] += static_cast<double>(x) * static_cast<double>(x);
  }
  std::vector<float> lengths;
  for (const double sum : squares) lengths.push_back(sum > 0 ? static_cast<float>(std::sqrt(sum)) : 1.0f);
  const Buffer<float> item_length(context, lengths);
  const int64_t n_items = scaled.n_columns;
  Partners partners;
  partners.n_items = n_items;
  partners.k = std::clamp<int64_t>(neighbours, 1, std::clamp<int64_t>(n_items, 1, 256));
  const DeviceCsr users_of(context, transpose(scaled)), items_of(context, scaled),
      itself(context, identity_csr(n_items));
  Buffer<int32_t> items(context, n_items * partners.k);
  Buffer<float> scores(context, n_items * partners.k);
  sparse::spgemm_topk(context, {.history = users_of.view(),
                                .similarity = items_of.view(),
                                .exclude = itself.view(),
                                .row_length = item_length.view(),
                                .item_length = item_length.view(),
                                .shrink = static_cast<float>(shrink),
                                .top_items = items.matrix(n_items, partners.k),
                                .top_scores = scores.matrix(n_items, partners.k)});
  partners.items = items.to_host();
  partners.scores = scores.to_host();
  return partners.to_csr();
}

}  // namespace sheaf
