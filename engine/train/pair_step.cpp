#include "engine/train/pair_step.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/core/philox.hpp"
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

std::vector<double> item_counts(const HostCsr& purchases) {
  std::vector<double> counts(static_cast<size_t>(purchases.n_columns), 0.0);
  for (const int32_t i : purchases.columns) counts[static_cast<size_t>(i)] += 1.0;
  return counts;
}

}  // namespace

std::vector<int64_t> resampled_purchases(const HostCsr& purchases, double power, uint64_t seed) {
  std::vector<int64_t> order(purchases.columns.size());
  std::iota(order.begin(), order.end(), 0);
  if (power <= 0.0) return order;
  const auto item = [&](int64_t e) { return static_cast<size_t>(purchases.columns[static_cast<size_t>(e)]); };
  std::ranges::stable_sort(order, {}, item);
  const std::vector<double> counts = item_counts(purchases);
  const auto weight = [&](size_t place) { return std::pow(counts[item(order[place])], -power); };
  double total = 0.0;
  for (size_t place = 0; place < order.size(); ++place) total += weight(place);
  // Marks stand 1 apart from a drawn start; a purchase is taken as often as marks lie on its share of all.
  const auto all = static_cast<double>(order.size());
  const double start = static_cast<double>(uniform01(random_u32({seed, Purpose::shuffle, 0}, 0, 0)));
  std::vector<int64_t> drawn;
  double end = 0.0;
  for (size_t place = 0; place < order.size(); ++place) {
    end = place + 1 == order.size() ? all : end + weight(place) / total * all;
    while (static_cast<double>(drawn.size()) + start < end) drawn.push_back(order[place]);
  }
  std::ranges::sort(drawn);
  return drawn;
}

Positives::Positives(Context& context, const HostCsr& train_items, const TrainParams& params) : n(train_items.nnz()) {
  std::vector<int32_t> users_of, items_of = train_items.columns;
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
  if (params.rare_power > 0) {
    const auto drawn = resampled_purchases(train_items, static_cast<double>(params.rare_power), params.seed);
    const auto take = [&](auto& values) {
      auto all = values;
      for (size_t k = 0; k < all.size(); ++k) values[k] = all[static_cast<size_t>(drawn[k])];
    };
    take(users_of);
    take(items_of);
    take(weights_of);
  }
  users = Buffer<int32_t>(context, users_of);
  items = Buffer<int32_t>(context, items_of);
  weights = Buffer<float>(context, weights_of);
  HostCsr pattern = train_items;
  pattern.values.clear();
  taken = DeviceCsr(context, pattern);
  if (!params.popularity_negatives) return;
  std::vector<double> frequency = item_counts(train_items);
  for (double& f : frequency) f = std::pow(f, static_cast<double>(params.popularity_power));
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
    begin_training(context, *table, params.rule.optimizer, Gradient::of_touched_rows);
  }
  for (Parameter* weights : {&model.w_user, &model.w_item, &model.bias})
    begin_training(context, *weights, params.rule.optimizer);
}

void PairStep::run(uint32_t epoch, int64_t first, int64_t n_batch, const OptimizerParams& by, VectorView<double> loss) {
  const Range range("training step");
  ScratchScope scratch(context_);
  Pass pass(context_, scratch, {params_.dropout, params_.seed, static_cast<uint32_t>(by.step)});
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
    dot_scores(pass, batch, by, loss);
  } else {
    additive_scores(pass, batch, by, loss);
  }
  drop(pass, batch.d_x);
  model_.user_rows().update(context_, batch.d_x.users, batch.users, batch.users_by_row, by, model_.user_table);
  model_.item_bags().update(context_, batch.d_x.items, batch.items, batch.items_by_row, by, model_.item_table);
}

void PairStep::dot_scores(Pass& pass, const Batch& batch, const OptimizerParams& by, VectorView<double> loss) {
  const int64_t n_batch = batch.users.size, n_items = batch.items.size;
  const MatrixView<float> user_bias = pass.take(n_batch, 1), item_bias = pass.take(n_items, 1);
  model_.user_rows().look_up(context_, model_.user_bias.matrix(), batch.users, user_bias);
  model_.item_bags().look_up(context_, model_.item_bias.matrix(), batch.items, item_bias);
  DotScores scores(model_.bias);
  const MatrixView<float> logits = pass.take(n_batch, group_), d_user_bias = pass.take(n_batch, 1);
  scores.forward(pass, batch.x, {user_bias.data, n_batch}, {item_bias.data, n_items}, logits);
  lose(logits, batch.weights, loss);
  scores.backward(pass, batch.x, logits, batch.d_x, {d_user_bias.data, n_batch});
  model_.user_rows().update(context_, d_user_bias, batch.users, batch.users_by_row, by, model_.user_bias);
  model_.item_bags().update(context_, {logits.data, n_items, 1}, batch.items, batch.items_by_row, by, model_.item_bias);
  optimizer_step(context_, model_.bias, by);
}

void PairStep::additive_scores(Pass& pass, const Batch& batch, const OptimizerParams& by, VectorView<double> loss) {
  AdditiveScores scores(model_.w_user, model_.w_item, model_.bias);
  const MatrixView<float> logits = pass.take(batch.users.size, group_);
  scores.forward(pass, batch.x, logits);
  lose(logits, batch.weights, loss);
  scores.backward(pass, batch.x, logits, batch.d_x);
  for (Parameter* weights : {&model_.w_user, &model_.w_item, &model_.bias}) optimizer_step(context_, *weights, by);
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
