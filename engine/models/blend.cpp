// Blend: score(u, i) = sum over members m of w_m * score_m(u, i) / deviation_m.
//
// deviation_m is the standard deviation of a member's scores around the mean of their user, over at most 256 users: so
// the weights of members with logits and of members with counts can be compared. The weights are found on the
// validation period: the best member gets 1, and one weight after another takes the value with the best NDCG, until a
// round over the members changes nothing (coordinate ascent).

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "engine/evaluate/ranking_eval.hpp"
#include "engine/models/members.hpp"
#include "engine/models/registry.hpp"
#include "engine/models/widths.hpp"
#include "engine/scoring/blend_scorer.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

constexpr double kTriedBlendWeights[] = {0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2};
constexpr int kMostRounds = 4;
constexpr int64_t kDeviationUsers = 256;
constexpr const char* kWeightPrefix = "weight.";  // in FitReport::chosen

using BlendWeights = std::vector<double>;

std::string weights_text(const BlendWeights& weights) {
  std::string text;
  for (const double w : weights) text += fmt::format("{}{:g}", text.empty() ? "" : "+", w);
  return text;
}

/// Of all items, for users spread evenly; 1 where all scores of each user are equal.
double deviation_of(Context& context, const Scorer& scorer) {
  const int64_t n = std::min(kDeviationUsers, scorer.n_users()), n_items = scorer.n_items();
  std::vector<int32_t> users;
  for (int64_t u = 0; u < n; ++u) users.push_back(static_cast<int32_t>(u * scorer.n_users() / n));
  const Queries queries(context, std::move(users));
  const int64_t tile = std::clamp<int64_t>(scorer.tile_scores / std::max<int64_t>(1, n_items), 1, n);
  Buffer<float> scores(context, tile * n_items);
  double squares = 0.0;
  for (int64_t first = 0; first < n; first += tile) {
    const int64_t rows = std::min(tile, n - first);
    scorer.all_scores(context, queries, first, scores.matrix(rows, n_items));
    const std::vector<float> host = scores.to_host();
    for (int64_t r = 0; r < rows; ++r) {
      const auto row = std::span(host).subspan(static_cast<size_t>(r * n_items), static_cast<size_t>(n_items));
      double sum = 0.0;
      for (const float s : row) sum += static_cast<double>(s);
      const double mean = sum / static_cast<double>(n_items);
      for (const float s : row) squares += (static_cast<double>(s) - mean) * (static_cast<double>(s) - mean);
    }
  }
  const double deviation = std::sqrt(squares / static_cast<double>(n * n_items));
  return std::isfinite(deviation) && deviation > 0.0 ? deviation : 1.0;
}

class Blend final : public Recommender {
 public:
  std::string_view name() const override { return "blend"; }
  std::string_view about() const override { return "a weighted sum of other models' scores"; }

  /// With those of all models: any may be a member.
  std::vector<SettingGroup> settings() override {
    std::vector<SettingGroup> groups;
    for (const std::string& model : model_names()) {
      if (model == name()) continue;
      std::shared_ptr<Recommender>& of = models_[model];
      if (!of) of = make_recommender(model);
      for (SettingGroup& group : of->settings()) groups.push_back(std::move(group));
    }
    groups.push_back(
        {"blend",
         {{"members", "models, as user-knn+ease", &members_, std::vector<std::string>{}},
          {"weights", "of the members, as 1+0.5; found: those with the best NDCG of the validation period, else equal",
           &weights_, std::vector<std::string>{}}}});
    return groups;
  }

  FitReport fit(Context& context, const TrainData& data, const FitOptions& options) override {
    const std::vector<std::string> names = checked_names();
    const BlendWeights given = given_weights(std::ssize(names));
    set_size(data.n_users, data.catalog.n_items);
    FitReport report;
    scale_.clear();
    std::vector<std::shared_ptr<const Scorer>> scorers;
    for (const std::string& member : names) {
      const std::string prefix = member_prefix(member);
      const FitReport own = model(member).fit(context, data, member_options(options, prefix));
      report.chosen.merge(prefixed(own.chosen, prefix));
      scorers.push_back(model(member).scorer(context));
      scale_.push_back(1.0 / deviation_of(context, *scorers.back()));
    }
    const BlendWeights weights = find_weights(context, data, options, names, given, scorers, report);
    for (size_t m = 0; m < names.size(); ++m) report.chosen[kWeightPrefix + names[m]] = weights[m];
    multipliers_ = multipliers_of(weights);
    return report;
  }

  std::unique_ptr<Scorer> scorer(Context& context) const override {
    const std::vector<std::string> names = checked_names();
    std::vector<BlendScorer::Member> members;
    for (size_t m = 0; m < names.size(); ++m) {
      if (multipliers_[m] != 0.0f) members.push_back({model(names[m]).scorer(context), multipliers_[m]});
    }
    return std::make_unique<BlendScorer>(std::move(members));
  }

  std::vector<NamedTensor> tensors() const override {
    std::vector<NamedTensor> tensors{{"multipliers", {std::ssize(multipliers_)}, multipliers_}};
    for (const std::string& member : checked_names()) add_prefixed(tensors, member_prefix(member), model(member));
    return tensors;
  }

  void restore(Context& context, const Tensors& tensors) override {
    const std::vector<std::string> names = checked_names();
    multipliers_ = tensors.vector<float>("multipliers", std::ssize(names));
    if (std::ranges::none_of(multipliers_, [](float w) { return w != 0.0f; })) {
      throw_bad_tensor("multipliers", "gives no member a weight");
    }
    for (const std::string& member : names) {
      model(member).set_size(n_users(), n_items());
      model(member).restore(context, tensors.part(member_prefix(member)));
    }
  }

  /// Of the first member that has some.
  Vectors item_vectors(Context& context) const override {
    return vectors_of([&](const Recommender& of) { return of.item_vectors(context); });
  }
  Vectors user_vectors(Context& context) const override {
    return vectors_of([&](const Recommender& of) { return of.user_vectors(context); });
  }

 private:
  std::vector<std::string> checked_names() const {
    std::vector<std::string> names = member_names("blend.members", members_, name());
    if (names.empty()) throw UsageError("blend.members names no model", "name at least one, as user-knn+factorization");
    return names;
  }

  Recommender& model(const std::string& member) const {
    std::shared_ptr<Recommender>& of = models_[member];
    if (!of) of = make_recommender(member);
    return *of;
  }

  /// Empty where they are to be found.
  BlendWeights given_weights(int64_t n_members) const {
    BlendWeights weights;
    if (weights_ == "found") return weights;
    double sum = 0.0;
    for (const std::string& word : split_words(weights_, '+')) {
      double weight = 0.0;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), weight);
      if (error != std::errc() || end != word.data() + word.size() || !std::isfinite(weight) || weight < 0.0) {
        throw UsageError("blend.weights = '" + weights_ + "': '" + word + "' is no weight",
                         "write numbers that are not below 0, as 1+0.5, or found");
      }
      weights.push_back(weight);
      sum += weight;
    }
    if (std::ssize(weights) != n_members || sum == 0.0) {
      throw UsageError(
          fmt::format("blend.weights = '{}' does not weigh the {} members '{}'", weights_, n_members, members_),
          "write a number for each, not all of them 0, or found");
    }
    return weights;
  }

  std::vector<float> multipliers_of(const BlendWeights& weights) const {
    std::vector<float> multipliers;
    for (size_t m = 0; m < weights.size(); ++m) multipliers.push_back(static_cast<float>(weights[m] * scale_[m]));
    return multipliers;
  }

  BlendWeights find_weights(Context& context, const TrainData& data, const FitOptions& options,
                            const std::vector<std::string>& names, const BlendWeights& given,
                            const std::vector<std::shared_ptr<const Scorer>>& scorers, FitReport& report) const {
    const Purchases& purchases = data.purchases;
    const RankingEvaluator validation(context, purchases.validation, options.mask_seen ? &purchases.train : nullptr);
    std::map<BlendWeights, double> judged;  // NaN where there is nothing to judge by
    double best = -1.0;
    const auto judge = [&](const BlendWeights& weights) {
      if (const auto at = judged.find(weights); at != judged.end()) return at->second;
      check_interrupt("training");
      EpochReport now;
      now.epoch = std::ssize(report.epochs) + 1;
      now.what = "blend.weights = " + weights_text(weights);
      if (purchases.validation.nnz() > 0) {
        std::vector<BlendScorer::Member> members;
        const std::vector<float> multipliers = multipliers_of(weights);
        for (size_t m = 0; m < scorers.size(); ++m) {
          if (multipliers[m] != 0.0f) members.push_back({scorers[m], multipliers[m]});
        }
        const RankingSummary summary =
            validation.of_scorer(context, BlendScorer(std::move(members)), options.validation_k);
        now.validation_ndcg = summary.ndcg;
        now.validation_recall = summary.recall;
      }
      now.best = report.epochs.empty() || now.validation_ndcg > best;
      if (now.best) {
        best = now.validation_ndcg;
        report.best_epoch = now.epoch;
      }
      report.epochs.push_back(now);
      if (options.on_epoch) options.on_epoch(now);
      return judged[weights] = now.validation_ndcg;
    };
    BlendWeights weights = given;
    for (const std::string& member : names) {
      const auto chosen = options.chosen.find(kWeightPrefix + member);
      if (given.empty() && chosen != options.chosen.end()) weights.push_back(chosen->second);
    }
    if (weights.size() == names.size()) {
      judge(weights);
      return weights;
    }
    weights.assign(names.size(), 1.0);
    if (std::isnan(judge(weights))) return weights;
    double reached = judge(weights);
    const auto take_if_better = [&](const BlendWeights& tried) {
      const double ndcg = judge(tried);
      if (!(ndcg > reached)) return false;
      reached = ndcg;
      weights = tried;
      return true;
    };
    for (size_t m = 0; m < names.size(); ++m) {
      BlendWeights alone(names.size(), 0.0);
      alone[m] = 1.0;
      take_if_better(alone);
    }
    for (int round = 0; round < kMostRounds; ++round) {
      bool changed = false;
      for (size_t m = 0; m < names.size(); ++m) {
        BlendWeights tried = weights;
        for (const double weight : kTriedBlendWeights) {
          tried[m] = weight;
          if (std::ranges::all_of(tried, [](double w) { return w == 0.0; })) continue;
          changed = take_if_better(tried) || changed;
        }
      }
      if (!changed) break;
    }
    return weights;
  }

  template <class Of>
  Vectors vectors_of(Of&& of) const {
    for (const std::string& member : checked_names()) {
      if (Vectors vectors = of(model(member)); !vectors.empty()) return vectors;
    }
    return {};
  }

  std::string members_ = "user-knn+factorization", weights_ = "found";
  mutable std::map<std::string, std::shared_ptr<Recommender>> models_;  // made when they are first asked for
  std::vector<double> scale_;                                           // of each member, 1 / deviation; of a fit
  std::vector<float> multipliers_;                                      // of each member's scores
};

}  // namespace

std::unique_ptr<Recommender> make_blend() { return std::make_unique<Blend>(); }

}  // namespace sheaf
