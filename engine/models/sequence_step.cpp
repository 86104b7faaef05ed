#include "engine/models/sequence_step.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/core/philox.hpp"
#include "kernels/core/range.hpp"
#include "kernels/loss/full_softmax.hpp"

namespace sheaf {
namespace {

/// The first `horizon` purchases from `at` on, as a row of weights.
void add_targets(const History& history, int64_t at, int64_t end, int64_t horizon, HostCsr& targets) {
  const int64_t n = std::min(horizon, end - at);
  std::vector<int32_t> items(history.items.begin() + at, history.items.begin() + at + n);
  std::ranges::sort(items);
  for (size_t i = 0; i < items.size(); ++i) {
    if (i == 0 || items[i] != items[i - 1]) {
      targets.columns.push_back(items[i]);
      targets.values.push_back(0.0f);
    }
    targets.values.back() += 1.0f / static_cast<float>(n);
  }
  targets.row_offsets.push_back(targets.nnz());
}

}  // namespace

NextItems next_items(const History& history, int64_t n_items, int64_t max_length, int64_t horizon) {
  NextItems next;
  next.targets.n_columns = n_items;
  for (int64_t u = 0; u < history.n_users(); ++u) {
    const int64_t first = history.offsets[static_cast<size_t>(u)], end = history.offsets[static_cast<size_t>(u) + 1];
    for (int64_t begin = first, until; begin < end; begin = until) {
      // The first stretch takes what is over, so that the newest one is full.
      const int64_t rest = (end - begin) % max_length;
      until = begin + (rest > 0 ? rest : max_length);
      const auto n_queries = next.queries.size();
      for (int64_t t = begin; t < until && t + 1 < end; ++t) {
        if (history.baskets[static_cast<size_t>(t)] == history.baskets[static_cast<size_t>(t) + 1]) continue;
        next.queries.push_back(static_cast<int32_t>(next.offsets.back() + t - begin));
        add_targets(history, t + 1, end, horizon, next.targets);
      }
      if (next.queries.size() == n_queries) continue;
      next.items.insert(next.items.end(), history.items.begin() + begin, history.items.begin() + until);
      next.offsets.push_back(std::ssize(next.items));
      next.users.push_back(static_cast<int32_t>(u));
    }
  }
  return next;
}

NextItems stretches_of(const NextItems& all, const std::vector<int64_t>& which) {
  NextItems some;
  some.targets.n_columns = all.targets.n_columns;
  for (const int64_t s : which) {
    const int64_t begin = all.offsets[static_cast<size_t>(s)], end = all.offsets[static_cast<size_t>(s) + 1];
    auto query = std::ranges::lower_bound(all.queries, begin);
    for (; query != all.queries.end() && *query < end; ++query) {
      const auto row = static_cast<size_t>(query - all.queries.begin());
      some.queries.push_back(static_cast<int32_t>(some.offsets.back() + *query - begin));
      for (int64_t e = all.targets.row_offsets[row]; e < all.targets.row_offsets[row + 1]; ++e) {
        some.targets.columns.push_back(all.targets.columns[static_cast<size_t>(e)]);
        some.targets.values.push_back(all.targets.values[static_cast<size_t>(e)]);
      }
      some.targets.row_offsets.push_back(some.targets.nnz());
    }
    some.items.insert(some.items.end(), all.items.begin() + begin, all.items.begin() + end);
    some.offsets.push_back(std::ssize(some.items));
    some.users.push_back(all.users[static_cast<size_t>(s)]);
  }
  return some;
}

SequenceBatch::SequenceBatch(Context& context, const NextItems& next, int64_t n_items, const TokenShape& shape)
    : next_(next),
      n_items_(n_items),
      sequences_(context, shape, next.offsets, next.items, next.users, n_items),
      queries_(context, rows_of(next.queries, std::ssize(next.items)), true) {}

void SequenceCandidates::gather(Context& context, const SequenceBatch& batch, const std::vector<int32_t>& items) {
  HostCsr sources = batch.sequences_.host_tokens;
  for (const int32_t item : items) {
    sources.columns.push_back(item);
    sources.row_offsets.push_back(sources.nnz());
  }
  sources_ = EmbeddingBag(context, sources, true);
  n_ = std::ssize(items);
}

SequenceCandidates::SequenceCandidates(Context& context, const SequenceBatch& batch)
    : targets_(context, batch.next_.targets) {
  std::vector<int32_t> items(static_cast<size_t>(batch.n_items_));
  for (size_t i = 0; i < items.size(); ++i) items[i] = static_cast<int32_t>(i);
  gather(context, batch, items);
}

SequenceCandidates::SequenceCandidates(Context& context, const SequenceBatch& batch, int64_t n_draws, uint64_t seed,
                                       uint32_t step)
    : all_(false) {
  const int64_t n_items = batch.n_items_;
  std::vector<int32_t> targets = batch.next_.targets.columns;
  std::ranges::sort(targets);
  targets.erase(std::ranges::unique(targets).begin(), targets.end());
  std::vector<int32_t> items = targets;
  const RandomKey key{seed, Purpose::negative, step};
  for (int64_t d = 0; d < n_draws; ++d) {
    const uint32_t draw = random_u32(key, static_cast<uint64_t>(d), 0);
    items.push_back(static_cast<int32_t>(static_cast<uint64_t>(draw) * static_cast<uint64_t>(n_items) >> 32));
  }
  std::ranges::sort(items);
  items.erase(std::ranges::unique(items).begin(), items.end());
  const double chance = -std::expm1(static_cast<double>(n_draws) * std::log1p(-1.0 / static_cast<double>(n_items)));
  correction_ = static_cast<float>(-std::log(chance));

  HostCsr biases;
  biases.n_columns = n_items + 1;
  HostCsr placed = batch.next_.targets;
  placed.n_columns = std::ssize(items);
  for (int32_t& column : placed.columns) {
    column = static_cast<int32_t>(std::ranges::lower_bound(items, column) - items.begin());
  }
  for (const int32_t item : items) {
    biases.columns.push_back(item);
    if (!std::ranges::binary_search(targets, item)) biases.columns.push_back(static_cast<int32_t>(n_items));
    biases.row_offsets.push_back(biases.nnz());
  }
  items_ = EmbeddingBag(context, rows_of(items, n_items), true);
  biases_ = EmbeddingBag(context, biases);
  targets_ = DeviceCsr(context, placed);
  gather(context, batch, items);
}

SequenceStep::SequenceStep(Context& context, PairTables& model, SequenceNetwork& network, float dropout, uint64_t seed,
                           const StepRule& rule)
    : context_(context),
      model_(model),
      network_(network),
      dropout_(dropout),
      seed_(seed),
      rule_(rule),
      item_bags_(context, model.host_item_bags(), true),
      item_vectors_(context, model.n_items() * model.dim()),
      item_bias_(context, model.n_items() + 1),
      table_(context, network.token_shape().table_rows(model.n_items()) * model.dim()) {
  begin_training(context, trained(), rule.optimizer);
}

void SequenceStep::differentiate(const SequenceBatch& batch, const SequenceCandidates& candidates, uint32_t step,
                                 VectorView<double> loss) {
  const Range range("training step");
  const int64_t n_items = model_.n_items(), dim = model_.dim();
  const int64_t n_tokens = batch.sequences_.n_tokens, n_queries = batch.n_queries(), n = candidates.n();
  ScratchScope scratch(context_);
  Pass pass(context_, scratch, {step > 0 ? dropout_ : 0.0f, seed_, step}, batch.sequences_.packed());

  const MatrixView<float> item_vectors = item_vectors_.matrix(n_items, dim);
  const MatrixView<float> item_bias{item_bias_.data(), n_items, 1};
  item_bags_.forward(context_, model_.item_table.matrix(), item_vectors);
  item_bags_.forward(context_, model_.item_bias.matrix(), item_bias);
  context_.copy_from_host(item_bias_.data() + n_items, &candidates.correction_, sizeof(float));
  const MatrixView<float> table = table_.matrix(network_.token_shape().table_rows(n_items), dim);
  network_.input_table(context_, item_vectors_, table);

  const MatrixView<float> all_states = pass.take(n_tokens, dim), states = pass.take(n_queries, dim);
  network_.forward(pass, batch.sequences_, table, all_states);
  batch.queries_.forward(context_, all_states, states);

  MatrixView<const float> items = item_vectors, bias = item_bias;
  if (!candidates.all_) {
    const MatrixView<float> some = pass.take(n, dim), some_bias = pass.take(n, 1);
    candidates.items_.forward(context_, items, some);
    candidates.biases_.forward(context_, std::as_const(item_bias_).matrix(n_items + 1, 1), some_bias);
    items = some;
    bias = some_bias;
  }
  const MatrixView<float> d_queries = pass.take(n_queries, dim);
  const MatrixView<float> d_inputs = pass.take(n_tokens + n, dim);  // of the tokens, then of the candidates
  const MatrixView<float> d_bias = pass.take(n, 1);
  loss::full_softmax(context_, {.users = states,
                                .items = items,
                                .item_bias = {bias.data, n},
                                .targets = candidates.targets_.view(),
                                .scale = 1.0f / static_cast<float>(n_queries),
                                .d_users = d_queries,
                                .d_items = d_inputs.row_block(n_tokens, n),
                                .d_item_bias = {d_bias.data, n},
                                .loss = loss});
  const MatrixView<float> d_states = pass.take(n_tokens, dim);
  batch.queries_.backward(context_, d_queries, d_states);
  network_.backward(pass, d_states, d_inputs.row_block(0, n_tokens));

  const MatrixView<float> d_table = pass.take(table.rows, dim);
  candidates.sources_.backward(context_, d_inputs, d_table);
  item_bags_.backward(context_, d_table.row_block(0, n_items), model_.item_table.gradient_matrix());
  const float* from = d_table.row(n_items);
  for (Parameter* part : network_.tables()) {
    context_.copy(part->gradient_matrix().data, from, static_cast<size_t>(part->value.size()) * sizeof(float));
    from += part->value.size();
  }
  MatrixView<float> d_item_bias = d_bias;
  if (!candidates.all_) {
    d_item_bias = pass.take(n_items, 1);
    candidates.items_.backward(context_, d_bias, d_item_bias);
  }
  item_bags_.backward(context_, d_item_bias, model_.item_bias.gradient_matrix());
}

std::vector<Parameter*> SequenceStep::trained() {
  std::vector<Parameter*> all{&model_.item_table, &model_.item_bias};
  for (Parameter* p : network_.parameters()) all.push_back(p);
  return all;
}

void SequenceStep::update(const OptimizerParams& by) { optimizer_steps(context_, trained(), by, rule_.clip_norm); }

}  // namespace sheaf
