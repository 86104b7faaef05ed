#pragma once
/// The network of `lightgcn` and one step of its training.
///
///   E_0 = [users; items],  E = propagation of E_0 (engine/layers/propagation.hpp)
///   logit(u, i) = E[u, :] . E[n_users + i, :] + b_i
///
/// An item's row of E_0 is the weighted sum of its bag of rows (itself, and its features where they are on), as is
/// b_i. The loss is the softmax cross-entropy of each user's purchases over the whole catalog, summed and divided by
/// the users (kernels/loss/full_softmax.hpp), or that of drawn pairs (engine/train/pair_loss.hpp).

#include <memory>
#include <optional>
#include <vector>

#include "engine/layers/embedding_bag.hpp"
#include "engine/layers/propagation.hpp"
#include "engine/train/pair_loss.hpp"

namespace sheaf {

struct GraphShape {
  int64_t dim = 64;
  int64_t layers = 2;
  bool with_weights = false;  // the form gcn: weights and ReLU in each layer
};

class GraphNet {
 public:
  /// Zeros. `adjacency` is that of user_item_graph(), item_bags [n_items, n_item_rows]. DataError without a user, an
  /// item or a dimension.
  GraphNet(Context& context, const HostCsr& adjacency, const HostCsr& item_bags, const GraphShape& shape);
  /// Tables normal with deviation 0.1; biases at the logarithm of the items' weight in `train_items`.
  void initialise(uint64_t seed, const HostCsr& train_items);

  int64_t n_users() const { return graph_->n() - n_items(); }
  int64_t n_items() const { return item_bags_.n_bags(); }
  int64_t dim() const { return dim_; }

  /// E [n_users + n_items, dim] and b [n_items, 1], both overwritten; they live as long as the pass.
  void forward(Pass& pass, MatrixView<float> vectors, MatrixView<float> bias) const;
  /// Sets the gradients of all parameters.
  void backward(Pass& pass, MatrixView<float> d_vectors, MatrixView<const float> d_bias);

  std::vector<Parameter*> parameters();
  Parameter user_table;  // [n_users, dim]
  Parameter item_table;  // [n_item_rows, dim]
  Parameter item_bias;   // [n_item_rows, 1]

 private:
  int64_t dim_;
  EmbeddingBag item_bags_;
  std::shared_ptr<const NormalisedGraph> graph_;
  std::unique_ptr<Layer> propagation_;
};

class GraphStep {
 public:
  /// Begins the training of all parameters. params.loss is softmax, or bpr or bce on drawn pairs.
  GraphStep(Context& context, GraphNet& net, const HostCsr& train_items, const TrainParams& params);

  /// Adds the loss and sets the gradients of all parameters. `draw` is of the pairs: the softmax does not read it.
  void differentiate(const PairDraw& draw, VectorView<double> loss);
  void update(const OptimizerParams& by);

 private:
  Context& context_;
  GraphNet& net_;
  TrainParams params_;
  DeviceCsr targets_;
  std::optional<Positives> positives_;  // of drawn pairs
};

}  // namespace sheaf
