#include "engine/layers/propagation.hpp"

#include <cmath>
#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/dense/scaled_add.hpp"
#include "kernels/sparse/spmm.hpp"

namespace sheaf {
namespace {

std::vector<float> inverse_root_sums(const HostCsr& adjacency) {
  std::vector<float> scales;
  for (int64_t r = 0; r < adjacency.n_rows(); ++r) {
    double sum = 0.0;
    for (int64_t e = adjacency.row_offsets[static_cast<size_t>(r)];
         e < adjacency.row_offsets[static_cast<size_t>(r) + 1]; ++e) {
      sum += adjacency.values.empty() ? 1.0 : static_cast<double>(adjacency.values[static_cast<size_t>(e)]);
    }
    scales.push_back(sum > 0.0 ? static_cast<float>(1.0 / std::sqrt(sum)) : 0.0f);
  }
  return scales;
}

void copy_rows(Context& context, MatrixView<const float> from, MatrixView<float> to) {
  if (!to.empty()) context.copy(to.data, from.data, static_cast<size_t>(to.size()) * sizeof(float));
}

/// The message of an interrupt.
constexpr const char* kWork = "the propagation over the graph of purchases";

}  // namespace

HostCsr user_item_graph(const HostCsr& user_item, const HostCsr& item_item, float item_weight) {
  const int64_t n_users = user_item.n_rows(), n_items = user_item.n_columns;
  const bool has_items = item_item.n_rows() > 0;
  const bool weighted = has_items || !user_item.values.empty();
  HostCsr graph;
  graph.n_columns = n_users + n_items;
  const auto append = [&](const HostCsr& from, int64_t row, int64_t first_column, float factor) {
    for (int64_t e = from.row_offsets[static_cast<size_t>(row)]; e < from.row_offsets[static_cast<size_t>(row) + 1];
         ++e) {
      graph.columns.push_back(static_cast<int32_t>(first_column) + from.columns[static_cast<size_t>(e)]);
      if (weighted) graph.values.push_back(from.values.empty() ? factor : factor * from.values[static_cast<size_t>(e)]);
    }
  };
  for (int64_t u = 0; u < n_users; ++u) {
    check_interrupt(kWork);
    append(user_item, u, n_users, 1.0f);
    graph.row_offsets.push_back(graph.nnz());
  }
  const HostCsr by_item = transpose(user_item);
  for (int64_t i = 0; i < n_items; ++i) {
    check_interrupt(kWork);
    append(by_item, i, 0, 1.0f);
    if (has_items) append(item_item, i, n_users, item_weight);
    graph.row_offsets.push_back(graph.nnz());
  }
  return graph;
}

NormalisedGraph::NormalisedGraph(Context& context, const HostCsr& adjacency)
    : edges_(context, adjacency), scale_(context, inverse_root_sums(adjacency)) {
  if (adjacency.n_rows() != adjacency.n_columns) {
    throw UsageError("a graph of " + std::to_string(adjacency.n_rows()) + " nodes has edges to " +
                         std::to_string(adjacency.n_columns),
                     "give a square matrix");
  }
  const HostCsr turned = transpose(adjacency);
  if (turned.columns != adjacency.columns || turned.row_offsets != adjacency.row_offsets ||
      turned.values != adjacency.values) {
    throw UsageError("a graph whose edges do not go both ways with one weight", "give a symmetric matrix");
  }
}

void NormalisedGraph::step_rows(Context& context, MatrixView<const float> x, int64_t first, MatrixView<float> out,
                                MatrixView<float> mean, int64_t n_in_mean) const {
  if (out.rows == 0) return;
  CsrView rows = edges_.view();
  rows.row_offsets += first;
  rows.n_rows = out.rows;
  sparse::spmm(context, {.graph = rows,
                         .row_scale = scale_.view().subview(first, out.rows),
                         .column_scale = scale_.view(),
                         .in = x,
                         .out = out,
                         .mean = mean,
                         .n_in_mean = n_in_mean});
}

void NormalisedGraph::step(Context& context, MatrixView<const float> x, MatrixView<float> out) const {
  step_rows(context, x, 0, out, {}, 1);
}

void NormalisedGraph::mean_of_steps(Context& context, MatrixView<const float> x, int64_t steps, MatrixView<float> out,
                                    int64_t first) const {
  ScratchScope scratch(context);
  const auto take = [&] { return MatrixView<float>{scratch.take<float>(x.size()), x.rows, x.cols}; };
  const int64_t end = first + out.rows;
  copy_rows(context, x.row_block(first, out.rows), out);
  MatrixView<float> next = steps > 0 ? take() : MatrixView<float>{};
  MatrixView<float> other = steps > 1 ? take() : MatrixView<float>{};
  MatrixView<const float> now = x;
  for (int64_t s = 1; s <= steps; ++s) {
    check_interrupt(kWork);
    step_rows(context, now, first, next.row_block(first, out.rows), out, s);
    if (s == steps) break;  // the other rows of the last step reach nobody
    step_rows(context, now, 0, next.row_block(0, first), {}, 1);
    step_rows(context, now, end, next.row_block(end, n() - end), {}, 1);
    now = next;
    std::swap(next, other);
  }
}

void LightPropagation::forward(Pass& pass, Tensor x, Tensor out) const {
  graph_->mean_of_steps(pass.context, x.f32("propagation"), steps_, out.f32("propagation"));
}

void LightPropagation::backward(Pass& pass, Tensor d_out, Tensor d_x) {
  graph_->mean_of_steps(pass.context, d_out.f32("propagation"), steps_, d_x.f32("propagation"));
}

ConvolvedPropagation::ConvolvedPropagation(Context& context, const std::string& name,
                                           std::shared_ptr<const NormalisedGraph> graph, int64_t dim, int64_t steps)
    : graph_(std::move(graph)), dim_(dim) {
  for (int64_t s = 0; s < steps; ++s) {
    linears_.emplace_back(context, name + std::to_string(s), dim, dim,
                          Linear::Options{.relu = true, .deviation = 1.4f});
  }
}

int64_t ConvolvedPropagation::out_cols(int64_t cols) const {
  if (cols != dim_) {
    throw UsageError("the propagation takes " + std::to_string(dim_) + " columns, not " + std::to_string(cols),
                     "give it what the layer before it makes");
  }
  return cols;
}

void ConvolvedPropagation::forward(Pass& pass, Tensor x, Tensor out) const {
  const MatrixView<float> sum = out.f32("propagation");
  MatrixView<float> now = x.f32("propagation");
  dense::scaled_add(pass.context, {.keep = 0.0f, .weight = share(), .x = now, .out = sum});
  for (const Linear& linear : linears_) {
    check_interrupt(kWork);
    const MatrixView<float> reached = pass.take(x.rows, x.cols), next = pass.take(x.rows, x.cols);
    graph_->step(pass.context, now, reached);
    linear.forward(pass, reached, next);
    dense::scaled_add(pass.context, {.weight = share(), .x = next, .out = sum});
    now = next;
  }
}

void ConvolvedPropagation::backward(Pass& pass, Tensor d_out, Tensor d_x) {
  ScratchScope scratch(pass.context);
  const MatrixView<float> d_mean = d_out.f32("propagation"), d_first = d_x.f32("propagation");
  const auto take = [&] { return MatrixView<float>{scratch.take<float>(d_out.size()), d_out.rows, d_out.cols}; };
  const MatrixView<float> d_layer = take(), d_reached = take();
  dense::scaled_add(pass.context, {.keep = 0.0f, .weight = share(), .x = d_mean, .out = d_layer});
  for (size_t l = linears_.size(); l > 0; --l) {
    check_interrupt(kWork);
    linears_[l - 1].backward(pass, d_layer, d_reached);
    graph_->step(pass.context, d_reached, d_layer);
    dense::scaled_add(pass.context, {.weight = share(), .x = d_mean, .out = d_layer});
  }
  copy_rows(pass.context, d_layer, d_first);
}

std::vector<Parameter*> ConvolvedPropagation::parameters() {
  std::vector<Parameter*> all;
  for (Linear& linear : linears_) {
    const std::vector<Parameter*> own = linear.parameters();
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

void ConvolvedPropagation::initialise(Initialiser& from) {
  for (Linear& linear : linears_) linear.initialise(from);
}

}  // namespace sheaf
