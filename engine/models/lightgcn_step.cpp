#include "engine/models/lightgcn_step.hpp"

#include <string>
#include <utility>

#include "engine/train/softmax_epoch.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/range.hpp"
#include "kernels/dense/scaled_add.hpp"
#include "kernels/loss/full_softmax.hpp"

namespace sheaf {
namespace {

constexpr float kFirstDeviation = 0.1f;

std::unique_ptr<Layer> make_propagation(Context& context, std::shared_ptr<const NormalisedGraph> graph,
                                        const GraphShape& shape) {
  if (!shape.with_weights) return std::make_unique<LightPropagation>(std::move(graph), shape.layers);
  return std::make_unique<ConvolvedPropagation>(context, "layer_", std::move(graph), shape.dim, shape.layers);
}

}  // namespace

GraphNet::GraphNet(Context& context, const HostCsr& adjacency, const HostCsr& item_bags, const GraphShape& shape)
    : user_table(make_parameter(context, "user_table", adjacency.n_rows() - item_bags.n_rows(), shape.dim)),
      item_table(make_parameter(context, "item_table", item_bags.n_columns, shape.dim)),
      item_bias(make_parameter(context, "item_bias", item_bags.n_columns, 1, false)),
      dim_(shape.dim),
      item_bags_(context, item_bags, true),
      graph_(std::make_shared<NormalisedGraph>(context, adjacency)),
      propagation_(make_propagation(context, graph_, shape)) {
  if (n_users() <= 0 || n_items() <= 0 || shape.dim <= 0) {
    throw DataError("a preference model needs at least one user, one item and one dimension (users " +
                        std::to_string(n_users()) + ", items " + std::to_string(n_items()) + ", dim " +
                        std::to_string(shape.dim) + ")",
                    "check the cleaning report of the import: it may have dropped everything");
  }
}

void GraphNet::initialise(uint64_t seed, const HostCsr& train_items) {
  Initialiser from{.seed = seed};
  for (Parameter* table : {&user_table, &item_table}) {
    table->value.assign(normal_values(table->rows, table->cols, seed, from.next_table++, kFirstDeviation));
  }
  item_bias.value.assign(log_popularity(train_items, item_bias.rows));
  propagation_->initialise(from);
}

void GraphNet::forward(Pass& pass, MatrixView<float> vectors, MatrixView<float> bias) const {
  const MatrixView<float> nodes = pass.take(vectors.rows, vectors.cols);
  pass.context.copy(nodes.data, user_table.value.data(), static_cast<size_t>(user_table.value.size()) * sizeof(float));
  item_bags_.forward(pass.context, item_table.matrix(), nodes.row_block(n_users(), n_items()));
  propagation_->forward(pass, nodes, vectors);
  item_bags_.forward(pass.context, item_bias.matrix(), bias);
}

void GraphNet::backward(Pass& pass, MatrixView<float> d_vectors, MatrixView<const float> d_bias) {
  const MatrixView<float> d_nodes = pass.take(d_vectors.rows, d_vectors.cols);
  propagation_->backward(pass, d_vectors, d_nodes);
  pass.context.copy(user_table.gradient_matrix().data, d_nodes.data,
                    static_cast<size_t>(user_table.value.size()) * sizeof(float));
  item_bags_.backward(pass.context, d_nodes.row_block(n_users(), n_items()), item_table.gradient_matrix());
  item_bags_.backward(pass.context, d_bias, item_bias.gradient_matrix());
}

std::vector<Parameter*> GraphNet::parameters() {
  std::vector<Parameter*> all{&user_table, &item_table, &item_bias};
  for (Parameter* p : propagation_->parameters()) all.push_back(p);
  return all;
}

GraphStep::GraphStep(Context& context, GraphNet& net, const HostCsr& train_items, const TrainParams& params)
    : context_(context), net_(net), params_(params), targets_(context, train_items) {
  if (params.loss != LossKind::softmax) positives_.emplace(context, train_items, params);
  begin_training(context, net.parameters(), params.rule.optimizer);
}

void GraphStep::differentiate(const PairDraw& draw, VectorView<double> loss) {
  const Range range("training step");
  const int64_t n_users = net_.n_users(), n_items = net_.n_items(), n = n_users + n_items;
  ScratchScope scratch(context_);
  Pass pass(context_, scratch);
  const MatrixView<float> vectors = pass.take(n, net_.dim()), d_vectors = pass.take(n, net_.dim()),
                          bias = pass.take(n_items, 1), d_bias = pass.take(n_items, 1);
  net_.forward(pass, vectors, bias);
  const PairSides of{vectors.row_block(0, n_users), vectors.row_block(n_users, n_items), {bias.data, n_items}};
  const PairGradients to{
      d_vectors.row_block(0, n_users), d_vectors.row_block(n_users, n_items), {d_bias.data, n_items}};
  if (params_.loss == LossKind::softmax) {
    loss::full_softmax(context_, {.users = of.users,
                                  .items = of.items,
                                  .item_bias = of.item_bias,
                                  .targets = targets_.view(),
                                  .scale = 1.0f / static_cast<float>(n_users),
                                  .d_users = to.users,
                                  .d_items = to.items,
                                  .d_item_bias = to.item_bias,
                                  .loss = loss});
  } else {
    pair_loss(context_, *positives_, params_, draw, of, to, loss);
  }
  net_.backward(pass, d_vectors, d_bias);
}

void GraphStep::update(const OptimizerParams& by) {
  optimizer_steps(context_, net_.parameters(), by, params_.rule.clip_norm);
}

}  // namespace sheaf
