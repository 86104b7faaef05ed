#include "host/app/quality.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "engine/evaluate/baselines.hpp"
#include "engine/scoring/calibration.hpp"
#include "host/app/joint.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/range.hpp"
#include "kernels/metrics/binary.hpp"

namespace sheaf::app {
namespace {

constexpr double kBins = 20;

Quality::Ranked rank_all(Context& context, const RankingEvaluator& evaluator, const TopLists& lists, std::string name,
                         const config::Config& config) {
  Quality::Ranked ranked{std::move(name), {}};
  for (const int64_t k : config.evaluate.k) ranked.at.push_back(evaluator.of_lists(context, lists, k));
  return ranked;
}

/// Accuracy and the like on as many drawn as bought items, P re-based to that even prior.
void measure_probabilities(const Session& session, Quality& quality) {
  Context& context = session.context();
  const Scorer& scorer = session.scorer();
  const LabelledPairs pairs = draw_pairs(session.purchases.test, 1, static_cast<uint64_t>(session.config().run.seed));
  quality.n_pairs = static_cast<int64_t>(pairs.labels.size());
  quality.preference_histogram.assign(static_cast<size_t>(kBins), 0);
  quality.other_histogram.assign(static_cast<size_t>(kBins), 0);
  const double shift = pairs.negatives_per_positive > 0 ? std::log(pairs.negatives_per_positive) : 0.0;
  std::vector<float> probabilities = scores_of(context, scorer, pairs);
  for (size_t i = 0; i < probabilities.size(); ++i) {
    const Calibration& c = scorer.calibration;
    const double z = c.slope * static_cast<double>(probabilities[i]) + c.offset + shift;
    const double p = 1.0 / (1.0 + std::exp(-z));
    probabilities[i] = static_cast<float>(p);
    const auto bin = static_cast<size_t>(std::clamp(p * kBins, 0.0, kBins - 1));
    ++(pairs.labels[i] ? quality.preference_histogram : quality.other_histogram)[bin];
  }
  const Buffer<float> p(context, probabilities);
  const Buffer<uint8_t> labels(context, pairs.labels);
  Buffer<double> out(context, metrics::kBinaryColumns);
  metrics::binary(context, {p.view(), labels.view(), out.view()});
  const std::vector<double> values = out.to_host();
  quality.accuracy = values[metrics::kAccuracy];
  quality.auc = values[metrics::kAuc];
  quality.log_loss = values[metrics::kLogLoss];
  quality.brier = values[metrics::kBrier];
}

/// Predicted against found in the test period: P of the items at the head of users' lists, and the chance that a basket
/// holds an item that the user has bought before.
void measure_reliability(const Session& session, Quality& quality) {
  const Purchases& purchases = session.purchases;
  if (purchases.test.nnz() == 0) return;
  const Scorer& scorer = session.scorer();
  const HeadPairs head = head_pairs(session.context(), scorer, purchases.test);
  std::vector<double> p, hits(head.labels.begin(), head.labels.end()), trials(head.labels.size(), 1.0);
  for (const float score : head.scores) p.push_back(scorer.calibration.probability(static_cast<double>(score)));
  quality.purchase_reliability = reliability(p, hits, trials);
  if (!ObjectiveTerms::parse(session.config().search.objective).is_joint()) return;
  const HostCsr& own = session.joint().chances.own;
  std::vector<double> baskets(static_cast<size_t>(own.n_rows()), 0.0);
  hits.assign(own.columns.size(), 0.0);
  for (int64_t b = 0; b < purchases.test_baskets.n_rows(); ++b) {
    const int32_t user = purchases.test_basket_user[static_cast<size_t>(b)];
    baskets[static_cast<size_t>(user)] += 1.0;
    const auto row = own.row(user);
    for (const int32_t item : purchases.test_baskets.row(b)) {
      const auto at = std::ranges::lower_bound(row, item);
      if (at == row.end() || *at != item) continue;
      hits[static_cast<size_t>(own.row_offsets[static_cast<size_t>(user)] + (at - row.begin()))] += 1.0;
    }
  }
  trials.clear();
  for (int64_t u = 0; u < own.n_rows(); ++u) {
    trials.insert(trials.end(), own.row(u).size(), baskets[static_cast<size_t>(u)]);
  }
  quality.basket_reliability = reliability(std::vector<double>(own.values.begin(), own.values.end()), hits, trials);
}

nlohmann::json to_json(const std::vector<ReliabilityBin>& bins) {
  nlohmann::json table = nlohmann::json::array();
  for (const ReliabilityBin& bin : bins) {
    table.push_back(
        {{"low", bin.low}, {"high", bin.high}, {"n", bin.n}, {"foreseen", bin.foreseen}, {"found", bin.found}});
  }
  return table;
}

}  // namespace

Quality evaluate(const Session& session, const std::vector<Bundle>& user_bundles) {
  const Range range("evaluate");
  Context& context = session.context();
  const config::Config& config = session.config();
  Quality quality;
  quality.through_validation = session.knows_validation;
  // The baselines know what the model knows.
  std::optional<Purchases> later;
  if (quality.through_validation) {
    later = make_purchases(with_later_lines(session.prepared, false), config.model.recency_days);
  }
  const Purchases& purchases = later ? *later : session.purchases;
  const bool mask = config.evaluate.mask_seen;
  const RankingEvaluator evaluator(context, purchases.test, mask ? &purchases.train : nullptr);
  const int64_t length = std::min(*std::ranges::max_element(config.evaluate.k), session.prepared.n_items);
  const Scorer& scorer = session.scorer();
  quality.calibration = scorer.calibration;
  measure_reliability(session, quality);
  quality.ranked.push_back(rank_all(context, evaluator, top_items(context, scorer, evaluator.exclude(), length),
                                    std::string(session.model().name()), config));
  for (const std::string& baseline : config.evaluate.baselines) {
    check_interrupt("the evaluation");
    if (baseline == "personal-count" && mask) continue;  // it knows nothing but what was seen
    const TopLists lists =
        baseline == "popularity" ? popularity_lists(context, purchases.train_counts, evaluator.exclude(), length)
        : baseline == "item-knn"
            ? item_knn_lists(context, purchases.train, purchases.train_counts, config.evaluate.knn_neighbours,
                             config.evaluate.knn_shrink, evaluator.exclude(), length)
            : personal_count_lists(context, purchases.train, purchases.train_counts, length);
    quality.ranked.push_back(rank_all(context, evaluator, lists, baseline, config));
  }
  measure_probabilities(session, quality);
  quality.bundles = summarise_bundles(user_bundles, session.catalog);
  return quality;
}

nlohmann::json to_json(const Quality& quality) {
  // NaN (nothing to average) becomes null.
  nlohmann::json ranked = nlohmann::json::array();
  for (const auto& row : quality.ranked) {
    for (const RankingSummary& at : row.at) {
      ranked.push_back({{"name", row.name},
                        {"history", quality.through_validation ? "validation" : "train"},
                        {"k", at.k},
                        {"users", at.n_users},
                        {"recall", at.recall},
                        {"precision", at.precision},
                        {"hit_rate", at.hit_rate},
                        {"mrr", at.mrr},
                        {"ndcg", at.ndcg},
                        {"map", at.map},
                        {"coverage", at.coverage},
                        {"gini", at.gini}});
    }
  }
  const BundleSummary& b = quality.bundles;
  return {{"ranking", ranked},
          {"balanced_sample",
           {{"pairs", quality.n_pairs},
            {"accuracy", quality.accuracy},
            {"auc", quality.auc},
            {"log_loss", quality.log_loss},
            {"brier", quality.brier}}},
          {"calibration", {{"slope", quality.calibration.slope}, {"offset", quality.calibration.offset}}},
          {"reliability",
           {{"purchases", to_json(quality.purchase_reliability)}, {"baskets", to_json(quality.basket_reliability)}}},
          {"user_bundles",
           {{"bundles", b.n_bundles},
            {"feasible", b.feasible},
            {"mean_value", b.mean_value},
            {"mean_size", b.mean_size},
            {"mean_price", b.mean_price},
            {"coverage", b.coverage},
            {"mean_overlap", b.mean_overlap}}}};
}

}  // namespace sheaf::app
