#pragma once
/// Which item completes a started bundle: learned from given bundles (or baskets), and from names and categories.
///
///   A(i, j)  = (n_ij + w t_ij) / sqrt((n_i + k)(n_j + k))          affinity of two items, >= 0
///   s(c | P) = 1 / |P| * sum over p in P of A(p, c)                score of item c for the started bundle P
///
/// n_ij: given bundles with both items; n_i: with item i; t_ij: cosine of their words (text_vectors.hpp), 0 .. 1.
/// Without text it is the cosine of counts (Ochiai, 1957) with k added to each count. w says how many bundles two items
/// with equal names and categories are worth. k > 0: a larger k trusts items of few bundles less. Where the
/// bundles have counts, the counts decide: n_i grows with every bundle that holds i without j, and the text loses its
/// weight. An item of no bundle is judged by its words alone.
///
/// Exact over the full catalog, in double precision on the host, one query after the other in a fixed order of sums:
/// the same bits on any number of threads.

#include <cstdint>
#include <span>
#include <vector>

#include "engine/data/csr.hpp"
#include "kernels/core/context.hpp"

namespace sheaf {

struct CompletionParams {
  double shrinkage = 0.25;   // k, > 0
  double text_weight = 0.3;  // w, >= 0
};

/// What is known of two items.
struct ItemPair {
  int64_t together = 0;   // bundles with both
  double expected = 0.0;  // bundles with both if the two were independent: n_i n_j / n_bundles
  double text = 0.0;      // cosine of their words
  double affinity = 0.0;  // A(i, j)

  /// together / expected; 0 where nothing is expected.
  double lift() const { return expected > 0.0 ? static_cast<double>(together) / expected : 0.0; }
};

struct RankedItem {
  int32_t item = -1;
  double score = 0.0;
};

class CompletionScorer {
 public:
  /// bundles is a pattern [n_bundles, n_items]. text is [n_items, n_words] with rows of length 1 or empty; no columns
  /// mean no text.
  /// UsageError for parameters out of range or a text of other items.
  CompletionScorer(HostCsr bundles, HostCsr text, const CompletionParams& params);

  int64_t n_items() const { return bundles_.n_columns; }
  int64_t n_bundles() const { return bundles_.n_rows(); }
  /// Bundles with the item.
  int64_t count(int32_t item) const { return std::ssize(bundles_of_.row(item)); }

  ItemPair pair(int32_t i, int32_t j) const;

  /// s(c | items) of every item, [n_items]; minus infinity for `items` themselves, 0 for items unrelated to them.
  /// UsageError if `items` is empty or names an item that is not there.
  std::vector<double> scores(std::span<const int32_t> items) const;

  /// The one of `items` with the highest affinity to `item` (the first of equals).
  int32_t nearest_of(std::span<const int32_t> items, int32_t item) const;

  /// The k items of highest affinity of each item, affinity above 0 only: [n_items, n_items], ascending columns.
  HostCsr partners(const Context& context, int64_t k) const;

 private:
  HostCsr bundles_;     // [n_bundles, n_items]
  HostCsr bundles_of_;  // [n_items, n_bundles]
  HostCsr text_;        // [n_items, n_words], or no columns
  HostCsr items_of_;    // [n_words, n_items]
  double text_weight_;
  std::vector<double> scale_;  // [n_items] 1 / sqrt(n_i + k)
};

/// The k highest scores, ties by the lower item. `prior` [n_items] is added to the scores, or is empty. Items of minus
/// infinity are left out.
std::vector<RankedItem> best_items(std::vector<double> scores, std::span<const double> prior, int64_t k);

/// `items` filled up to `size`: the best item, then the best for the bundle with it, and so on (greedy). The result
/// holds the added items in order, each with its score when it was added. It holds fewer if the catalog has no more.
std::vector<RankedItem> complete_bundle(const CompletionScorer& scorer, std::vector<int32_t> items, int64_t size,
                                        std::span<const double> prior);

}  // namespace sheaf
