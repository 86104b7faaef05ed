#include "engine/associate/graph_vectors.hpp"

#include "engine/layers/propagation.hpp"
#include "kernels/core/check.hpp"

namespace sheaf {

Buffer<float> graph_vectors(Context& context, const HostCsr& user_item, MatrixView<const float> users,
                            MatrixView<const float> items, int64_t layers) {
  const int64_t dim = items.cols;
  check_argument(users.rows == user_item.n_rows() && items.rows == user_item.n_columns && users.cols == dim,
                 "graph_vectors", "users and items must have the graph's rows and columns, and one width");
  HostCsr pattern = user_item;
  pattern.values.clear();
  const NormalisedGraph graph(context, user_item_graph(pattern));
  Buffer<float> nodes(context, graph.n() * dim), mean(context, items.size());
  const auto copy = [&](MatrixView<const float> from, float* to) {
    if (!from.empty()) context.copy(to, from.data, static_cast<size_t>(from.size()) * sizeof(float));
  };
  copy(users, nodes.data());
  copy(items, nodes.data() + users.size());
  graph.mean_of_steps(context, nodes.matrix(graph.n(), dim), layers, mean.matrix(items.rows, dim), users.rows);
  context.synchronize();  // `graph` ends here
  return mean;
}

}  // namespace sheaf
