// LightGCN (He et al., "LightGCN: simplifying and powering graph convolution network for recommendation", SIGIR 2020),
// and with weights and ReLU the graph convolutions of Kipf and Welling (ICLR 2017): learned vectors of users and items,
// averaged over the graph of purchases; the score is their dot product and an item's bias.

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "engine/associate/association.hpp"
#include "engine/models/cold_items.hpp"
#include "engine/models/fold_in.hpp"
#include "engine/models/lightgcn_step.hpp"
#include "engine/models/pair_model.hpp"
#include "engine/models/purchase_weights.hpp"
#include "engine/scoring/linear_scorer.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

class GraphEpoch final : public Epoch {
 public:
  GraphEpoch(Context& context, GraphNet& net, const HostCsr& train_items, const TrainParams& params)
      : params_(params), n_(train_items.nnz()), step_(context, net, train_items, params), loss_(context, 1) {}

  double run(int64_t epoch) override {
    loss_.fill_bytes(0);
    const int64_t batch = params_.loss == LossKind::softmax ? n_ : params_.batch;
    const int64_t n_of_epoch = (n_ + batch - 1) / batch;
    int64_t n_batches = 0;
    for (int64_t first = 0; first < n_; first += batch, ++n_batches) {
      check_interrupt("training");
      const PairDraw draw{static_cast<uint32_t>(epoch), first, std::min(batch, n_ - first)};
      const auto start = std::chrono::steady_clock::now();
      step_.differentiate(draw, loss_.view());
      ++n_steps_;
      step_.update(step_params(params_.rule, epoch, n_batches, n_of_epoch, n_steps_));
      if (params_.on_long_epoch) warn_of_long_epoch(start);
    }
    return loss_.to_host()[0] / static_cast<double>(n_batches);
  }

  int64_t steps() const override { return n_steps_; }
  void set_steps(int64_t steps) override { n_steps_ = steps; }

 private:
  /// By the time of the first step, which is the whole epoch of the softmax.
  void warn_of_long_epoch(std::chrono::steady_clock::time_point start) {
    const auto warn = std::exchange(params_.on_long_epoch, {});
    if (params_.loss != LossKind::softmax) return;
    loss_.to_host();  // waits for the device
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (taken.count() > params_.long_epoch) warn(taken.count());
  }

  TrainParams params_;
  int64_t n_;  // purchases
  GraphStep step_;
  Buffer<double> loss_;
  int64_t n_steps_ = 0;
};

class LightGcn final : public Recommender {
 public:
  std::string_view name() const override { return "lightgcn"; }
  std::string_view about() const override { return "learned vectors averaged over the graph of purchases"; }

  std::vector<SettingGroup> settings() override {
    return {training_.describe(),
            {"lightgcn",
             {{"layers", "steps over the graph", &layers_, 0, 16},
              {"form", "light: no weights; gcn: weights and a ReLU in each step", &form_, {"light", "gcn"}},
              {"weight",
               "of an edge: 1 each, the logarithm of 1 + times bought, or its recency weight",
               &weight_,
               {"one", "log", "recency"}},
              {"copurchase",
               "weight of the edges between items of the same baskets, each times the cosine of their baskets; 0: none",
               &copurchase_, 0.0, 1e6},
              {"partners", "items at most that such an edge leads to from each item", &partners_, 1, 256}}}};
  }

  FitReport fit(Context& context, const TrainData& data, const FitOptions& options) override {
    const LossKind loss = parse_loss(training_.loss, {LossKind::softmax, LossKind::bpr}, name());
    TrainParams params = train_params(training_, loss, loss == LossKind::softmax ? 0.05 : 0.003, 5);
    take_options(options, params);
    note_long_epoch(options, data.n_users, data.catalog.n_items, LossKind::bpr, params);
    set_size(data.n_users, data.catalog.n_items);
    const HostCsr& train_items = data.purchases.train;
    GraphNet net(context, graph_of(context, data.purchases), make_item_bags(data.catalog, training_.item_features),
                 {.dim = training_.dim, .layers = layers_, .with_weights = form_ == "gcn"});
    net.initialise(params.seed, train_items);
    const Trainable trainable{net.parameters(), [&] {
                                take_vectors(context, net);
                                return scorer(context);
                              }};
    const auto make_epoch = [&] { return std::make_unique<GraphEpoch>(context, net, train_items, params); };
    FitReport report = with_epochs(
        train(context, trainable, make_epoch, train_items, data.purchases.validation, params, options.on_epoch),
        params);
    take_vectors(context, net);  // of the epoch that was kept
    ColdItems cold(context, data.catalog, train_items);
    cold.fill(context, items_, dim_);
    cold.fill_bias(context, item_bias_);
    cold.note(options.on_note);
    return report;
  }

  std::unique_ptr<Scorer> scorer(Context& context) const override {
    LinearParts parts{.n_users = n_users(), .n_items = n_items(), .dim = dim_};
    parts.users = copy_of(context, users_);
    parts.items = copy_of(context, items_);
    parts.item_bias = copy_of(context, item_bias_);
    parts.encode = fold_in;
    return std::make_unique<LinearScorer>(context, std::move(parts));
  }

  std::vector<NamedTensor> tensors() const override {
    return {{"users", {n_users(), dim_}, users_.to_host()},
            {"items", {n_items(), dim_}, items_.to_host()},
            {"item_bias", {n_items()}, item_bias_.to_host()}};
  }

  void restore(Context& context, const Tensors& tensors) override {
    dim_ = tensors.matrix_shape("items").second;
    users_ = Buffer<float>(context, tensors.matrix("users", n_users(), dim_));
    items_ = Buffer<float>(context, tensors.matrix("items", n_items(), dim_));
    item_bias_ = Buffer<float>(context, tensors.vector<float>("item_bias", n_items()));
  }

  Vectors item_vectors(Context& context) const override { return {n_items(), dim_, copy_of(context, items_)}; }
  Vectors user_vectors(Context& context) const override { return {n_users(), dim_, copy_of(context, users_)}; }

 private:
  HostCsr graph_of(Context& context, const Purchases& purchases) const {
    HostCsr edges = purchase_weights(purchases, weight_);
    if (weight_ == "one") edges.values.clear();
    if (copurchase_ <= 0.0) return user_item_graph(edges);
    const CountedPartners counted =
        counted_partners(context, purchases.train_baskets, 1, association::Measure::cosine, partners_, 0.0f);
    return user_item_graph(edges, symmetrised(counted.partners.to_csr()), static_cast<float>(copurchase_));
  }

  /// What scoring needs of the parameters as they are now.
  void take_vectors(Context& context, const GraphNet& net) {
    dim_ = net.dim();
    Buffer<float> all(context, (n_users() + n_items()) * dim_);
    item_bias_ = Buffer<float>(context, n_items());
    {
      ScratchScope scratch(context);
      Pass pass(context, scratch);
      net.forward(pass, all.matrix(n_users() + n_items(), dim_), item_bias_.matrix(n_items(), 1));
    }
    users_ = Buffer<float>(context, n_users() * dim_);
    items_ = Buffer<float>(context, n_items() * dim_);
    context.copy(users_.data(), all.data(), static_cast<size_t>(users_.size()) * sizeof(float));
    context.copy(items_.data(), all.data() + users_.size(), static_cast<size_t>(items_.size()) * sizeof(float));
    context.synchronize();  // `all` ends here
  }

  TrainSettings training_;
  int64_t layers_ = 1, partners_ = 20;
  std::string form_ = "light", weight_ = "one";
  double copurchase_ = 0.0;

  // The final vectors: all that scoring needs.
  int64_t dim_ = 0;
  Buffer<float> users_;      // [n_users, dim]
  Buffer<float> items_;      // [n_items, dim]
  Buffer<float> item_bias_;  // [n_items]
};

}  // namespace

std::unique_ptr<Recommender> make_lightgcn() { return std::make_unique<LightGcn>(); }

}  // namespace sheaf
