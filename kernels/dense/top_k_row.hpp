#pragma once
/// What score_topk and row_topk do alike to one row on the CPU.

#include <cstdint>

#include "kernels/core/top_k.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

/// A walk along an exclude row, whose columns ascend.
struct ExcludeWalk {
  const int32_t* next = nullptr;
  const int32_t* end = nullptr;

  ExcludeWalk() = default;
  /// Without rows there is nothing to leave out.
  ExcludeWalk(const CsrView& exclude, int64_t row) {
    if (exclude.n_rows == 0) return;
    next = exclude.columns + exclude.row_offsets[row];
    end = exclude.columns + exclude.row_offsets[row + 1];
  }
  /// Asked for ascending items.
  bool holds(int64_t item) {
    while (next < end && *next < item) ++next;
    return next < end && *next == item;
  }
};

/// Offers the items [first, last) that are not excluded; score_of(i) gives the score.
template <class ScoreOf>
void offer_items(int64_t first, int64_t last, const ScoreOf& score_of, ExcludeWalk& exclude, TopKList& list) {
  for (int64_t i = first; i < last; ++i) {
    const float score = score_of(i);
    const auto id = static_cast<int32_t>(i);
    if (list.accepts(score, id) && !exclude.holds(i)) list.insert(score, id);
  }
}

}  // namespace sheaf::dense
