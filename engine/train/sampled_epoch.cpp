#include "engine/train/sampled_epoch.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/range.hpp"
#include "kernels/dense/additive_scores.hpp"
#include "kernels/dense/dot_scores.hpp"
#include "kernels/dense/dropout.hpp"
#include "kernels/embedding/bag.hpp"
#include "kernels/embedding/sparse_update.hpp"
#include "kernels/loss/bce.hpp"
#include "kernels/loss/bpr.hpp"
#include "kernels/optim/adam.hpp"
#include "kernels/sample/batch.hpp"

namespace sheaf {
namespace {

// The positives of an epoch and what negatives are drawn from, on the device.
struct Positives {
  Buffer<int32_t> users;          // [n]
  Buffer<int32_t> items;          // [n]
  Buffer<float> weights;          // [n] or empty
  DeviceCsr taken;                // [n_users, n_items]
  Buffer<float> alias_threshold;  // [n_items] or empty
  Buffer<int32_t> alias_item;     // [n_items] or empty
  int64_t n = 0;
};

// Walker's alias table (1977) in Vose's linear-time construction, over item frequencies.
void make_alias_table(const std::vector<double>& frequency, std::vector<float>& threshold,
                      std::vector<int32_t>& alias) {
  const size_t n = frequency.size();
  const double total = std::accumulate(frequency.begin(), frequency.end(), 0.0);
  std::vector<double> scaled(n);
  std::vector<size_t> small, large;
  for (size_t i = 0; i < n; ++i) {
    scaled[i] = frequency[i] * static_cast<double>(n) / total;
    (scaled[i] < 1.0 ? small : large).push_back(i);
  }
  threshold.assign(n, 1.0f);
  alias.resize(n);
  std::iota(alias.begin(), alias.end(), 0);
  while (!small.empty() && !large.empty()) {
    const size_t s = small.back();
    const size_t l = large.back();
    small.pop_back();
    threshold[s] = static_cast<float>(scaled[s]);
    alias[s] = static_cast<int32_t>(l);
    scaled[l] -= 1.0 - scaled[s];
    if (scaled[l] < 1.0) {
      large.pop_back();
      small.push_back(l);
    }
  }
}

Positives make_positives(Context& context, const HostCsr& train_items, const TrainParams& params) {
  std::vector<int32_t> users;
  std::vector<float> weights;
  for (int64_t u = 0; u < train_items.n_rows(); ++u)
    users.insert(users.end(), train_items.row(u).size(), static_cast<int32_t>(u));
  if (params.weight_power > 0 && !train_items.values.empty()) {
    double sum = 0;
    for (const float weight : train_items.values) {
      weights.push_back(std::pow(weight, params.weight_power));
      sum += weights.back();
    }
    const auto mean = static_cast<float>(sum / static_cast<double>(weights.size()));
    for (float& weight : weights) weight /= mean;
  }
  Positives positives;
  positives.n = train_items.nnz();
  positives.users = Buffer<int32_t>(context, users);
  positives.items = Buffer<int32_t>(context, train_items.columns);
  positives.weights = Buffer<float>(context, weights);
  HostCsr pattern = train_items;
  pattern.values.clear();
  positives.taken = DeviceCsr(context, pattern);
  if (params.popularity_negatives) {
    std::vector<double> frequency(static_cast<size_t>(train_items.n_columns), 0.0);
    for (const int32_t i : train_items.columns) frequency[static_cast<size_t>(i)] += 1.0;
    std::vector<float> threshold;
    std::vector<int32_t> alias;
    make_alias_table(frequency, threshold, alias);
    positives.alias_threshold = Buffer<float>(context, threshold);
    positives.alias_item = Buffer<int32_t>(context, alias);
  }
  return positives;
}

// Forward, loss, backward and update of one batch.
class TrainStep {
 public:
  TrainStep(Context& context, PairTables& model, const Positives& positives, const TrainParams& params)
      : context_(context), model_(model), positives_(positives), params_(params), group_(params.negatives + 1) {}

  void run(uint32_t epoch, int64_t first, int64_t n_batch, VectorView<double> loss) {
    const Range range("training step");
    ScratchScope scratch(context_);
    const int64_t n_items = n_batch * group_;
    const int64_t dim = model_.dim();
    ++step_;
    const VectorView<int32_t> users{scratch.take<int32_t>(n_batch), n_batch};
    const MatrixView<int32_t> items{scratch.take<int32_t>(n_items), n_batch, group_};
    const VectorView<int32_t> item_ids{items.data, n_items};
    const bool weighted = !positives_.weights.empty();
    const VectorView<float> weights{weighted ? scratch.take<float>(n_batch) : nullptr, weighted ? n_batch : 0};
    sample::batch(context_, {.seed = params_.seed,
                             .epoch = epoch,
                             .first_position = first,
                             .users = positives_.users.view(),
                             .items = positives_.items.view(),
                             .weights = positives_.weights.view(),
                             .taken = positives_.taken.view(),
                             .alias_threshold = positives_.alias_threshold.view(),
                             .alias_item = positives_.alias_item.view(),
                             .batch_users = users,
                             .batch_items = items,
                             .batch_weights = weights});

    const MatrixView<float> user_vectors{scratch.take<float>(n_batch * dim), n_batch, dim};
    const MatrixView<float> item_vectors{scratch.take<float>(n_items * dim), n_items, dim};
    embedding::bag(context_, {model_.user_table.matrix(), model_.user_rows(), users, user_vectors});
    embedding::bag(context_, {model_.item_table.matrix(), model_.item_bags(), item_ids, item_vectors});
    drop(user_vectors, 0);
    drop(item_vectors, kItemRows);

    const MatrixView<float> logits{scratch.take<float>(n_items), n_batch, group_};
    const MatrixView<float> d_users{scratch.take<float>(n_batch * dim), n_batch, dim};
    const MatrixView<float> d_items{scratch.take<float>(n_items * dim), n_items, dim};
    if (model_.form() == PairForm::dot) {
      factorization(scratch, users, item_ids, user_vectors, item_vectors, weights, logits, d_users, d_items, loss);
    } else {
      additive(scratch, user_vectors, item_vectors, weights, logits, d_users, d_items, loss);
    }
    drop(d_users, 0);
    drop(d_items, kItemRows);
    update(model_.user_table, d_users, model_.user_rows(), 1, users);
    update(model_.item_table, d_items, model_.item_bags(), model_.max_item_bag(), item_ids);
  }

 private:
  // Row numbers of the dropout masks of items start here, those of users at 0.
  static constexpr int64_t kItemRows = int64_t{1} << 40;

  void factorization(ScratchScope& scratch, VectorView<const int32_t> users, VectorView<const int32_t> item_ids,
                     MatrixView<const float> user_vectors, MatrixView<const float> item_vectors,
                     VectorView<const float> weights, MatrixView<float> logits, MatrixView<float> d_users,
                     MatrixView<float> d_items, VectorView<double> loss) {
    const int64_t n_batch = users.size;
    const int64_t n_items = item_ids.size;
    const MatrixView<float> user_bias{scratch.take<float>(n_batch), n_batch, 1};
    const MatrixView<float> item_bias{scratch.take<float>(n_items), n_items, 1};
    embedding::bag(context_, {model_.user_bias.matrix(), model_.user_rows(), users, user_bias});
    embedding::bag(context_, {model_.item_bias.matrix(), model_.item_bags(), item_ids, item_bias});
    dense::dot_scores(context_, {user_vectors,
                                 item_vectors,
                                 {user_bias.data, n_batch},
                                 {item_bias.data, n_items},
                                 model_.bias.value.view(),
                                 logits});
    lose(logits, weights, loss);
    const VectorView<float> d_user_bias{scratch.take<float>(n_batch), n_batch};
    const VectorView<float> d_bias{scratch.take<float>(1), 1};
    dense::dot_scores_backward(context_, {user_vectors, item_vectors, logits, d_users, d_items, d_user_bias, d_bias});
    update(model_.user_bias, {d_user_bias.data, n_batch, 1}, model_.user_rows(), 1, users);
    update(model_.item_bias, {logits.data, n_items, 1}, model_.item_bags(), model_.max_item_bag(), item_ids);
    update(model_.bias, d_bias);
  }

  void additive(ScratchScope& scratch, MatrixView<const float> user_vectors, MatrixView<const float> item_vectors,
                VectorView<const float> weights, MatrixView<float> logits, MatrixView<float> d_users,
                MatrixView<float> d_items, VectorView<double> loss) {
    const int64_t dim = model_.dim();
    dense::additive_scores(context_, {user_vectors, item_vectors, model_.w_user.value.view(),
                                      model_.w_item.value.view(), model_.bias.value.view(), logits});
    lose(logits, weights, loss);
    const VectorView<float> d_w_user{scratch.take<float>(dim), dim};
    const VectorView<float> d_w_item{scratch.take<float>(dim), dim};
    const VectorView<float> d_bias{scratch.take<float>(1), 1};
    dense::additive_scores_backward(
        context_, {user_vectors, item_vectors, model_.w_user.value.view(), model_.w_item.value.view(), logits, d_users,
                   d_items, d_w_user, d_w_item, d_bias});
    update(model_.w_user, d_w_user);
    update(model_.w_item, d_w_item);
    update(model_.bias, d_bias);
  }

  // The logits' gradient takes their place.
  void lose(MatrixView<float> logits, VectorView<const float> weights, VectorView<double> loss) {
    if (params_.loss == LossKind::bpr) {
      loss::bpr(context_, {logits, weights, logits, loss});
    } else {
      loss::bce(context_, {logits, weights, params_.positive_weight, logits, loss});
    }
  }

  void drop(MatrixView<float> x, int64_t first_row) {
    if (params_.dropout > 0) {
      dense::dropout(context_,
                     {params_.dropout, {params_.seed, Purpose::dropout, static_cast<uint32_t>(step_)}, first_row, x});
    }
  }

  void update(Parameter& table, MatrixView<const float> grad, CsrView bags, int64_t max_bag,
              VectorView<const int32_t> ids) {
    embedding::sparse_update(context_, {.grad = grad,
                                        .bags = bags,
                                        .max_bag = max_bag,
                                        .ids = ids,
                                        .adam = adam(),
                                        .table = table.matrix(),
                                        .moment1 = table.moment1.matrix(table.rows, table.cols),
                                        .moment2 = table.moment2.matrix(table.rows, table.cols)});
  }

  void update(Parameter& parameter, VectorView<const float> grad) {
    optim::adam(context_, {.grad = grad,
                           .adam = adam(),
                           .parameters = parameter.value.view(),
                           .moment1 = parameter.moment1.view(),
                           .moment2 = parameter.moment2.view()});
  }

  AdamParams adam() const {
    return {.learning_rate = params_.learning_rate, .decoupled_decay = params_.weight_decay, .step = step_};
  }

  Context& context_;
  PairTables& model_;
  const Positives& positives_;
  const TrainParams& params_;
  int64_t group_;
  int64_t step_ = 0;
};

class SampledEpoch : public Epoch {
 public:
  SampledEpoch(Context& context, PairTables& model, const HostCsr& train_items, const TrainParams& params)
      : params_(params),
        positives_(make_positives(context, train_items, params)),
        step_(context, model, positives_, params),
        loss_(context, 1) {}

  double run(int64_t epoch) override {
    loss_.fill_bytes(0);
    int64_t n_batches = 0;
    for (int64_t first = 0; first < positives_.n; first += params_.batch, ++n_batches) {
      check_interrupt("training");
      const int64_t n = std::min(params_.batch, positives_.n - first);
      step_.run(static_cast<uint32_t>(epoch), first, n, loss_.view());
    }
    return loss_.to_host()[0] / static_cast<double>(n_batches);
  }

 private:
  TrainParams params_;
  Positives positives_;
  TrainStep step_;
  Buffer<double> loss_;
};

}  // namespace

std::unique_ptr<Epoch> make_sampled_epoch(Context& context, PairTables& model, const HostCsr& train_items,
                                          const TrainParams& params) {
  return std::make_unique<SampledEpoch>(context, model, train_items, params);
}

}  // namespace sheaf
