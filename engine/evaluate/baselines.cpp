#include "engine/evaluate/baselines.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/associate/item_neighbours.hpp"
#include "engine/scoring/linear_scorer.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/sparse/spgemm_topk.hpp"

namespace sheaf {
namespace {

std::vector<float> popularity(const HostCsr& train_counts) {
  std::vector<float> sums(static_cast<size_t>(train_counts.n_columns), 0.0f);
  for (size_t e = 0; e < train_counts.columns.size(); ++e) {
    sums[static_cast<size_t>(train_counts.columns[e])] += train_counts.values.empty() ? 1.0f : train_counts.values[e];
  }
  return sums;
}

/// A scorer that knows item biases alone.
LinearScorer bias_scorer(Context& context, int64_t n_users, const std::vector<float>& item_bias) {
  LinearParts parts{.n_users = n_users, .n_items = std::ssize(item_bias), .dim = 1};
  parts.users = Buffer<float>::zeros(context, n_users);
  parts.items = Buffer<float>::zeros(context, parts.n_items);
  parts.item_bias = Buffer<float>(context, item_bias);
  return LinearScorer(context, std::move(parts));
}

}  // namespace

TopLists popularity_lists(Context& context, const HostCsr& train_counts, const DeviceCsr* exclude, int64_t length) {
  return top_items(context, bias_scorer(context, train_counts.n_rows(), popularity(train_counts)), exclude, length);
}

TopLists item_knn_lists(Context& context, const HostCsr& train, const HostCsr& train_counts, int64_t neighbours,
                        double shrink, const DeviceCsr* exclude, int64_t length) {
  HostCsr similarity = item_neighbours(context, train_counts, neighbours, shrink);
  if (!exclude) similarity = with_diagonal(similarity);
  const DeviceCsr history(context, train), device_similarity(context, transpose(similarity));
  TopLists lists{train.n_rows(), length, Buffer<int32_t>(context, train.n_rows() * length),
                 Buffer<float>(context, train.n_rows() * length)};
  sparse::spgemm_topk(context, {.history = history.view(),
                                .similarity = device_similarity.view(),
                                .exclude = exclude ? exclude->view() : CsrView{},
                                .top_items = lists.items.matrix(train.n_rows(), length),
                                .top_scores = lists.scores.matrix(train.n_rows(), length)});
  return lists;
}

TopLists personal_count_lists(Context& context, const HostCsr& train, const HostCsr& train_counts, int64_t length) {
  const std::vector<float> popular = popularity(train_counts);
  std::vector<int32_t> by_popularity(popular.size());
  std::iota(by_popularity.begin(), by_popularity.end(), 0);
  std::ranges::stable_sort(by_popularity, std::ranges::greater{},
                           [&](int32_t i) { return popular[static_cast<size_t>(i)]; });
  std::vector<int32_t> items;
  std::vector<float> scores;
  for (int64_t u = 0; u < train.n_rows(); ++u) {
    check_interrupt("the evaluation");
    const auto own = train.row(u);
    const auto first = static_cast<size_t>(train.row_offsets[static_cast<size_t>(u)]);
    std::vector<size_t> order(own.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const auto weight = [&](size_t e) { return train.values.empty() ? 1.0f : train.values[first + e]; };
    std::ranges::stable_sort(order, std::ranges::greater{}, weight);
    int64_t filled = 0;
    for (size_t r = 0; r < order.size() && filled < length; ++r, ++filled) {
      items.push_back(own[order[r]]);
      scores.push_back(weight(order[r]));
    }
    for (size_t r = 0; r < by_popularity.size() && filled < length; ++r) {
      if (train.contains(u, by_popularity[r])) continue;
      items.push_back(by_popularity[r]);
      scores.push_back(0.0f);
      ++filled;
    }
    for (; filled < length; ++filled) {
      items.push_back(-1);
      scores.push_back(0.0f);
    }
  }
  return {train.n_rows(), length, Buffer<int32_t>(context, items), Buffer<float>(context, scores)};
}

}  // namespace sheaf
