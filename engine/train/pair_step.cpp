#include "engine/train/pair_step.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/core/range.hpp"
#include "kernels/dense/dropout.hpp"
#include "kernels/loss/bce.hpp"
#include "kernels/loss/bpr.hpp"
#include "kernels/sample/batch.hpp"

namespace sheaf {
namespace {

// Row numbers of the dropout of items start here, those of users at 0.
constexpr int64_t kItemRows = int64_t{1} << 40;

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

}  // namespace

Positives::Positives(Context& context, const HostCsr& train_items, const TrainParams& params)
    : n(train_items.nnz()), items(context, train_items.columns) {
  std::vector<int32_t> users_of;
  std::vector<float> weights_of;
  for (int64_t u = 0; u < train_items.n_rows(); ++u)
    users_of.insert(users_of.end(), train_items.row(u).size(), static_cast<int32_t>(u));
  if (params.weight_power > 0 && !train_items.values.empty()) {
    double sum = 0;
    for (const float weight : train_items.values) {
      weights_of.push_back(std::pow(weight, params.weight_power));
      sum += weights_of.back();
    }
    const auto mean = static_cast<float>(sum / static_cast<double>(weights_of.size()));
    for (float& weight : weights_of) weight /= mean;
  }
  users = Buffer<int32_t>(context, users_of);
  weights = Buffer<float>(context, weights_of);
  HostCsr pattern = train_items;
  pattern.values.clear();
  taken = DeviceCsr(context, pattern);
  if (!params.popularity_negatives) return;
  std::vector<double> frequency(static_cast<size_t>(train_items.n_columns), 0.0);
  for (const int32_t i : train_items.columns) frequency[static_cast<size_t>(i)] += 1.0;
  std::vector<float> threshold;
  std::vector<int32_t> alias;
  make_alias_table(frequency, threshold, alias);
  alias_threshold = Buffer<float>(context, threshold);
  alias_item = Buffer<int32_t>(context, alias);
}

struct PairStep::Batch {
  VectorView<const int32_t> users;  // [n_batch]
  VectorView<const int32_t> items;  // [n_batch * group]
  VectorView<const float> weights;  // [n_batch] or empty
  PairVectors x, d_x;
  embedding::SortedEntries users_by_row, items_by_row;  // of both the vectors and the biases
};

PairStep::PairStep(Context& context, PairTables& model, const Positives& positives, const TrainParams& params)
    : context_(context), model_(model), positives_(positives), params_(params), group_(params.negatives + 1) {
  for (Parameter* table : {&model.user_table, &model.item_table, &model.user_bias, &model.item_bias}) {
    begin_training(context, *table, Gradient::of_touched_rows);
  }
  for (Parameter* weights : {&model.w_user, &model.w_item, &model.bias}) begin_training(context, *weights);
}

void PairStep::run(uint32_t epoch, int64_t first, int64_t n_batch, const OptimizerParams& adam,
                   VectorView<double> loss) {
  const Range range("training step");
  ScratchScope scratch(context_);
  Pass pass(context_, scratch, {params_.dropout, params_.seed, static_cast<uint32_t>(adam.step)});
  const int64_t n_items = n_batch * group_, dim = model_.dim();
  const VectorView<int32_t> users{scratch.take<int32_t>(n_batch), n_batch};
  const MatrixView<int32_t> items{scratch.take<int32_t>(n_items), n_batch, group_};
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

  const auto vectors = [&] { return PairVectors{pass.take(n_batch, dim), pass.take(n_items, dim)}; };
  const VectorView<const int32_t> all_items{items.data, n_items};
  const Batch batch{users,
                    all_items,
                    weights,
                    vectors(),
                    vectors(),
                    model_.user_rows().sort(context_, scratch, users, model_.user_table),
                    model_.item_bags().sort(context_, scratch, all_items, model_.item_table)};
  model_.user_rows().look_up(context_, model_.user_table.matrix(), batch.users, batch.x.users);
  model_.item_bags().look_up(context_, model_.item_table.matrix(), batch.items, batch.x.items);
  drop(pass, batch.x);
  if (model_.form() == PairForm::dot) {
    dot_scores(pass, batch, adam, loss);
  } else {
    additive_scores(pass, batch, adam, loss);
  }
  drop(pass, batch.d_x);
  model_.user_rows().update(context_, batch.d_x.users, batch.users, batch.users_by_row, adam, model_.user_table);
  model_.item_bags().update(context_, batch.d_x.items, batch.items, batch.items_by_row, adam, model_.item_table);
}

void PairStep::dot_scores(Pass& pass, const Batch& batch, const OptimizerParams& adam, VectorView<double> loss) {
  const int64_t n_batch = batch.users.size, n_items = batch.items.size;
  const MatrixView<float> user_bias = pass.take(n_batch, 1), item_bias = pass.take(n_items, 1);
  model_.user_rows().look_up(context_, model_.user_bias.matrix(), batch.users, user_bias);
  model_.item_bags().look_up(context_, model_.item_bias.matrix(), batch.items, item_bias);
  DotScores scores(model_.bias);
  const MatrixView<float> logits = pass.take(n_batch, group_), d_user_bias = pass.take(n_batch, 1);
  scores.forward(pass, batch.x, {user_bias.data, n_batch}, {item_bias.data, n_items}, logits);
  lose(logits, batch.weights, loss);
  scores.backward(pass, batch.x, logits, batch.d_x, {d_user_bias.data, n_batch});
  model_.user_rows().update(context_, d_user_bias, batch.users, batch.users_by_row, adam, model_.user_bias);
  model_.item_bags().update(context_, {logits.data, n_items, 1}, batch.items, batch.items_by_row, adam,
                            model_.item_bias);
  adam_step(context_, model_.bias, adam);
}

void PairStep::additive_scores(Pass& pass, const Batch& batch, const OptimizerParams& adam, VectorView<double> loss) {
  AdditiveScores scores(model_.w_user, model_.w_item, model_.bias);
  const MatrixView<float> logits = pass.take(batch.users.size, group_);
  scores.forward(pass, batch.x, logits);
  lose(logits, batch.weights, loss);
  scores.backward(pass, batch.x, logits, batch.d_x);
  for (Parameter* weights : {&model_.w_user, &model_.w_item, &model_.bias}) adam_step(context_, *weights, adam);
}

void PairStep::lose(MatrixView<float> logits, VectorView<const float> weights, VectorView<double> loss) {
  if (params_.loss == LossKind::bpr) {
    loss::bpr(context_, {logits, weights, logits, loss});
  } else {
    loss::bce(context_, {logits, weights, params_.positive_weight, logits, loss});
  }
}

void PairStep::drop(const Pass& pass, const PairVectors& x) {
  if (pass.dropout.rate <= 0) return;
  const RandomKey key = pass.dropout.key(Purpose::dropout);
  dense::dropout(context_, {pass.dropout.rate, key, 0, x.users});
  dense::dropout(context_, {pass.dropout.rate, key, kItemRows, x.items});
}

}  // namespace sheaf
