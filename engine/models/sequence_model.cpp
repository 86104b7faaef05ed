#include "engine/models/sequence_model.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/models/pair_model.hpp"
#include "engine/models/sequence_epoch.hpp"
#include "engine/scoring/linear_scorer.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

/// The newest `length` purchases of each user.
History newest(const History& history, int64_t n_users, int64_t length) {
  History kept;
  for (int64_t u = 0; u < n_users; ++u) {
    if (u < history.n_users()) {
      const int64_t end = history.offsets[static_cast<size_t>(u) + 1];
      const int64_t begin = end - std::min(length, history.length(u));
      kept.items.insert(kept.items.end(), history.items.begin() + begin, history.items.begin() + end);
    }
    kept.offsets.push_back(std::ssize(kept.items));
  }
  return kept;
}

}  // namespace

std::vector<SettingGroup> SequenceModel::settings() {
  SettingGroup own{std::string(name()), network_settings()};
  const std::vector<Setting> shared{
      {"max_length", "newest purchases of a user that are looked at", &max_length_, 1, 16384},
      {"user_vectors", "a vector of the user's own beside the items: what a history of max_length does not tell",
       &user_vectors_},
      {"horizon", "purchases of later baskets that are the targets of a basket", &horizon_, 1, 10'000},
      {"batch", "histories of a training step", &batch_, 1, 1 << 20},
      {"negatives", "sampled_softmax: items drawn for a training step", &negatives_, 1, 1 << 24}};
  own.settings.insert(own.settings.end(), shared.begin(), shared.end());
  return {training_.describe(), own};
}

void SequenceModel::make(Context& context, int64_t dim, HostCsr item_bags) {
  tables_.emplace(context, PairForm::items, n_users(), dim, std::move(item_bags));
  network_ = make_network(context, dim, user_vectors_ ? n_users() : 0);
}

FitReport SequenceModel::fit(Context& context, const TrainData& data, const FitOptions& options) {
  const LossKind loss = parse_loss(training_.loss, {LossKind::softmax, LossKind::sampled_softmax}, name());
  TrainParams params = train_params(training_, loss, 0.001, 1);
  params.dropout = static_cast<float>(dropout_);
  params.sequences = batch_;
  params.horizon = horizon_;
  params.shared_negatives = negatives_;
  take_options(options, params);
  note_long_epoch(options, data.n_users, data.catalog.n_items, LossKind::sampled_softmax, params);
  set_size(data.n_users, data.catalog.n_items);
  make(context, training_.dim, make_item_bags(data.catalog, training_.item_features));
  network_->initialise(params.seed, tables_->initialise(params.seed));
  const Purchases& purchases = data.purchases;
  history_ = newest(purchases.train_history, data.n_users, max_length_);
  Trainable trainable{tables_->parameters(), [&] { return scorer(context); }};
  for (Parameter* p : network_->parameters()) trainable.parameters.push_back(p);
  const auto make_epoch = [&] {
    return make_sequence_epoch(context, *tables_, *network_, purchases.train, purchases.train_history, params);
  };
  FitReport report = with_epochs(
      train(context, trainable, make_epoch, purchases.train, purchases.validation, params, options.on_epoch), params);
  describe_cold_items(context, data, options, *tables_);
  return report;
}

std::unique_ptr<Scorer> SequenceModel::scorer(Context& context) const {
  LinearParts parts{.n_users = n_users(), .n_items = n_items(), .dim = tables_->dim()};
  parts.items = tables_->item_vectors(context);
  parts.users = network_->last_states(context, history_, parts.items);
  parts.item_bias = tables_->item_biases(context);
  parts.bias = copy_of(context, tables_->bias.value);
  parts.encode = [network = network_](Context& where, const LinearParts& model, const Queries& queries,
                                      MatrixView<float> vectors) {
    const History history = newest(queries.history(), queries.n(), network->token_shape().max_length);
    const Buffer<float> states = network->last_states(where, history, model.items, false);
    where.copy(vectors.data, states.data(), static_cast<size_t>(vectors.size()) * sizeof(float));
    where.synchronize();
  };
  return std::make_unique<LinearScorer>(context, std::move(parts));
}

std::vector<NamedTensor> SequenceModel::tensors() const {
  std::vector<NamedTensor> tensors;
  add_tables(tensors, *tables_);
  for (const Parameter* p : network_->parameters()) {
    tensors.push_back({p->name, {p->rows, p->cols}, p->value.to_host()});
  }
  tensors.push_back({"history.offsets", {std::ssize(history_.offsets)}, history_.offsets});
  tensors.push_back({"history.items", {std::ssize(history_.items)}, history_.items});
  return tensors;
}

void SequenceModel::restore(Context& context, const Tensors& tensors) {
  const int64_t dim = tensors.matrix_shape("item_table").second;
  check_sizes(tensors, dim);
  if (user_vectors_) tensors.matrix("users", n_users(), dim);
  make(context, dim, restored_bags(tensors, n_items()));
  restore_tables(tensors, *tables_);
  for (Parameter* p : network_->parameters()) p->value.assign(tensors.matrix(p->name, p->rows, p->cols));
  History history{
      tensors.vector<int64_t>("history.offsets", n_users() + 1), tensors.vector<int32_t>("history.items", -1), {}};
  const bool fits = history.n_users() == n_users() && history.offsets.front() == 0 &&
                    history.offsets.back() == std::ssize(history.items) && std::ranges::is_sorted(history.offsets) &&
                    std::ranges::all_of(history.items, [&](int32_t i) { return i >= 0 && i < n_items(); });
  if (!fits) throw_bad_tensor("history", "does not fit the users and items");
  history_ = newest(history, n_users(), max_length_);
}

Vectors SequenceModel::item_vectors(Context& context) const {
  return {n_items(), tables_->dim(), tables_->item_vectors(context)};
}

Vectors SequenceModel::user_vectors(Context& context) const {
  return {n_users(), tables_->dim(), network_->last_states(context, history_, tables_->item_vectors(context))};
}

}  // namespace sheaf
