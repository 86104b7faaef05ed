#pragma once
/// Which items belong together: by learned vectors (cosine) or by counted baskets (support, confidence, lift, ...).

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/data/csr.hpp"
#include "kernels/association/cosine_topk.hpp"
#include "kernels/association/measure.hpp"

namespace sheaf {

inline constexpr int64_t kBlockPairs = int64_t{1} << 23;  // pairs counted at once: 128 MiB

/// Co-occurrence of items in baskets, on the host.
struct PairCounts {
  int64_t n_baskets = 0;
  std::vector<int32_t> item_counts;     // [n_items] baskets with the item
  std::vector<int64_t> row_offsets{0};  // [n_items + 1]
  std::vector<int32_t> companions;      // ascending in a row
  std::vector<int32_t> counts;          // baskets with both

  /// Baskets with both items; 0 also where fewer than the minimum were counted.
  int64_t count(int32_t i, int32_t j) const;
  /// Where the pair stands in companions and counts; their size where it does not.
  size_t place(int32_t i, int32_t j) const;
  double measure(association::Measure measure, int32_t i, int32_t j) const {
    return association::measure_pair(measure, count(i, j), item_counts[static_cast<size_t>(i)],
                                     item_counts[static_cast<size_t>(j)], n_baskets);
  }
};

/// All pairs of at least `min_count` baskets; baskets is [n_baskets, n_items], a pattern. The pairs are numbered before
/// memory for them is taken: DeviceError with `hint` where they do not fit into what is free.
PairCounts count_pairs(Context& context, const HostCsr& baskets, int64_t min_count, const std::string& hint = {},
                       int64_t block_pairs = kBlockPairs);

/// The k strongest partners of every item; -1 where there are fewer.
struct Partners {
  int64_t n_items = 0, k = 0;
  std::vector<int32_t> items;  // [n_items, k]
  std::vector<float> scores;   // [n_items, k]

  /// As a sparse matrix with ascending columns.
  HostCsr to_csr() const;
};

/// Which pairs may be listed: those that the rule of categories allows, except the excluded ones. A negative category
/// is unknown: such an item is paired only under the rule `any`.
struct PairRule {
  using Kind = association::CategoryRule;
  Kind kind = Kind::any;
  std::vector<int32_t> category;  // [n_items]
  int64_t n_categories = 0;
  std::vector<uint8_t> allowed;  // [n_categories, n_categories] for `table`: item's, partner's
  HostCsr excluded = {};         // [n_items, n_items] pattern of item, partner; n_rows() 0: none

  bool allows_all() const { return kind == Kind::any && excluded.nnz() == 0; }
  bool allows(int32_t i, int32_t j) const;
};

/// A(i, j) = scale * max(0, cos(e_i, e_j)) of the pairs that the rule allows; vectors is [n_items, dim]. k is reduced
/// to the number of other items.
Partners cosine_partners(Context& context, MatrixView<const float> vectors, int64_t k, float scale, float min_score,
                         const PairRule& rule = {});
/// The same lists, bit by bit, of vectors on the host that need not all be on the device at once: pieces of items are
/// compared with pieces of rows, which together take about `device_bytes` of the device (at least 64 rows and items).
Partners cosine_partners_in_pieces(Context& context, std::span<const float> vectors, int64_t dim, int64_t k,
                                   float scale, float min_score, int64_t device_bytes, const PairRule& rule = {});
Partners counted_partners(Context& context, const PairCounts& counts, association::Measure measure, int64_t k,
                          float min_score);

/// Partners, and the counts of the listed pairs (both ways) alone.
struct CountedPartners {
  Partners partners;
  PairCounts counts;
};
/// The same lists, bit by bit, as from all pairs that the rule allows, which are never in memory at once: they are
/// counted, judged and forgotten, a block of items after another of at most `block_pairs` pairs (or one item).
CountedPartners counted_partners(Context& context, const HostCsr& baskets, int64_t min_count,
                                 association::Measure measure, int64_t k, float min_score, const PairRule& rule = {},
                                 int64_t block_pairs = kBlockPairs);
/// The counts of the pairs of `lists` [n_items, n_items], both ways; of other pairs none are kept.
PairCounts count_listed(Context& context, const HostCsr& baskets, const HostCsr& lists,
                        int64_t block_pairs = kBlockPairs);

/// Throws DataError that names the first row with a value that is not finite by `name_of(row)`.
void check_finite_rows(Context& context, MatrixView<const float> vectors,
                       const std::function<std::string(int64_t)>& name_of);

/// The union of the lists read in both directions, on request: (i, j) is in the result if i lists j or j lists i, and
/// both directions get the larger of the listed scores. Rows may be longer than the lists were. The result equals its
/// transpose.
HostCsr symmetrised(const HostCsr& lists);

/// The counts of the pairs (row, companion) that the rule allows; the counts of the single items stay.
PairCounts allowed_pairs(const PairCounts& counts, const PairRule& rule);

/// "support", "confidence", "lift", "leverage", "conviction", "jaccard", "count-cosine".
const char* to_string(association::Measure measure);
/// UsageError for any other text.
association::Measure parse_measure(const std::string& text);

}  // namespace sheaf
