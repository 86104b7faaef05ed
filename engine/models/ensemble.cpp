// Ensemble: the mean of the scores of one model learned several times, from the seeds s, s + 1, .. (deep ensembles:
// Lakshminarayanan, Pritzel and Blundell, NIPS 2017). What differs between seeds cancels: first values, negatives,
// dropout, the order of batches. A model without draws gives the same scores each time.

#include <fmt/format.h>

#include <memory>
#include <utility>
#include <vector>

#include "engine/evaluate/ranking_eval.hpp"
#include "engine/models/members.hpp"
#include "engine/models/registry.hpp"
#include "engine/scoring/blend_scorer.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

std::string number_prefix(size_t number) { return member_prefix(std::to_string(number + 1)); }

class Ensemble final : public Recommender {
 public:
  std::string_view name() const override { return "ensemble"; }
  std::string_view about() const override { return "the mean of one model's scores, learned from several seeds"; }

  /// With those of all models that may be the member.
  std::vector<SettingGroup> settings() override {
    std::vector<SettingGroup> groups;
    for (const std::string& model : model_names()) {
      if (model == name() || model == "blend") continue;  // a blend holds the settings of all models again
      if (!templates_.contains(model)) templates_[model] = make_recommender(model);
      for (SettingGroup& group : templates_[model]->settings()) groups.push_back(std::move(group));
    }
    groups.push_back({"ensemble",
                      {{"member", "the model, as factorization (not blend)", &member_, std::vector<std::string>{}},
                       {"size", "how many are learned", &size_, 1, 100}}});
    return groups;
  }

  FitReport fit(Context& context, const TrainData& data, const FitOptions& options) override {
    make_members();
    set_size(data.n_users, data.catalog.n_items);
    FitReport report;
    for (size_t m = 0; m < members_.size(); ++m) {
      FitOptions own = member_options(options, number_prefix(m));
      own.seed = options.seed + m;
      const FitReport fitted = members_[m]->fit(context, data, own);
      report.chosen.merge(prefixed(fitted.chosen, number_prefix(m)));
      judge(context, data, options, m + 1, report);
    }
    report.best_epoch = std::ssize(report.epochs);
    report.epochs.back().best = true;
    return report;
  }

  std::unique_ptr<Scorer> scorer(Context& context) const override { return mean_of(context, members_.size()); }

  std::vector<NamedTensor> tensors() const override {
    std::vector<NamedTensor> tensors;
    for (size_t m = 0; m < members_.size(); ++m) add_prefixed(tensors, number_prefix(m), *members_[m]);
    return tensors;
  }

  void restore(Context& context, const Tensors& tensors) override {
    make_members();
    for (size_t m = 0; m < members_.size(); ++m) {
      members_[m]->set_size(n_users(), n_items());
      members_[m]->restore(context, tensors.part(number_prefix(m)));
    }
  }

  /// Of the first member: vectors of different seeds lie in different spaces.
  Vectors item_vectors(Context& context) const override {
    return members_.empty() ? Vectors{} : members_.front()->item_vectors(context);
  }
  Vectors user_vectors(Context& context) const override {
    return members_.empty() ? Vectors{} : members_.front()->user_vectors(context);
  }

 private:
  /// Each with the settings of its template.
  void make_members() {
    const std::vector<std::string> names = member_names("ensemble.member", member_, name());
    if (names.size() != 1 || names.front() == "blend") {
      throw UsageError(fmt::format("ensemble.member = '{}' is no one model", member_),
                       "name one, as factorization; different models go into a blend");
    }
    if (!templates_.contains(names.front())) templates_[names.front()] = make_recommender(names.front());
    const SettingValues values = values_of(templates_[names.front()]->settings());
    members_.clear();
    for (int64_t m = 0; m < size_; ++m) {
      members_.push_back(make_recommender(names.front()));
      apply_settings(members_.back()->settings(), values);
    }
  }

  /// Of the first n members.
  std::unique_ptr<Scorer> mean_of(Context& context, size_t n) const {
    std::vector<BlendScorer::Member> parts;
    for (size_t m = 0; m < n; ++m) parts.push_back({members_[m]->scorer(context), 1.0f / static_cast<float>(n)});
    return std::make_unique<BlendScorer>(std::move(parts));
  }

  void judge(Context& context, const TrainData& data, const FitOptions& options, size_t n, FitReport& report) const {
    EpochReport now;
    now.epoch = static_cast<int64_t>(n);
    now.what = fmt::format("ensemble of {}", n);
    const Purchases& purchases = data.purchases;
    if (purchases.validation.nnz() > 0) {
      const RankingEvaluator validation(context, purchases.validation, options.mask_seen ? &purchases.train : nullptr);
      const RankingSummary summary = validation.of_scorer(context, *mean_of(context, n), options.validation_k);
      now.validation_ndcg = summary.ndcg;
      now.validation_recall = summary.recall;
    }
    report.epochs.push_back(now);
    if (options.on_epoch) options.on_epoch(now);
  }

  std::string member_ = "factorization";
  int64_t size_ = 3;
  std::map<std::string, std::unique_ptr<Recommender>> templates_;  // hold the settings
  std::vector<std::unique_ptr<Recommender>> members_;
};

}  // namespace

std::unique_ptr<Recommender> make_ensemble() { return std::make_unique<Ensemble>(); }

}  // namespace sheaf
