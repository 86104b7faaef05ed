#include "engine/bundles/completion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

/// f(column, value) of every entry of row r.
template <class F>
void for_row(const HostCsr& matrix, int32_t r, F&& f) {
  const auto first = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(r)]);
  const auto last = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(r) + 1]);
  for (size_t e = first; e < last; ++e) {
    f(matrix.columns[e], matrix.values.empty() ? 1.0 : static_cast<double>(matrix.values[e]));
  }
}

/// Dot product of two rows with ascending columns.
double dot_rows(const HostCsr& matrix, int32_t i, int32_t j) {
  auto a = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(i)]);
  auto b = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(j)]);
  const auto a_end = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(i) + 1]);
  const auto b_end = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(j) + 1]);
  double sum = 0.0;
  while (a < a_end && b < b_end) {
    if (matrix.columns[a] == matrix.columns[b]) {
      sum +=
          matrix.values.empty() ? 1.0 : static_cast<double>(matrix.values[a]) * static_cast<double>(matrix.values[b]);
      ++a, ++b;
    } else {
      matrix.columns[a] < matrix.columns[b] ? ++a : ++b;
    }
  }
  return sum;
}

}  // namespace

CompletionScorer::CompletionScorer(HostCsr bundles, HostCsr text, const CompletionParams& params)
    : bundles_(std::move(bundles)), text_(std::move(text)), text_weight_(params.text_weight) {
  if (!(params.shrinkage > 0.0) || !std::isfinite(params.shrinkage)) {
    throw UsageError("the shrinkage of a completion is " + std::to_string(params.shrinkage), "give one above 0");
  }
  if (!(params.text_weight >= 0.0) || !std::isfinite(params.text_weight)) {
    throw UsageError("the text weight of a completion is " + std::to_string(params.text_weight), "give 0 or more");
  }
  if (text_.n_columns > 0 && text_.n_rows() != n_items()) {
    throw UsageError(
        "a completion has " + std::to_string(n_items()) + " items, but the words of " + std::to_string(text_.n_rows()),
        "give a row of words for every item, or no words");
  }
  bundles_.values.clear();
  bundles_of_ = transpose(bundles_);
  if (text_.n_columns > 0) items_of_ = transpose(text_);
  for (int64_t i = 0; i < n_items(); ++i) {
    const auto n = static_cast<double>(bundles_of_.row(i).size());
    scale_.push_back(1.0 / std::sqrt(n + params.shrinkage));
  }
}

ItemPair CompletionScorer::pair(int32_t i, int32_t j) const {
  ItemPair pair;
  pair.together = static_cast<int64_t>(dot_rows(bundles_of_, i, j));
  if (n_bundles() > 0) {
    pair.expected = static_cast<double>(count(i)) * static_cast<double>(count(j)) / static_cast<double>(n_bundles());
  }
  if (text_.n_columns > 0) pair.text = dot_rows(text_, i, j);
  pair.affinity = (static_cast<double>(pair.together) + text_weight_ * pair.text) * scale_[static_cast<size_t>(i)] *
                  scale_[static_cast<size_t>(j)];
  return pair;
}

std::vector<double> CompletionScorer::scores(std::span<const int32_t> items) const {
  if (items.empty()) throw UsageError("a bundle without items cannot be completed", "name at least one item");
  std::vector<double> sums(static_cast<size_t>(n_items()), 0.0);
  for (const int32_t item : items) {
    if (item < 0 || item >= n_items()) {
      throw UsageError("item " + std::to_string(item) + " is none of the " + std::to_string(n_items()) + " items");
    }
    const double own = scale_[static_cast<size_t>(item)];
    for (const int32_t bundle : bundles_of_.row(item)) {
      for (const int32_t other : bundles_.row(bundle)) sums[static_cast<size_t>(other)] += own;
    }
    if (text_.n_columns == 0 || text_weight_ == 0.0) continue;
    for_row(text_, item, [&](int32_t word, double weight) {
      const double part = own * text_weight_ * weight;
      for_row(items_of_, word, [&](int32_t other, double value) { sums[static_cast<size_t>(other)] += part * value; });
    });
  }
  const auto n = static_cast<double>(items.size());
  for (size_t c = 0; c < sums.size(); ++c) sums[c] *= scale_[c] / n;
  for (const int32_t item : items) sums[static_cast<size_t>(item)] = kNever;
  return sums;
}

int32_t CompletionScorer::nearest_of(std::span<const int32_t> items, int32_t item) const {
  int32_t best = -1;
  double most = kNever;
  for (const int32_t other : items) {
    const double affinity = pair(other, item).affinity;
    if (affinity > most) {
      most = affinity;
      best = other;
    }
  }
  return best;
}

HostCsr CompletionScorer::partners(const Context& context, int64_t k) const {
  check_interrupt("the affinities of items");
  std::vector<std::vector<RankedItem>> lists(static_cast<size_t>(n_items()));
  parallel_for(context, n_items(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto item = static_cast<int32_t>(i);
      auto& list = lists[static_cast<size_t>(i)];
      list = best_items(scores(std::span(&item, 1)), {}, k);
      std::erase_if(list, [](const RankedItem& other) { return other.score <= 0.0; });
      std::ranges::sort(list, {}, &RankedItem::item);
    }
  });
  HostCsr result;
  result.n_columns = n_items();
  for (const auto& list : lists) {
    for (const RankedItem& other : list) {
      result.columns.push_back(other.item);
      result.values.push_back(static_cast<float>(other.score));
    }
    result.row_offsets.push_back(result.nnz());
  }
  return result;
}

std::vector<RankedItem> best_items(std::vector<double> scores, std::span<const double> prior, int64_t k) {
  if (!prior.empty() && prior.size() != scores.size()) {
    throw UsageError(std::to_string(prior.size()) + " chances of " + std::to_string(scores.size()) + " items",
                     "give one for every item");
  }
  std::vector<RankedItem> ranked;
  for (size_t c = 0; c < scores.size(); ++c) {
    if (scores[c] == kNever) continue;
    ranked.push_back({static_cast<int32_t>(c), prior.empty() ? scores[c] : scores[c] + prior[c]});
  }
  const auto n = std::min<std::ptrdiff_t>(std::ssize(ranked), std::max<int64_t>(k, 0));
  const auto before = [](const RankedItem& a, const RankedItem& b) {
    return a.score != b.score ? a.score > b.score : a.item < b.item;
  };
  std::partial_sort(ranked.begin(), ranked.begin() + n, ranked.end(), before);
  ranked.resize(static_cast<size_t>(n));
  return ranked;
}

std::vector<RankedItem> complete_bundle(const CompletionScorer& scorer, std::vector<int32_t> items, int64_t size,
                                        std::span<const double> prior) {
  std::vector<RankedItem> added;
  while (std::ssize(items) < size) {
    const std::vector<RankedItem> best = best_items(scorer.scores(items), prior, 1);
    if (best.empty()) break;
    added.push_back(best.front());
    items.push_back(best.front().item);
  }
  return added;
}

}  // namespace sheaf
