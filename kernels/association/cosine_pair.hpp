#pragma once
/// What both backends of cosine_topk compute for one pair.

#include <bit>

#include "kernels/association/cosine_topk.hpp"
#include "kernels/core/hd.hpp"

namespace sheaf::association {

/// Whether row `query` of a pattern with ascending columns holds `id`.
SHEAF_HD inline bool has_column(const CsrView& pattern, int64_t row, int64_t id) {
  int64_t low = pattern.row_offsets[row];
  const int64_t end = pattern.row_offsets[row + 1];
  for (int64_t high = end; low < high;) {
    const int64_t middle = low + (high - low) / 2;
    if (pattern.columns[middle] < id) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < end && pattern.columns[low] == id;
}

SHEAF_HD inline bool categories_meet(const CosineTopkArgs& args, int32_t of_query, int32_t of_item) {
  if (of_query < 0 || of_item < 0) return false;
  if (args.rule == CategoryRule::same) return of_query == of_item;
  if (args.rule == CategoryRule::different) return of_query != of_item;
  return of_query < args.category_pairs.rows && of_item < args.category_pairs.cols &&
         args.category_pairs(of_query, of_item) != 0;
}

/// Whether the query in row `query` and the item in row `item` may be listed, apart from the score.
SHEAF_HD inline bool pair_allowed(const CosineTopkArgs& args, int64_t query, int64_t item) {
  if (args.first_query >= 0 && args.first_query + query == args.first_item + item) return false;
  if (args.rule != CategoryRule::any &&
      !categories_meet(args, args.query_categories[query], args.item_categories[item])) {
    return false;
  }
  return args.exclude.n_rows == 0 || !has_column(args.exclude, query, args.first_item + item);
}

/// The score of a product of unit vectors. Rounding may make the product larger than 1.
SHEAF_HD inline float cosine_score(float product, float scale) { return (product < 1.0f ? product : 1.0f) * scale; }

/// No product below this has a score of at least `score`. The margin is two roundings of half a unit in the last place.
SHEAF_HD inline float product_bound(float score, float scale) {
  constexpr float kSmallest = 1.4012984643e-45f;
  const float bound = score / scale * (1.0f - 0x1.0p-21f);
  return bound > kSmallest ? bound : kSmallest;
}

/// Score and id in one number: the pair that ranks first has the larger number, and 0 means no pair. Scores are
/// positive, so their bits ascend with the score.
SHEAF_HD inline uint64_t to_key(float score, int32_t id) {
  return uint64_t{std::bit_cast<uint32_t>(score)} << 32 | static_cast<uint32_t>(~id);
}
SHEAF_HD inline float score_of(uint64_t key) { return std::bit_cast<float>(static_cast<uint32_t>(key >> 32)); }
SHEAF_HD inline int32_t id_of(uint64_t key) { return static_cast<int32_t>(~static_cast<uint32_t>(key)); }

}  // namespace sheaf::association
