#include "engine/train/softmax_epoch.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/range.hpp"
#include "kernels/dense/scaled_add.hpp"
#include "kernels/loss/full_softmax.hpp"

namespace sheaf {
namespace {

constexpr int64_t kTimedUsers = 512;   // so many at least: a call for few is mostly the preparation of the items
constexpr double kUnseenWeight = 0.5;  // keeps the logarithm finite for items without a training purchase

class SoftmaxEpoch : public Epoch {
 public:
  SoftmaxEpoch(Context& context, PairTables& model, const HostCsr& train_items, const TrainParams& params)
      : context_(context),
        model_(model),
        params_(params),
        targets_(context, train_items),
        item_bags_(context, model.host_item_bags(), true),
        item_vectors_(context, model.n_items() * model.dim()),
        item_bias_(context, model.n_items()),
        loss_(context, 1) {
    model.item_bias.value.assign(log_popularity(train_items, model.item_bias.rows));
    begin_training(context, trained(), params.rule.optimizer);
  }

  double run(int64_t epoch) override {
    check_interrupt("training");
    const Range range("training step");
    const int64_t n_items = model_.n_items(), dim = model_.dim();
    ScratchScope scratch(context_);
    Pass pass(context_, scratch);
    const MatrixView<float> d_items{scratch.take<float>(n_items * dim), n_items, dim};
    const MatrixView<float> d_item_bias{scratch.take<float>(n_items), n_items, 1};
    item_bags_.forward(context_, model_.item_table.matrix(), item_vectors_.matrix(n_items, dim));
    item_bags_.forward(context_, model_.item_bias.matrix(), item_bias_.matrix(n_items, 1));
    if (model_.attributes) add_attributes(pass);
    const loss::FullSoftmaxArgs args{.users = model_.user_table.matrix(),
                                     .items = item_vectors_.matrix(n_items, dim),
                                     .item_bias = item_bias_.view(),
                                     .targets = targets_.view(),
                                     .scale = 1.0f / static_cast<float>(model_.n_users()),
                                     .d_users = model_.user_table.gradient_matrix(),
                                     .d_items = d_items,
                                     .d_item_bias = {d_item_bias.data, n_items},
                                     .loss = loss_.view()};
    if (params_.on_long_epoch) warn_of_long_epoch(args);
    loss_.fill_bytes(0);
    loss::full_softmax(context_, args);
    item_bags_.backward(context_, d_items, model_.item_table.gradient_matrix());
    item_bags_.backward(context_, d_item_bias, model_.item_bias.gradient_matrix());
    if (model_.attributes) model_.attributes->backward(pass, d_items);
    optimizer_steps(context_, trained(), step_params(params_.rule, epoch, 0, 1, epoch), params_.rule.clip_norm);
    return loss_.to_host()[0];
  }

 private:
  /// By the time that the first users take. What it computes is computed again.
  void warn_of_long_epoch(loss::FullSoftmaxArgs args) {
    const auto warn = std::exchange(params_.on_long_epoch, {});
    const int64_t n_users = args.users.rows, block = std::max(loss::full_softmax_block(args), kTimedUsers);
    if (block >= n_users) return;
    args.users = args.users.row_block(0, block);
    args.d_users = args.d_users.row_block(0, block);
    args.targets.n_rows = block;
    context_.synchronize();
    const auto start = std::chrono::steady_clock::now();
    loss::full_softmax(context_, args);
    context_.synchronize();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    const double epoch = taken.count() * static_cast<double>(n_users) / static_cast<double>(block);
    if (epoch > params_.long_epoch) warn(epoch);
  }
  void add_attributes(Pass& pass) {
    const MatrixView<float> told = pass.take(model_.n_items(), model_.dim());
    model_.attributes->forward(pass, told);
    dense::scaled_add(context_, {.x = told, .out = item_vectors_.matrix(told.rows, told.cols)});
  }
  std::vector<Parameter*> trained() {
    std::vector<Parameter*> all{&model_.user_table, &model_.item_table, &model_.item_bias};
    if (!model_.attributes) return all;
    for (Parameter* p : model_.attributes->parameters()) all.push_back(p);
    return all;
  }

  Context& context_;
  PairTables& model_;
  TrainParams params_;
  DeviceCsr targets_;
  EmbeddingBag item_bags_;  // [n_items, n_item_rows]
  Buffer<float> item_vectors_, item_bias_;
  Buffer<double> loss_;
};

}  // namespace

std::vector<float> log_popularity(const HostCsr& train_items, int64_t n_rows) {
  std::vector<double> weight(static_cast<size_t>(train_items.n_columns), kUnseenWeight);
  for (size_t e = 0; e < train_items.columns.size(); ++e) {
    weight[static_cast<size_t>(train_items.columns[e])] +=
        train_items.values.empty() ? 1.0 : static_cast<double>(train_items.values[e]);
  }
  double mean = 0;
  for (double& w : weight) mean += (w = std::log(w));
  mean /= static_cast<double>(weight.size());
  std::vector<float> bias(static_cast<size_t>(n_rows), 0.0f);
  for (size_t i = 0; i < weight.size(); ++i) bias[i] = static_cast<float>(weight[i] - mean);
  return bias;
}

std::unique_ptr<Epoch> make_softmax_epoch(Context& context, PairTables& model, const HostCsr& train_items,
                                          const TrainParams& params) {
  return std::make_unique<SoftmaxEpoch>(context, model, train_items, params);
}

}  // namespace sheaf
