#include "engine/models/sasrec_step.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/core/philox.hpp"
#include "kernels/core/range.hpp"
#include "kernels/embedding/bag.hpp"
#include "kernels/loss/full_softmax.hpp"
#include "kernels/optim/adam.hpp"

namespace sheaf {
namespace {

/// Row r holds the single column columns[r].
HostCsr selection(const std::vector<int32_t>& columns, int64_t n_columns) {
  HostCsr rows;
  rows.n_columns = n_columns;
  rows.columns = columns;
  for (size_t r = 1; r <= columns.size(); ++r) rows.row_offsets.push_back(static_cast<int64_t>(r));
  return rows;
}

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

TransformerBatch::TransformerBatch(Context& context, const NextItems& next, int64_t n_items,
                                   const TransformerShape& shape)
    : next_(next),
      n_items_(n_items),
      sequences_(context, shape, next.offsets, next.items, next.users, n_items),
      ids_(all_ids(context, n_queries())) {
  const HostCsr queries = selection(next.queries, std::ssize(next.items));
  queries_ = DeviceCsr(context, queries);
  query_of_ = DeviceCsr(context, transpose(queries));
}

void TransformerCandidates::gather(Context& context, const TransformerBatch& batch, const std::vector<int32_t>& items) {
  HostCsr sources = batch.sequences_.host_tokens;  // what a gradient is of, then where it goes
  for (const int32_t item : items) {
    sources.columns.push_back(item);
    sources.row_offsets.push_back(sources.nnz());
  }
  gradients_ = DeviceCsr(context, transpose(sources));
  n_ = std::ssize(items);
  ids_ = all_ids(context, n_);
}

TransformerCandidates::TransformerCandidates(Context& context, const TransformerBatch& batch)
    : targets_(context, batch.next_.targets) {
  std::vector<int32_t> items(static_cast<size_t>(batch.n_items_));
  for (size_t i = 0; i < items.size(); ++i) items[i] = static_cast<int32_t>(i);
  gather(context, batch, items);
}

TransformerCandidates::TransformerCandidates(Context& context, const TransformerBatch& batch, int64_t n_draws,
                                             uint64_t seed, uint32_t step)
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
  const HostCsr chosen = selection(items, n_items);
  items_ = DeviceCsr(context, chosen);
  chosen_ = DeviceCsr(context, transpose(chosen));
  biases_ = DeviceCsr(context, biases);
  targets_ = DeviceCsr(context, placed);
  gather(context, batch, items);
}

TransformerStep::TransformerStep(Context& context, PairTables& model, Transformer& transformer, float dropout,
                                 uint64_t seed)
    : context_(context),
      model_(model),
      transformer_(transformer),
      dropout_(dropout),
      seed_(seed),
      row_bags_(context, transpose(model.host_item_bags())),
      item_ids_(all_ids(context, model.n_items())),
      row_ids_(all_ids(context, model.item_table.rows)),
      table_ids_(all_ids(context, transformer.shape().table_rows(model.n_items()))),
      item_vectors_(context, model.n_items() * model.dim()),
      item_bias_(context, model.n_items() + 1),
      table_(context, table_ids_.size() * model.dim()),
      d_rows_(context, model.item_table.value.size()),
      d_row_bias_(context, model.item_bias.value.size()) {
  for (const Parameter& p : transformer.parameters()) d_weights_.emplace_back(context, p.value.size());
}

void TransformerStep::differentiate(const TransformerBatch& batch, const TransformerCandidates& candidates,
                                    uint32_t step, VectorView<double> loss) {
  const Range range("training step");
  const Transformer& transformer = transformer_;
  const int64_t n_items = model_.n_items(), dim = model_.dim(), n_rows = model_.item_table.rows;
  const int64_t n_tokens = batch.sequences_.n_tokens, n_queries = batch.n_queries(), n = candidates.n();
  const auto bytes = [](int64_t count) { return static_cast<size_t>(count) * sizeof(float); };
  const auto ids = [](const Buffer<int32_t>& buffer) { return buffer.view(); };
  ScratchScope scratch(context_);
  const auto take = [&](int64_t rows) { return MatrixView<float>{scratch.take<float>(rows * dim), rows, dim}; };

  embedding::bag(context_,
                 {model_.item_table.matrix(), model_.item_bags(), ids(item_ids_), item_vectors_.matrix(n_items, dim)});
  embedding::bag(context_,
                 {model_.item_bias.matrix(), model_.item_bags(), ids(item_ids_), {item_bias_.data(), n_items, 1}});
  context_.copy_from_host(item_bias_.data() + n_items, &candidates.correction_, sizeof(float));
  const MatrixView<float> table = table_.matrix(table_ids_.size(), dim);
  transformer.input_table(context_, item_vectors_, table);

  const TransformerDropout dropout{step > 0 ? dropout_ : 0.0f, seed_, step};
  const TransformerTrace trace = transformer.make_trace(scratch, n_tokens);
  transformer.forward(context_, batch.sequences_, table, dropout, trace);
  const MatrixView<float> states = take(n_queries);
  embedding::bag(context_, {trace.states(), batch.queries_.view(), ids(batch.ids_), states});

  MatrixView<const float> items = std::as_const(item_vectors_).matrix(n_items, dim);
  VectorView<const float> bias = std::as_const(item_bias_).view().subview(0, n_items);
  if (!candidates.all_) {
    const MatrixView<float> some = take(n);
    const MatrixView<float> some_bias{scratch.take<float>(n), n, 1};
    embedding::bag(context_, {items, candidates.items_.view(), ids(candidates.ids_), some});
    embedding::bag(context_, {std::as_const(item_bias_).matrix(n_items + 1, 1), candidates.biases_.view(),
                              ids(candidates.ids_), some_bias});
    items = some;
    bias = {some_bias.data, n};
  }
  const MatrixView<float> d_queries = take(n_queries);
  const MatrixView<float> d_inputs = take(n_tokens + n);  // of the tokens, then of the candidates
  const VectorView<float> d_bias{scratch.take<float>(n), n};
  loss::full_softmax(context_, {.users = states,
                                .items = items,
                                .item_bias = bias,
                                .targets = candidates.targets_.view(),
                                .scale = 1.0f / static_cast<float>(n_queries),
                                .d_users = d_queries,
                                .d_items = d_inputs.row_block(n_tokens, n),
                                .d_item_bias = d_bias,
                                .loss = loss});
  const MatrixView<float> d_states = take(n_tokens);
  embedding::bag(context_, {d_queries, batch.query_of_.view(), ids(batch.sequences_.all), d_states});
  transformer.backward(context_, batch.sequences_, dropout, trace, d_states, d_inputs.row_block(0, n_tokens),
                       d_weights_);

  // A row's gradient is the sum over all that read it: a bag over the transposed bags.
  const MatrixView<float> d_table = take(table.rows);
  embedding::bag(context_, {d_inputs, candidates.gradients_.view(), ids(table_ids_), d_table});
  embedding::bag(context_,
                 {d_table.row_block(0, n_items), row_bags_.view(), ids(row_ids_), d_rows_.matrix(n_rows, dim)});
  const float* from = d_table.row(n_items);
  for (size_t part = transformer.positions(); part < d_weights_.size(); ++part) {
    context_.copy(d_weights_[part].data(), from, bytes(d_weights_[part].size()));
    from += d_weights_[part].size();
  }
  MatrixView<const float> d_item_bias{d_bias.data, n, 1};
  if (!candidates.all_) {
    const MatrixView<float> spread{scratch.take<float>(n_items), n_items, 1};
    embedding::bag(context_, {d_item_bias, candidates.chosen_.view(), ids(item_ids_), spread});
    d_item_bias = spread;
  }
  embedding::bag(context_, {d_item_bias, row_bags_.view(), ids(row_ids_), d_row_bias_.matrix(n_rows, 1)});
}

std::vector<TransformerStep::Gradient> TransformerStep::gradients() {
  std::vector<Gradient> all{{&model_.item_table, &d_rows_}, {&model_.item_bias, &d_row_bias_}};
  std::vector<Parameter>& weights = transformer_.parameters();
  for (size_t i = 0; i < weights.size(); ++i) all.push_back({&weights[i], &d_weights_[i]});
  return all;
}

void TransformerStep::update(const AdamParams& adam) {
  for (const auto& [parameter, value] : gradients()) {
    AdamParams own = adam;
    if (parameter == &model_.item_bias || !Transformer::decays(*parameter)) own.decoupled_decay = 0.0f;
    optim::adam(context_, {.grad = value->view(),
                           .adam = own,
                           .parameters = parameter->value.view(),
                           .moment1 = parameter->moment1.view(),
                           .moment2 = parameter->moment2.view()});
  }
}

}  // namespace sheaf
