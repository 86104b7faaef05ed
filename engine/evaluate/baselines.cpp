#include "engine/evaluate/baselines.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/associate/association.hpp"
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

/// The similarity with each item as its own neighbour.
HostCsr with_diagonal(const HostCsr& matrix) {
  HostCsr result;
  result.n_columns = matrix.n_columns;
  for (int64_t r = 0; r < matrix.n_rows(); ++r) {
    const auto columns = matrix.row(r);
    const auto first = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(r)]);
    bool placed = false;
    const auto place = [&] {
      result.columns.push_back(static_cast<int32_t>(r));
      result.values.push_back(1.0f);
      placed = true;
    };
    for (size_t e = 0; e < columns.size(); ++e) {
      if (!placed && columns[e] > r) place();
      result.columns.push_back(columns[e]);
      result.values.push_back(matrix.values[first + e]);
    }
    if (!placed) place();
    result.row_offsets.push_back(result.nnz());
  }
  return result;
}

/// The strongest neighbours of every item by the damped cosine of log(1 + times bought), without the item itself.
HostCsr item_similarity(Context& context, const HostCsr& train_counts, int64_t neighbours, double shrink) {
  HostCsr scaled = train_counts;
  std::vector<double> squares(static_cast<size_t>(scaled.n_columns), 0.0);
  for (size_t e = 0; e < scaled.columns.size(); ++e) {
    const float x = scaled.values[e] = std::log1p(scaled.values[e]);
    squares[static_cast<size_t>(scaled.columns[e])] += static_cast<double>(x) * static_cast<double>(x);
  }
  std::vector<float> lengths;
  for (const double sum : squares) lengths.push_back(sum > 0 ? static_cast<float>(std::sqrt(sum)) : 1.0f);
  const Buffer<float> item_length(context, lengths);
  const int64_t n_items = scaled.n_columns;
  Partners partners;
  partners.n_items = n_items;
  partners.k = std::clamp<int64_t>(neighbours, 1, std::clamp<int64_t>(n_items, 1, 256));
  const DeviceCsr users_of(context, transpose(scaled)), items_of(context, scaled),
      itself(context, identity_csr(n_items));
  Buffer<int32_t> items(context, n_items * partners.k);
  Buffer<float> scores(context, n_items * partners.k);
  sparse::spgemm_topk(context, {.history = users_of.view(),
                                .similarity = items_of.view(),
                                .exclude = itself.view(),
                                .row_length = item_length.view(),
                                .item_length = item_length.view(),
                                .shrink = static_cast<float>(shrink),
                                .top_items = items.matrix(n_items, partners.k),
                                .top_scores = scores.matrix(n_items, partners.k)});
  partners.items = items.to_host();
  partners.scores = scores.to_host();
  return partners.to_csr();
}

}  // namespace

TopLists popularity_lists(Context& context, const HostCsr& train_counts, const DeviceCsr* exclude, int64_t length) {
  return top_items(context, bias_scorer(context, train_counts.n_rows(), popularity(train_counts)), exclude, length);
}

TopLists item_knn_lists(Context& context, const HostCsr& train, const HostCsr& train_counts, int64_t neighbours,
                        double shrink, const DeviceCsr* exclude, int64_t length) {
  HostCsr similarity = item_similarity(context, train_counts, neighbours, shrink);
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
