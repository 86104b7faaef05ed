#include "engine/associate/graph_vectors.hpp"

#include <cmath>
#include <utility>
#include <vector>

#include "kernels/core/check.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/sparse/spmm.hpp"

namespace sheaf {
namespace {

std::vector<float> inverse_root_degrees(const HostCsr& graph) {
  std::vector<float> scales;
  for (int64_t r = 0; r < graph.n_rows(); ++r) {
    const size_t degree = graph.row(r).size();
    scales.push_back(degree == 0 ? 0.0f : static_cast<float>(1.0 / std::sqrt(static_cast<double>(degree))));
  }
  return scales;
}

Buffer<float> copy_of(Context& context, MatrixView<const float> matrix) {
  Buffer<float> copy(context, matrix.size());
  if (!matrix.empty()) {
    context.copy(copy.data(), matrix.data, static_cast<size_t>(matrix.size()) * sizeof(float));
  }
  return copy;
}

}  // namespace

Buffer<float> graph_vectors(Context& context, const HostCsr& user_item, MatrixView<const float> users,
                            MatrixView<const float> items, int64_t layers) {
  const int64_t dim = items.cols;
  check_argument(users.rows == user_item.n_rows() && items.rows == user_item.n_columns && users.cols == dim,
                 "graph_vectors", "users and items must have the graph's rows and columns, and one width");
  HostCsr pattern = user_item;
  pattern.values.clear();
  const HostCsr by_item = transpose(pattern);
  const DeviceCsr user_graph(context, pattern), item_graph(context, by_item);
  const Buffer<float> user_scale(context, inverse_root_degrees(pattern));
  const Buffer<float> item_scale(context, inverse_root_degrees(by_item));

  Buffer<float> user_now = copy_of(context, users), item_now = copy_of(context, items);
  Buffer<float> user_next(context, users.size()), item_next(context, items.size());
  Buffer<float> mean = copy_of(context, items);
  for (int64_t layer = 1; layer <= layers; ++layer) {
    check_interrupt("the propagation over the graph of purchases");
    const auto now_users = std::as_const(user_now).matrix(users.rows, dim);
    sparse::spmm(context, {.graph = item_graph.view(),
                           .row_scale = item_scale.view(),
                           .column_scale = user_scale.view(),
                           .in = now_users,
                           .out = item_next.matrix(items.rows, dim),
                           .mean = mean.matrix(items.rows, dim),
                           .n_in_mean = layer});
    if (layer == layers) break;  // the users of the last layer reach nobody
    sparse::spmm(context, {.graph = user_graph.view(),
                           .row_scale = user_scale.view(),
                           .column_scale = item_scale.view(),
                           .in = std::as_const(item_now).matrix(items.rows, dim),
                           .out = user_next.matrix(users.rows, dim)});
    std::swap(user_now, user_next);
    std::swap(item_now, item_next);
  }
  return mean;
}

}  // namespace sheaf
