// Fusion: a network over what is known of a user and an item together.
//
//   h_0 = x(u, i), standardised;   h_l = act(W_l h_(l-1) + b_l);   score(u, i) = w h_L + b
//
// x holds the user's habits with the item (how often, how lately, whether it is due: engine/demand/basket_chances.hpp)
// and the scores of other models. The network learns from past windows, each as long as the period to be foreseen: what
// was known before the window, and what was bought in it. It scores the user's own items and the best others of each
// member; all else stands below these, by popularity.

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "engine/evaluate/ranking_eval.hpp"
#include "engine/layers/elementwise.hpp"
#include "engine/layers/linear.hpp"
#include "engine/models/fusion_epoch.hpp"
#include "engine/models/fusion_pairs.hpp"
#include "engine/models/members.hpp"
#include "engine/models/pair_model.hpp"
#include "engine/models/registry.hpp"
#include "engine/models/widths.hpp"
#include "engine/scoring/product_scorer.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf {
namespace {

constexpr double kSeconds = 86400.0;  // a day
constexpr double kLongestPeriod = 28.0;
constexpr float kMostDeviations = 8.0f;
constexpr const char* kVectorsPrefix = "vectors.";
constexpr const char* kPeriod = "period_days";  // in FitReport::chosen

/// Columns after the habits are scores of any size: s becomes asinh(s / scale).
struct Standard {
  std::vector<float> scale;            // [members] median of |s|
  std::vector<float> mean, deviation;  // [width] after that

  void compress(float* row) const {
    for (size_t m = 0; m < scale.size(); ++m) row[kPairFeatures + m] = std::asinh(row[kPairFeatures + m] / scale[m]);
  }
  /// Of raw rows, in place.
  void apply(Context& context, std::vector<float>& x) const {
    const auto width = std::ssize(mean);
    parallel_for(context, std::ssize(x) / width, 4096, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        float* row = x.data() + r * width;
        compress(row);
        for (int64_t c = 0; c < width; ++c) {
          const auto at = static_cast<size_t>(c);
          row[c] = std::clamp((row[c] - mean[at]) / deviation[at], -kMostDeviations, kMostDeviations);
        }
      }
    });
  }

  /// Leaves the habits as they are.
  static Standard none(int64_t n_members) {
    const auto width = kPairFeatures + static_cast<size_t>(n_members);
    return {std::vector<float>(static_cast<size_t>(n_members), 1.0f), std::vector<float>(width, 0.0f),
            std::vector<float>(width, 1.0f)};
  }
  static Standard of(std::vector<float> x, int64_t width) {
    Standard standard;
    std::vector<float> sizes;
    for (int64_t c = kPairFeatures; c < width; ++c) {
      sizes.clear();
      for (size_t at = static_cast<size_t>(c); at < x.size(); at += static_cast<size_t>(width)) {
        if (x[at] != 0.0f && std::isfinite(x[at])) sizes.push_back(std::abs(x[at]));
      }
      const auto middle = sizes.begin() + std::ssize(sizes) / 2;
      std::ranges::nth_element(sizes, middle);
      standard.scale.push_back(sizes.empty() ? 1.0f : *middle);
    }
    for (size_t at = 0; at < x.size(); at += static_cast<size_t>(width)) standard.compress(x.data() + at);
    const double n = static_cast<double>(x.size()) / static_cast<double>(width);
    for (int64_t c = 0; c < width; ++c) {
      double sum = 0.0, squares = 0.0;
      for (size_t at = static_cast<size_t>(c); at < x.size(); at += static_cast<size_t>(width)) {
        sum += static_cast<double>(x[at]);
        squares += static_cast<double>(x[at]) * static_cast<double>(x[at]);
      }
      const double mean = sum / n, variance = squares / n - mean * mean;
      standard.mean.push_back(static_cast<float>(mean));
      standard.deviation.push_back(variance > 1e-8 ? static_cast<float>(std::sqrt(variance)) : 1.0f);
    }
    return standard;
  }
};

/// All that a pair is scored with.
struct Stage {
  Sequential net;
  Standard standard;
  ItemHabits items;
  std::vector<int32_t> category;  // [n_items]
  std::vector<float> item_bias;   // [n_items] the score of a pair that the network does not see
  float day = 0.0f;               // what is known is up to here, since 1970
  FusionMembers members;
  int64_t n_new = 0;
};

Sequential make_net(Context& context, int64_t width, const std::vector<int64_t>& hidden, dense::Activation activation,
                    bool dropout) {
  Layers layers;
  int64_t in = width, place = 0;
  for (const int64_t out : hidden) {
    const bool relu = activation == dense::Activation::relu;
    layers.push_back(std::make_unique<Linear>(context, "layer_" + std::to_string(place), in, out,
                                              Linear::Options{.relu = relu, .deviation = relu ? 1.4f : 1.0f}));
    if (!relu) layers.push_back(std::make_unique<ActivationLayer>(activation));
    if (dropout) layers.push_back(std::make_unique<DropoutLayer>(place));
    in = out;
    ++place;
  }
  layers.push_back(
      std::make_unique<Linear>(context, "score", in, 1, Linear::Options{.relu = false, .deviation = 0.1f}));
  return Sequential(std::move(layers));
}

/// Scores of the pairs, less the bias of their items.
std::vector<float> pair_values(Context& context, const Stage& stage, const HostCsr& pairs, MatrixView<const float> x) {
  Buffer<float> out(context, std::max<int64_t>(1, x.rows));
  fusion_forward(context, stage.net, x, out.data());
  std::vector<float> values = out.to_host();
  values.resize(static_cast<size_t>(x.rows));
  for (size_t e = 0; e < values.size(); ++e) {
    if (!stage.item_bias.empty()) values[e] -= stage.item_bias[static_cast<size_t>(pairs.columns[e])];
  }
  return values;
}

/// What people did whom the model never saw: their baskets a week apart, the newest today.
BasketHistory strangers_history(const Queries& queries, int64_t first, int64_t count, double day) {
  constexpr int64_t kWeek = 7 * 86400;
  BasketHistory history;
  history.n_users = count;
  history.items.n_columns = queries.purchases().n_columns;
  const auto today = static_cast<int64_t>(day * kSeconds);
  const auto add = [&](int64_t user, std::vector<int32_t> items, int64_t time) {
    std::ranges::sort(items);
    items.erase(std::ranges::unique(items).begin(), items.end());
    history.items.columns.insert(history.items.columns.end(), items.begin(), items.end());
    history.items.row_offsets.push_back(history.items.nnz());
    history.user.push_back(static_cast<int32_t>(user));
    history.time.push_back(time);
  };
  const History& known = queries.history();
  const bool ordered = known.n_users() == queries.n() && std::ssize(known.baskets) == std::ssize(known.items);
  for (int64_t u = 0; u < count; ++u) {
    std::vector<std::vector<int32_t>> baskets;
    if (ordered && known.length(first + u) > 0) {
      for (int64_t at = known.offsets[static_cast<size_t>(first + u)];
           at < known.offsets[static_cast<size_t>(first + u) + 1]; ++at) {
        const bool same = !baskets.empty() && at > known.offsets[static_cast<size_t>(first + u)] &&
                          known.baskets[static_cast<size_t>(at)] == known.baskets[static_cast<size_t>(at - 1)];
        if (!same) baskets.emplace_back();
        baskets.back().push_back(known.items[static_cast<size_t>(at)]);
      }
    } else if (!queries.purchases().row(first + u).empty()) {
      const auto row = queries.purchases().row(first + u);
      baskets.emplace_back(row.begin(), row.end());
    }
    for (int64_t b = 0; b < std::ssize(baskets); ++b) {
      add(u, baskets[static_cast<size_t>(b)], today - kWeek * (std::ssize(baskets) - 1 - b));
    }
  }
  return history;
}

/// What is saved of the items, by name.
std::vector<std::pair<std::string, std::vector<float>*>> item_vectors_of(ItemHabits& items) {
  return {{"items.baskets", &items.baskets}, {"items.buyers", &items.buyers}, {"items.again", &items.again},
          {"items.late", &items.late},       {"items.share", &items.share},   {"items.gap", &items.gap}};
}

class Fusion final : public Recommender {
 public:
  std::string_view name() const override { return "fusion"; }
  std::string_view about() const override {
    return "a network over the user's habits with an item and the scores of other models";
  }

  std::vector<SettingGroup> settings() override {
    std::vector<SettingGroup> groups = vectors_->settings();
    groups.push_back(
        {"fusion",
         {{"members", "models whose scores it reads, as user-knn+ease; none: no model", &members_,
           std::vector<std::string>{}},
          {"hidden", "widths of the hidden layers, as 64-32; none: a logistic regression", &hidden_,
           std::vector<std::string>{}},
          {"activation", "of the hidden layers", &activation_, {"relu", "sigmoid", "tanh", "gelu"}},
          {"loss", "bpr: what was bought above what was not; bce: each by itself", &loss_, {"bpr", "bce"}},
          {"windows", "past periods to learn from", &windows_, 1, 100},
          {"candidates", "of each member, that are new to a user", &candidates_, 0, 256},
          {"negatives", "drawn for each purchase", &negatives_, 1, 256},
          {"positive_weight",
           "bce: weight of a purchase against a negative; 0: balanced, as much as all its negatives together",
           &positive_weight_, 0.0, 1e6},
          {"batch", "purchases a step", &batch_, 1, 1 << 20},
          {"epochs", "at most", &epochs_, 1, 100000},
          {"patience", "epochs without a better NDCG before training ends; 0: train all", &patience_, 0, 100000},
          {"dropout", "of the hidden layers", &dropout_, 0.0, 0.95},
          {"group_power", "a purchase weighs (the user's purchases in the window)^-group_power", &group_power_, 0.0,
           2.0},
          {"max_rows", "pairs to learn from; beyond, users are left out evenly", &max_rows_, 1000, 1 << 28},
          {"vectors", "learn a factorization beside it (settings of [model]), for associations by learned vectors",
           &with_vectors_}}});
    const std::vector<Setting> step = step_.describe(", of adamw 0.005", ", 0");
    groups.back().settings.insert(groups.back().settings.end(), step.begin(), step.end());
    return groups;
  }

  FitReport fit(Context& context, const TrainData& data, const FitOptions& options) override {
    const BasketHistory history = training_baskets(data.purchases, data.n_users);
    if (history.items.nnz() == 0) {
      throw DataError("there are no training purchases", "check the cleaning report and the split of the import");
    }
    set_size(data.n_users, data.catalog.n_items);
    const std::vector<std::string> names = member_names("fusion.members", members_, name());
    std::vector<int64_t> hidden = parse_widths("fusion.hidden", hidden_, true);
    Standard standard;
    FusionExamples examples = past_examples(context, data, history, names, options, standard);
    const bool learns = !examples.bought.empty();
    if (!learns) hidden.clear();
    stage_ = std::make_shared<Stage>(
        Stage{.net = make_net(context, examples.width, hidden, parse_activation(activation_), dropout_ > 0),
              .standard = std::move(standard),
              .items = ItemHabits(history, history.last_day()),
              .category = data.catalog.category,
              .item_bias = {},
              .day = static_cast<float>(history.last_day()),
              .members = FusionMembers::fitted(context, names, history, data.catalog, options),
              .n_new = candidates_});
    const Queries everyone = Queries::everyone(context, data.n_users);
    FusionPairs now =
        fusion_pairs(context, {.history = history, .queries = everyone, .first = 0, .day = history.last_day()},
                     stage_->category, &stage_->items, stage_->members, candidates_);
    stage_->standard.apply(context, now.x);
    rows_ = std::move(now.pairs);
    const Buffer<float> x(context, now.x);
    now.x = {};
    const auto scored = [&] {
      score_rows(context, x.matrix(rows_.nnz(), examples.width));
      return scorer(context);
    };
    FitReport report;
    if (learns) {
      report = train_net(context, data, options, std::move(examples), scored);
    } else {
      put_plain_weights();
      report = judged(context, data, options, *scored());
    }
    report.chosen[kPeriod] = period_of(data.purchases, history, options);
    if (with_vectors_) report.chosen.merge(fit_vectors(context, data, options));
    return report;
  }

  std::unique_ptr<Scorer> scorer(Context& context) const override {
    return std::make_unique<ProductScorer>(
        context,
        ProductParts{.rows = rows_,
                     .item_bias = stage_->item_bias,
                     .rows_of_strangers = [stage = std::shared_ptr<const Stage>(stage_)](
                                              Context& where, const Queries& queries, int64_t first, int64_t count) {
                       return rows_of_strangers(where, *stage, queries, first, count);
                     }});
  }

  std::vector<NamedTensor> tensors() const override {
    const auto n_items = std::ssize(stage_->category);
    const Standard& standard = stage_->standard;
    std::vector<NamedTensor> tensors{
        {"item_bias", {n_items}, stage_->item_bias},
        {"category", {n_items}, stage_->category},
        {"day", {1}, std::vector<float>{stage_->day}},
        {"late_share", {1}, std::vector<float>{static_cast<float>(stage_->items.late_share)}},
        {"scale", {std::ssize(standard.scale)}, standard.scale},
        {"mean", {std::ssize(standard.mean)}, standard.mean},
        {"deviation", {std::ssize(standard.deviation)}, standard.deviation}};
    for (const auto& [key, values] : item_vectors_of(stage_->items)) tensors.push_back({key, {n_items}, *values});
    for (const Parameter* p : stage_->net.parameters())
      tensors.push_back({p->name, {p->rows, p->cols}, p->value.to_host()});
    add_csr(tensors, "rows", rows_);
    for (const auto& member : stage_->members.models) add_prefixed(tensors, member_prefix(member->name()), *member);
    if (with_vectors_) add_prefixed(tensors, kVectorsPrefix, *vectors_);
    return tensors;
  }

  void restore(Context& context, const Tensors& tensors) override {
    const std::vector<std::string> names = member_names("fusion.members", members_, name());
    // Without a past to learn from there are no hidden layers.
    const std::vector<int64_t> hidden =
        tensors.has("layer_0") ? parse_widths("fusion.hidden", hidden_, true) : std::vector<int64_t>();
    const auto n_members = std::ssize(names), width = static_cast<int64_t>(kPairFeatures) + n_members;
    auto stage = std::make_shared<Stage>(
        Stage{.net = make_net(context, width, hidden, parse_activation(activation_), false),
              .standard = {tensors.vector<float>("scale", n_members), tensors.vector<float>("mean", width),
                           tensors.vector<float>("deviation", width)},
              .items = {},
              .category = tensors.vector<int32_t>("category", n_items()),
              .item_bias = tensors.vector<float>("item_bias", n_items()),
              .day = tensors.vector<float>("day", 1)[0],
              .members = {},
              .n_new = candidates_});
    if (std::ranges::any_of(stage->category, [](int32_t c) { return c < 0; })) {
      throw_bad_tensor("category", "has a number below 0");
    }
    stage->items.late_share = static_cast<double>(tensors.vector<float>("late_share", 1)[0]);
    for (const auto& [key, values] : item_vectors_of(stage->items)) *values = tensors.vector<float>(key, n_items());
    for (Parameter* p : stage->net.parameters()) p->value.assign(tensors.matrix(p->name, p->rows, p->cols));
    rows_ = tensors.csr("rows", n_users(), n_items());
    if (std::ssize(rows_.values) != rows_.nnz()) throw_bad_tensor("rows.values", "is missing");
    for (const std::string& member : names) {
      std::shared_ptr<Recommender> model = make_recommender(member);
      model->set_size(n_users(), n_items());
      model->restore(context, tensors.part(member_prefix(member)));
      stage->members.scorers.push_back(model->scorer(context));
      stage->members.models.push_back(std::move(model));
    }
    if (with_vectors_) {
      vectors_->set_size(n_users(), n_items());
      vectors_->restore(context, tensors.part(kVectorsPrefix));
    }
    stage_ = std::move(stage);
  }

  Vectors item_vectors(Context& context) const override {
    return with_vectors_ ? vectors_->item_vectors(context) : Vectors{};
  }
  Vectors user_vectors(Context& context) const override {
    return with_vectors_ ? vectors_->user_vectors(context) : Vectors{};
  }

 private:
  FitReport train_net(Context& context, const TrainData& data, const FitOptions& options, FusionExamples examples,
                      const std::function<std::unique_ptr<Scorer>()>& scored) {
    Sequential& net = stage_->net;
    Initialiser from{.seed = options.seed};
    net.initialise(from);
    const StepRule rule = step_.rule(0.005, 0.0, epochs_);
    begin_training(context, net.parameters(), rule.optimizer);
    TrainParams params;
    params.rule = rule;
    params.epochs = epochs_;
    params.validate_every = 1;
    params.patience = patience_;
    take_options(options, params);
    const FusionTraining training{.pairwise = loss_ == "bpr",
                                  .batch = batch_,
                                  .negatives = negatives_,
                                  .dropout = static_cast<float>(dropout_),
                                  .positive_weight = static_cast<float>(balanced_weight(positive_weight_, negatives_)),
                                  .group_power = static_cast<float>(group_power_),
                                  .rule = rule,
                                  .seed = options.seed};
    FitReport report = with_epochs(sheaf::train(
                                       context, {.parameters = net.parameters(), .scorer = scored},
                                       [&] { return make_fusion_epoch(context, net, std::move(examples), training); },
                                       data.purchases.train, data.purchases.validation, params, options.on_epoch),
                                   params);
    scored();  // of the epoch that was kept
    end_training(net.parameters());
    return report;
  }

  /// Without a past to learn from: what the user bought most, then what members and all users say.
  void put_plain_weights() {
    std::vector<float> weights(stage_->standard.mean.size(), 0.01f);
    std::fill_n(weights.begin(), kPairFeatures, 0.0f);
    weights[kRate365] = 1.0f;
    weights[kPopularity] = 0.1f;
    stage_->net.parameters()[0]->value.assign(weights);
  }

  static FitReport judged(Context& context, const TrainData& data, const FitOptions& options, const Scorer& scorer) {
    const RankingEvaluator validation(context, data.purchases.validation,
                                      options.mask_seen ? &data.purchases.train : nullptr);
    const RankingSummary summary = validation.of_scorer(context, scorer, options.validation_k);
    FitReport report;
    report.best_epoch = 1;
    EpochReport& only = report.epochs.emplace_back();
    only.epoch = 1;
    only.what = "too little history to learn from: what users bought most";
    only.validation_ndcg = summary.ndcg;
    only.validation_recall = summary.recall;
    only.best = true;
    if (options.on_epoch) options.on_epoch(only);
    return report;
  }

  /// The network's scores of all pairs, x [rows_.nnz(), width], and the bias of items below them, by popularity.
  void score_rows(Context& context, MatrixView<const float> x) {
    stage_->item_bias.clear();
    rows_.values = pair_values(context, *stage_, rows_, x);
    const float lowest = rows_.values.empty() ? 0.0f : std::min(0.0f, *std::ranges::min_element(rows_.values));
    for (const float share : stage_->items.share) stage_->item_bias.push_back(lowest - 1.0f + share / 32.0f);
    for (size_t e = 0; e < rows_.values.size(); ++e) {
      rows_.values[e] -= stage_->item_bias[static_cast<size_t>(rows_.columns[e])];
    }
  }

  /// Gives what it chose, each by its name with the prefix.
  std::map<std::string, double> fit_vectors(Context& context, const TrainData& data, const FitOptions& options) const {
    return prefixed(vectors_->fit(context, data, member_options(options, kVectorsPrefix)).chosen, kVectorsPrefix);
  }

  /// The period to be foreseen: what an earlier fit chose, else as long as the validation period.
  static double period_of(const Purchases& purchases, const BasketHistory& history, const FitOptions& options) {
    if (const auto chosen = options.chosen.find(kPeriod); chosen != options.chosen.end()) return chosen->second;
    const double span = history.last_day() - history.first_day();
    double period = std::min(kLongestPeriod, span / 4.0);
    if (!purchases.validation_basket_time.empty()) {
      const auto [first, last] = std::ranges::minmax(purchases.validation_basket_time);
      const double validation = std::ceil(static_cast<double>(last - first) / kSeconds);
      if (validation >= 1.0 && validation <= span / 2.0) period = validation;
    }
    return period;
  }

  /// What the past windows say. `standard` is made of them.
  FusionExamples past_examples(Context& context, const TrainData& data, const BasketHistory& history,
                               const std::vector<std::string>& names, const FitOptions& options,
                               Standard& standard) const {
    const Queries everyone = Queries::everyone(context, data.n_users);
    const double period = period_of(data.purchases, history, options);
    FusionExamples examples;
    examples.width = static_cast<int64_t>(kPairFeatures) + std::ssize(names);
    for (const FusionWindow& window : fusion_windows(history, period, windows_, options.seed)) {
      const FusionMembers members = FusionMembers::fitted(context, names, window.known, data.catalog, options);
      const FusionPairs past =
          fusion_pairs(context, {.history = window.known, .queries = everyone, .first = 0, .day = window.day},
                       data.catalog.category, nullptr, members, candidates_);
      add_groups(past, window.bought, examples);
    }
    if (examples.bought.empty()) {
      standard = Standard::none(std::ssize(names));
      return examples;
    }
    standard = Standard::of(examples.x, examples.width);
    standard.apply(context, examples.x);
    return examples;
  }

  /// One group a user who bought something of the pairs, but not all of it.
  void add_groups(const FusionPairs& past, const HostCsr& bought, FusionExamples& examples) const {
    const int64_t room = max_rows_ / std::max<int64_t>(1, windows_);
    const int64_t keep_of = past.pairs.nnz() / std::max<int64_t>(1, room) + 1;
    for (int64_t u = 0; u < bought.n_rows(); ++u) {
      const auto items = past.pairs.row(u);
      const int64_t hits = std::ranges::count_if(items, [&](int32_t i) { return bought.contains(u, i); });
      if (hits == 0 || hits == std::ssize(items) || u % keep_of != 0) continue;
      const auto group = static_cast<int32_t>(std::ssize(examples.offsets) - 1);
      const int64_t first = past.pairs.row_offsets[static_cast<size_t>(u)];
      for (int64_t e = 0; e < std::ssize(items); ++e) {
        const auto row = static_cast<int32_t>(std::ssize(examples.x) / examples.width);
        const auto from = past.x.begin() + (first + e) * past.width;
        examples.x.insert(examples.x.end(), from, from + past.width);
        if (bought.contains(u, items[static_cast<size_t>(e)])) {
          examples.bought.push_back(row);
          examples.group.push_back(group);
        } else {
          examples.others.push_back(row);
        }
      }
      examples.offsets.push_back(std::ssize(examples.others));
    }
  }

  static HostCsr rows_of_strangers(Context& context, const Stage& stage, const Queries& queries, int64_t first,
                                   int64_t count) {
    const double day = static_cast<double>(stage.day);
    const BasketHistory history = strangers_history(queries, first, count, day);
    FusionPairs now = fusion_pairs(context, {.history = history, .queries = queries, .first = first, .day = day},
                                   stage.category, &stage.items, stage.members, stage.n_new);
    stage.standard.apply(context, now.x);
    Buffer<float> x(context, now.x);
    now.pairs.values = pair_values(context, stage, now.pairs, x.matrix(now.pairs.nnz(), now.width));
    return std::move(now.pairs);
  }

  std::string members_ = "user-knn+item-knn", hidden_ = "64-32", activation_ = "relu", loss_ = "bpr";
  int64_t windows_ = 4, candidates_ = 20, negatives_ = 16, batch_ = 512, epochs_ = 12, patience_ = 6,
          max_rows_ = 4'000'000;
  StepSettings step_{.weight_decay = 0.0, .schedule = "cosine"};
  double dropout_ = 0.0, group_power_ = 0.5, positive_weight_ = 1.0;
  bool with_vectors_ = true;
  std::unique_ptr<Recommender> vectors_ = make_recommender("factorization");
  std::shared_ptr<Stage> stage_;
  HostCsr rows_;  // [n_users, n_items] scores that the network gave, less the items' bias
};

}  // namespace

std::unique_ptr<Recommender> make_fusion() { return std::make_unique<Fusion>(); }

}  // namespace sheaf
