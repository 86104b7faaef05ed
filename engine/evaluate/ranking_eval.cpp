#include "engine/evaluate/ranking_eval.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/metrics/ranking.hpp"

namespace sheaf {
namespace {

HostCsr without(const HostCsr& matrix, const HostCsr* removed) {
  HostCsr result;
  result.n_columns = matrix.n_columns;
  for (int64_t r = 0; r < matrix.n_rows(); ++r) {
    for (const int32_t c : matrix.row(r)) {
      if (!removed || !removed->contains(r, c)) result.columns.push_back(c);
    }
    result.row_offsets.push_back(result.nnz());
  }
  return result;
}

HostCsr pattern_of(const HostCsr& matrix) {
  HostCsr pattern = matrix;
  pattern.values.clear();
  return pattern;
}

// Gini coefficient of the counts: sum over ranks of (2 r - n - 1) c_r / (n * total), counts ascending.
double gini_of(std::vector<int64_t> counts) {
  std::sort(counts.begin(), counts.end());
  double weighted = 0, total = 0;
  const auto n = static_cast<double>(counts.size());
  for (size_t r = 0; r < counts.size(); ++r) {
    const auto c = static_cast<double>(counts[r]);
    weighted += (2.0 * static_cast<double>(r + 1) - n - 1.0) * c;
    total += c;
  }
  return total > 0 ? weighted / (n * total) : 0.0;
}

}  // namespace

TopLists top_items(Context& context, const Scorer& scorer, const DeviceCsr* exclude, int64_t length) {
  return scorer.top_k(context, Queries::everyone(context, scorer.n_users()), length, {.of_query = exclude});
}

RankingEvaluator::RankingEvaluator(Context& context, const HostCsr& held_out, const HostCsr* seen)
    : masked_(seen != nullptr),
      truth_(context, without(held_out, seen)),
      seen_(seen ? DeviceCsr(context, pattern_of(*seen)) : DeviceCsr()),
      n_items_(held_out.n_columns) {}

RankingSummary RankingEvaluator::of_scorer(Context& context, const Scorer& scorer, int64_t k) const {
  return of_lists(context, top_items(context, scorer, exclude(), std::min(k, n_items_)), k);
}

RankingSummary RankingEvaluator::of_lists(Context& context, const TopLists& lists, int64_t k) const {
  Buffer<float> per_user(context, lists.n_users * metrics::kRankingColumns);
  metrics::ranking(context, {.top_items = lists.items.matrix(lists.n_users, lists.length),
                             .truth = truth_.view(),
                             .k = std::min(k, lists.length),
                             .per_user = per_user.matrix(lists.n_users, metrics::kRankingColumns)});
  const std::vector<float> rows = per_user.to_host();
  std::array<double, metrics::kRankingColumns> sums{};
  RankingSummary summary;
  summary.k = k;
  for (int64_t u = 0; u < lists.n_users; ++u) {
    const float* row = rows.data() + u * metrics::kRankingColumns;
    if (std::isnan(row[metrics::kRecall])) continue;
    ++summary.n_users;
    for (size_t c = 0; c < sums.size(); ++c) sums[c] += static_cast<double>(row[c]);
  }
  const auto mean = [&](int column) {
    return summary.n_users ? sums[static_cast<size_t>(column)] / static_cast<double>(summary.n_users)
                           : std::numeric_limits<double>::quiet_NaN();
  };
  summary.recall = mean(metrics::kRecall);
  summary.precision = mean(metrics::kPrecision);
  summary.hit_rate = mean(metrics::kHitRate);
  summary.mrr = mean(metrics::kMrr);
  summary.ndcg = mean(metrics::kNdcg);
  summary.map = mean(metrics::kMap);

  std::vector<int64_t> counts(static_cast<size_t>(n_items_), 0);
  const std::vector<int32_t> items = lists.items.to_host();
  for (int64_t u = 0; u < lists.n_users; ++u) {
    for (int64_t r = 0; r < std::min(k, lists.length); ++r) {
      const int32_t item = items[static_cast<size_t>(u * lists.length + r)];
      if (item >= 0) ++counts[static_cast<size_t>(item)];
    }
  }
  const auto shown = std::count_if(counts.begin(), counts.end(), [](int64_t c) { return c > 0; });
  summary.coverage = n_items_ ? static_cast<double>(shown) / static_cast<double>(n_items_) : 0.0;
  summary.gini = gini_of(std::move(counts));
  return summary;
}

}  // namespace sheaf
