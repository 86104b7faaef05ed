// SASRec (Kang and McAuley, 2018) with a user table (SSE-PT: Wu et al., 2020): logit(u, i) = h_u . e_i + b_i + b, where
// h_u is the state of the user's last purchase (engine/layers/transformer.hpp).

#include <algorithm>
#include <memory>
#include <optional>

#include "engine/layers/transformer.hpp"
#include "engine/models/pair_model.hpp"
#include "engine/models/sasrec_epoch.hpp"
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

class SasRec final : public Recommender {
 public:
  std::string_view name() const override { return "sasrec"; }
  std::string_view about() const override { return "self-attention over the purchases in their order"; }

  std::vector<SettingGroup> settings() override {
    return {
        training_.describe(),
        {"sasrec",
         {{"layers", "layers, each of attention and a feed-forward part", &layers_, 1, 64},
          {"heads", "heads of the attention; a divisor of model.dim", &heads_, 1, 64},
          {"max_length", "newest purchases of a user that are looked at", &max_length_, 1, 16384},
          {"feed_forward", "width of the feed-forward part", &feed_forward_, 1, 65536},
          {"user_vectors", "a vector of the user's own beside the items: what a history of max_length does not tell",
           &user_vectors_},
          {"dropout", "share of inputs, branches and attention set to zero in training", &dropout_, 0.0, 0.95},
          {"horizon", "purchases of later baskets that are the targets of a basket", &horizon_, 1, 10'000},
          {"batch", "histories of a training step", &batch_, 1, 1 << 20},
          {"negatives", "sampled_softmax: items drawn for a training step", &negatives_, 1, 1 << 24}}}};
  }

  FitReport fit(Context& context, const TrainData& data, const FitOptions& options) override {
    const LossKind loss = parse_loss(training_.loss, {LossKind::softmax, LossKind::sampled_softmax}, name());
    TrainParams params = train_params(training_, loss, 0.001, 1);
    params.seed = options.seed;
    params.mask_seen = options.mask_seen;
    params.validation_k = options.validation_k;
    params.dropout = static_cast<float>(dropout_);
    params.sequences = batch_;
    params.horizon = horizon_;
    params.shared_negatives = negatives_;
    take_chosen_epochs(options, params);
    note_long_epoch(options, data.n_users, data.catalog.n_items, LossKind::sampled_softmax, params);
    set_size(data.n_users, data.catalog.n_items);
    make(context, training_.dim, make_item_bags(data.catalog, training_.item_features), shape());
    transformer_->initialise(params.seed, tables_->initialise(params.seed));
    const Purchases& purchases = data.purchases;
    history_ = newest(purchases.train_history, data.n_users, max_length_);
    Trainable trainable{tables_->parameters(), [&] { return scorer(context); }};
    for (Parameter* p : transformer_->parameters()) trainable.parameters.push_back(p);
    const auto make_epoch = [&] {
      return make_transformer_epoch(context, *tables_, *transformer_, purchases.train, purchases.train_history, params);
    };
    return with_epochs(
        train(context, trainable, make_epoch, purchases.train, purchases.validation, params, options.on_epoch));
  }

  std::unique_ptr<Scorer> scorer(Context& context) const override {
    LinearParts parts{.n_users = n_users(), .n_items = n_items(), .dim = tables_->dim()};
    parts.items = tables_->item_vectors(context);
    parts.users = transformer_->last_states(context, history_, parts.items);
    parts.item_bias = tables_->item_biases(context);
    parts.bias = copy_of(context, tables_->bias.value);
    parts.encode = [transformer = transformer_](Context& where, const LinearParts& model, const Queries& queries,
                                                MatrixView<float> vectors) {
      const History history = newest(queries.history(), queries.n(), transformer->shape().max_length);
      const Buffer<float> states = transformer->last_states(where, history, model.items, false);
      where.copy(vectors.data, states.data(), static_cast<size_t>(vectors.size()) * sizeof(float));
      where.synchronize();
    };
    return std::make_unique<LinearScorer>(context, std::move(parts));
  }

  std::vector<NamedTensor> tensors() const override {
    std::vector<NamedTensor> tensors;
    add_tables(tensors, *tables_);
    for (const Parameter* p : transformer_->parameters()) {
      tensors.push_back({p->name, {p->rows, p->cols}, p->value.to_host()});
    }
    tensors.push_back({"history.offsets", {std::ssize(history_.offsets)}, history_.offsets});
    tensors.push_back({"history.items", {std::ssize(history_.items)}, history_.items});
    return tensors;
  }

  void restore(Context& context, const Tensors& tensors) override {
    const int64_t dim = tensors.matrix_shape("item_table").second;
    // Before a transformer of the size that the settings name is made: its tensors are as large as that.
    tensors.matrix("positions", max_length_, dim);
    if (user_vectors_) tensors.matrix("users", n_users(), dim);
    for (int64_t l = 0; l < layers_; ++l) {
      tensors.matrix("layer." + std::to_string(l) + ".inner", feed_forward_, dim);
    }
    make(context, dim, restored_bags(tensors, n_items()), shape());
    restore_tables(tensors, *tables_);
    for (Parameter* p : transformer_->parameters()) p->value.assign(tensors.matrix(p->name, p->rows, p->cols));
    History history{
        tensors.vector<int64_t>("history.offsets", n_users() + 1), tensors.vector<int32_t>("history.items", -1), {}};
    const bool fits = history.n_users() == n_users() && history.offsets.front() == 0 &&
                      history.offsets.back() == std::ssize(history.items) && std::ranges::is_sorted(history.offsets) &&
                      std::ranges::all_of(history.items, [&](int32_t i) { return i >= 0 && i < n_items(); });
    if (!fits) throw_bad_tensor("history", "does not fit the users and items");
    history_ = newest(history, n_users(), max_length_);
  }

  Vectors item_vectors(Context& context) const override {
    return {n_items(), tables_->dim(), tables_->item_vectors(context)};
  }
  Vectors user_vectors(Context& context) const override {
    return {n_users(), tables_->dim(), transformer_->last_states(context, history_, tables_->item_vectors(context))};
  }

 private:
  TransformerShape shape() const {
    return {.layers = layers_,
            .heads = heads_,
            .max_length = max_length_,
            .feed_forward = feed_forward_,
            .user_rows = user_vectors_ ? n_users() : 0};
  }
  void make(Context& context, int64_t dim, HostCsr item_bags, const TransformerShape& shape) {
    tables_.emplace(context, PairForm::items, n_users(), dim, std::move(item_bags));
    transformer_ = std::make_shared<Transformer>(context, shape, dim);
  }

  TrainSettings training_;
  int64_t layers_ = 2, heads_ = 2, max_length_ = 256, feed_forward_ = 256, horizon_ = 100, batch_ = 64,
          negatives_ = 1024;
  bool user_vectors_ = true;
  double dropout_ = 0.2;

  mutable std::optional<PairTables> tables_;
  std::shared_ptr<Transformer> transformer_;  // shared with scorers, which encode people that the model never saw
  History history_;
};

}  // namespace

std::unique_ptr<Recommender> make_sasrec() { return std::make_unique<SasRec>(); }

}  // namespace sheaf
