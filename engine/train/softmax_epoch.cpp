#include "engine/train/softmax_epoch.hpp"

#include <cmath>
#include <numeric>

#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/range.hpp"
#include "kernels/embedding/bag.hpp"
#include "kernels/loss/full_softmax.hpp"
#include "kernels/optim/adam.hpp"

namespace sheaf {
namespace {

constexpr double kUnseenWeight = 0.5;  // keeps the logarithm finite for items without a training purchase

std::vector<int32_t> ids_up_to(int64_t n) {
  std::vector<int32_t> ids(static_cast<size_t>(n));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

class SoftmaxEpoch : public Epoch {
 public:
  SoftmaxEpoch(Context& context, PairTables& model, const HostCsr& train_items, const TrainParams& params)
      : context_(context),
        model_(model),
        params_(params),
        targets_(context, train_items),
        row_bags_(context, transpose(model.host_item_bags())),
        item_ids_(context, ids_up_to(model.n_items())),
        row_ids_(context, ids_up_to(model.item_table.rows)),
        item_vectors_(context, model.n_items() * model.dim()),
        item_bias_(context, model.n_items()),
        d_users_(context, model.user_table.value.size()),
        d_items_(context, item_vectors_.size()),
        d_item_bias_(context, model.n_items()),
        d_rows_(context, model.item_table.value.size()),
        d_row_bias_(context, model.item_bias.value.size()),
        loss_(context, 1) {
    model.item_bias.value.assign(log_popularity(train_items, model.item_bias.rows));
  }

  double run(int64_t epoch) override {
    check_interrupt("training");
    const Range range("training step");
    const int64_t n_items = model_.n_items(), dim = model_.dim(), n_rows = model_.item_table.rows;
    loss_.fill_bytes(0);
    const auto ids = std::as_const(item_ids_).view();
    embedding::bag(context_, {model_.item_table.matrix(), model_.item_bags(), ids, item_vectors_.matrix(n_items, dim)});
    embedding::bag(context_, {model_.item_bias.matrix(), model_.item_bags(), ids, item_bias_.matrix(n_items, 1)});
    loss::full_softmax(context_, {.users = model_.user_table.matrix(),
                                  .items = item_vectors_.matrix(n_items, dim),
                                  .item_bias = item_bias_.view(),
                                  .targets = targets_.view(),
                                  .scale = 1.0f / static_cast<float>(model_.n_users()),
                                  .d_users = d_users_.matrix(model_.n_users(), dim),
                                  .d_items = d_items_.matrix(n_items, dim),
                                  .d_item_bias = d_item_bias_.view(),
                                  .loss = loss_.view()});
    // A row's gradient is the sum over the items whose bags hold it: a bag over the transposed bags.
    const auto rows = std::as_const(row_ids_).view();
    embedding::bag(context_, {d_items_.matrix(n_items, dim), row_bags_.view(), rows, d_rows_.matrix(n_rows, dim)});
    embedding::bag(context_, {d_item_bias_.matrix(n_items, 1), row_bags_.view(), rows, d_row_bias_.matrix(n_rows, 1)});
    update(model_.user_table, d_users_, epoch, params_.weight_decay);
    update(model_.item_table, d_rows_, epoch, params_.weight_decay);
    update(model_.item_bias, d_row_bias_, epoch, 0.0f);
    return loss_.to_host()[0];
  }

 private:
  void update(Parameter& parameter, const Buffer<float>& grad, int64_t step, float decay) {
    optim::adam(context_, {.grad = grad.view(),
                           .adam = {.learning_rate = params_.learning_rate, .decoupled_decay = decay, .step = step},
                           .parameters = parameter.value.view(),
                           .moment1 = parameter.moment1.view(),
                           .moment2 = parameter.moment2.view()});
  }

  Context& context_;
  PairTables& model_;
  TrainParams params_;
  DeviceCsr targets_;
  DeviceCsr row_bags_;  // [n_item_rows, n_items]
  Buffer<int32_t> item_ids_, row_ids_;
  Buffer<float> item_vectors_, item_bias_, d_users_, d_items_, d_item_bias_, d_rows_, d_row_bias_;
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
