#pragma once
/// Steps over a weighted graph, as parts of a network. With A [n, n] symmetric, weights >= 0, and D the diagonal of its
/// row sums,
///
///   S = D^-1/2 A D^-1/2                                        (Kipf and Welling, ICLR 2017, without self-loops)
///   light:      out = mean of S^l x over l = 0 .. steps        (LightGCN: He et al., SIGIR 2020)
///   convolved:  h_0 = x, h_l = max(0, S h_(l-1) W_l^T + b_l), out = mean of h_0 .. h_steps
///
/// A node without edges has a row of zeros in S. S is symmetric, so the backward pass of a step is the same step of the
/// gradient. Sums run in a fixed order: the same bits on any number of threads (kernels/sparse/spmm.hpp).

#include <memory>
#include <string>
#include <vector>

#include "engine/data/csr.hpp"
#include "engine/layers/layer.hpp"
#include "engine/layers/linear.hpp"

namespace sheaf {

/// The graph of users (nodes 0 .. n_users - 1) and items (after them): an edge of weight user_item.values (1 where they
/// are empty) for each entry, and item_weight * item_item.values between items. item_item is [n_items, n_items] and
/// symmetric with values, or has no rows.
HostCsr user_item_graph(const HostCsr& user_item, const HostCsr& item_item = {}, float item_weight = 1.0f);

class NormalisedGraph {
 public:
  /// A; empty values mean 1. UsageError unless it equals its transpose.
  NormalisedGraph(Context& context, const HostCsr& adjacency);

  int64_t n() const { return scale_.size(); }
  /// out = S x, both [n, dim].
  void step(Context& context, MatrixView<const float> x, MatrixView<float> out) const;
  /// Rows first .. first + out.rows - 1 of the mean of S^l x over l = 0 .. steps; x [n, dim], out [rows, dim]. Throws
  /// Interrupted between steps.
  void mean_of_steps(Context& context, MatrixView<const float> x, int64_t steps, MatrixView<float> out,
                     int64_t first = 0) const;

 private:
  /// Rows first .. first + out.rows - 1 of S x, and their running mean if `mean` has rows.
  void step_rows(Context& context, MatrixView<const float> x, int64_t first, MatrixView<float> out,
                 MatrixView<float> mean, int64_t n_in_mean) const;

  DeviceCsr edges_;
  Buffer<float> scale_;  // [n] 1 / sqrt(row sum of A), 0 for a node without edges
};

/// x and out [n, dim], a row for each node.
class LightPropagation final : public Layer {
 public:
  LightPropagation(std::shared_ptr<const NormalisedGraph> graph, int64_t steps)
      : graph_(std::move(graph)), steps_(steps) {}

  void forward(Pass& pass, Tensor x, Tensor out) const override;
  void backward(Pass& pass, Tensor d_out, Tensor d_x) override;

 private:
  std::shared_ptr<const NormalisedGraph> graph_;
  int64_t steps_;
};

/// x and out [n, dim], a row for each node. Parameters `name`0, `name`0_bias, `name`1 ..: a Linear with ReLU each step.
class ConvolvedPropagation final : public Layer {
 public:
  ConvolvedPropagation(Context& context, const std::string& name, std::shared_ptr<const NormalisedGraph> graph,
                       int64_t dim, int64_t steps);

  /// UsageError unless cols is dim.
  int64_t out_cols(int64_t cols) const override;
  void forward(Pass& pass, Tensor x, Tensor out) const override;
  void backward(Pass& pass, Tensor d_out, Tensor d_x) override;
  std::vector<Parameter*> parameters() override;
  void initialise(Initialiser& from) override;

 private:
  float share() const { return 1.0f / static_cast<float>(linears_.size() + 1); }

  std::shared_ptr<const NormalisedGraph> graph_;
  int64_t dim_;
  std::vector<Linear> linears_;
};

}  // namespace sheaf
