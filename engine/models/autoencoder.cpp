// A denoising autoencoder of a user's purchases (AutoRec: Sedhain et al., WWW 2015; Mult-DAE: Liang et al., WWW 2018;
// denoising: Vincent et al., ICML 2008): the score of an item is what the network puts in its place when it is given
// all purchases of the user (engine/models/autoencoder_step.hpp).

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "engine/models/autoencoder_step.hpp"
#include "engine/models/cold_items.hpp"
#include "engine/models/pair_model.hpp"
#include "engine/models/purchase_weights.hpp"
#include "engine/models/widths.hpp"
#include "engine/scoring/linear_scorer.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/philox.hpp"

namespace sheaf {
namespace {

class AutoencoderEpoch final : public Epoch {
 public:
  /// `rows` and `targets` must outlive it; `batch` users a step, of those who bought something.
  AutoencoderEpoch(Context& context, AutoencoderNet& net, const HostCsr& rows, const HostCsr& targets, int64_t batch,
                   const TrainParams& params)
      : rows_(rows), targets_(targets), batch_(batch), params_(params), step_(context, net, params), loss_(context, 1) {
    for (int64_t u = 0; u < targets.n_rows(); ++u) {
      if (!targets.row(u).empty()) users_.push_back(static_cast<int32_t>(u));
    }
  }

  double run(int64_t epoch) override {
    loss_.fill_bytes(0);
    const auto start = std::chrono::steady_clock::now();
    const auto round = static_cast<uint32_t>(epoch);
    const RandomKey key{params_.seed, Purpose::shuffle, round};
    std::vector<int32_t> order = users_;
    std::ranges::stable_sort(order, {}, [&](int32_t u) { return random_u32(key, static_cast<uint64_t>(u), 0); });
    const int64_t n_of_epoch = (std::ssize(order) + batch_ - 1) / batch_;
    int64_t n_batches = 0;
    for (int64_t first = 0; first < std::ssize(order); first += batch_, ++n_batches) {
      check_interrupt("training");
      const auto begin = order.begin() + first;
      const std::vector<int32_t> users(begin, begin + std::min<int64_t>(batch_, order.end() - begin));
      ++n_steps_;
      step_.differentiate(
          {with_noise(rows_at(rows_, users), users, static_cast<double>(params_.dropout), params_.seed, round),
           rows_at(targets_, users)},
          static_cast<uint32_t>(n_steps_), loss_.view());
      step_.update(step_params(params_.rule, epoch, n_batches, n_of_epoch, n_steps_));
      if (params_.on_long_epoch) warn_of_long_epoch(start, std::ssize(order));
    }
    return loss_.to_host()[0] / static_cast<double>(std::max<int64_t>(1, n_batches));
  }

  int64_t steps() const override { return n_steps_; }
  void set_steps(int64_t steps) override { n_steps_ = steps; }

 private:
  /// By the time that the first step took.
  void warn_of_long_epoch(std::chrono::steady_clock::time_point start, int64_t n_users) {
    const auto warn = std::exchange(params_.on_long_epoch, {});
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    const double epoch = taken.count() * static_cast<double>(n_users) / static_cast<double>(std::min(batch_, n_users));
    if (params_.loss == LossKind::softmax && epoch > params_.long_epoch) warn(epoch);
  }

  const HostCsr& rows_;
  const HostCsr& targets_;
  std::vector<int32_t> users_;
  int64_t batch_;
  TrainParams params_;
  AutoencoderStep step_;
  Buffer<double> loss_;
  int64_t n_steps_ = 0;
};

class Autoencoder final : public Recommender {
 public:
  std::string_view name() const override { return "autoencoder"; }
  std::string_view about() const override { return "a network that gives back a user's purchases, noise removed"; }

  std::vector<SettingGroup> settings() override {
    return {
        training_.describe(),
        {"autoencoder",
         {{"hidden", "widths of the encoder, as 128-64; the decoder mirrors them", &hidden_,
           std::vector<std::string>{}},
          {"activation", "of the hidden layers", &activation_, {"tanh", "sigmoid", "relu", "gelu"}},
          {"weight",
           "of a purchase: 1 each, the logarithm of 1 + times bought, or its recency weight",
           &weight_,
           {"one", "log", "recency"}},
          {"normalise", "divide a user's row by its length", &normalise_},
          {"dropout", "share of a user's purchases that are left out of the input in training", &dropout_, 0.0, 0.95},
          {"batch", "users of a training step", &batch_, 1, 1 << 20}}}};
  }

  FitReport fit(Context& context, const TrainData& data, const FitOptions& options) override {
    const LossKind loss = parse_loss(training_.loss, {LossKind::softmax, LossKind::bce}, name());
    TrainParams params = train_params(training_, loss, 0.001, 1);
    params.dropout = static_cast<float>(dropout_);
    take_options(options, params);
    note_long_epoch(options, data.n_users, data.catalog.n_items, LossKind::bce, params);
    set_size(data.n_users, data.catalog.n_items);
    const HostCsr& targets = data.purchases.train;
    rows_ = rows_of_weights(purchase_weights(data.purchases, weight_), normalise_);
    make(context);
    net_->initialise(params.seed, targets);
    const Trainable trainable{net_->parameters(), [&] { return scorer(context); }};
    const auto make_epoch = [&] {
      return std::make_unique<AutoencoderEpoch>(context, *net_, rows_, targets, batch_, params);
    };
    FitReport report = with_epochs(
        train(context, trainable, make_epoch, targets, data.purchases.validation, params, options.on_epoch), params);
    ColdItems cold(context, data.catalog, targets);
    cold.fill(context, net_->output.value, net_->width());
    cold.fill_bias(context, net_->output_bias.value);
    cold.fill(context, net_->input.value, net_->width());
    cold.note(options.on_note);
    end_training(net_->parameters());
    return report;
  }

  std::unique_ptr<Scorer> scorer(Context& context) const override {
    LinearParts parts{.n_users = n_users(), .n_items = n_items(), .dim = net_->width()};
    parts.users = states(context);
    parts.items = copy_of(context, net_->output.value);
    parts.item_bias = copy_of(context, net_->output_bias.value);
    parts.encode = [net = std::shared_ptr<const AutoencoderNet>(net_), weight = weight_, normalise = normalise_](
                       Context& where, const LinearParts&, const Queries& queries, MatrixView<float> vectors) {
      net->encode(where, rows_of_weights(weights_of_strangers(queries.purchases(), weight), normalise), vectors);
    };
    return std::make_unique<LinearScorer>(context, std::move(parts));
  }

  std::vector<NamedTensor> tensors() const override {
    std::vector<NamedTensor> tensors;
    for (const Parameter* p : net_->parameters()) tensors.push_back({p->name, {p->rows, p->cols}, p->value.to_host()});
    add_csr(tensors, "rows", rows_);
    return tensors;
  }

  void restore(Context& context, const Tensors& tensors) override {
    // Before a network of the size that the settings name is made: its tensors are as large as that.
    const std::vector<int64_t> widths = parse_widths("autoencoder.hidden", hidden_, false);
    tensors.matrix("input", n_items(), widths.front());
    for (size_t l = 1; l < widths.size(); ++l) {
      tensors.matrix("layer_" + std::to_string(l), widths[l], widths[l - 1]);
    }
    make(context);
    for (Parameter* p : net_->parameters()) p->value.assign(tensors.matrix(p->name, p->rows, p->cols));
    rows_ = tensors.csr("rows", n_users(), n_items());
    if (rows_.values.empty()) rows_.values.assign(rows_.columns.size(), 1.0f);
  }

  Vectors item_vectors(Context& context) const override {
    return {n_items(), net_->width(), copy_of(context, net_->output.value)};
  }
  Vectors user_vectors(Context& context) const override { return {n_users(), net_->width(), states(context)}; }

 private:
  static HostCsr rows_of_weights(HostCsr weights, bool normalise) {
    return normalise ? with_unit_rows(std::move(weights)) : weights;
  }
  void make(Context& context) {
    net_ = std::make_shared<AutoencoderNet>(
        context, AutoencoderShape{.n_items = n_items(),
                                  .hidden = parse_widths("autoencoder.hidden", hidden_, false),
                                  .activation = parse_activation(activation_)});
  }
  Buffer<float> states(Context& context) const {
    Buffer<float> all(context, n_users() * net_->width());
    net_->encode(context, rows_, all.matrix(n_users(), net_->width()));
    return all;
  }

  TrainSettings training_;
  std::string hidden_ = "400", activation_ = "tanh", weight_ = "log";
  bool normalise_ = true;
  double dropout_ = 0.0;
  int64_t batch_ = 32;
  std::shared_ptr<AutoencoderNet> net_;  // shared with scorers, which encode people that the model never saw
  HostCsr rows_;                         // [n_users, n_items] what the network is given of each user
};

}  // namespace

std::unique_ptr<Recommender> make_autoencoder() { return std::make_unique<Autoencoder>(); }

}  // namespace sheaf
