#pragma once
/// Ranks the full catalog for every user and compares with held-out purchases, on the device; the host gets the means.

#include <cstdint>
#include <vector>

#include "engine/data/csr.hpp"
#include "engine/scoring/scorer.hpp"

namespace sheaf {

/// Means over users with at least one held-out item; NaN when there is none.
struct RankingSummary {
  int64_t k = 0;
  int64_t n_users = 0;  // with held-out items
  double recall = 0, precision = 0, hit_rate = 0, mrr = 0, ndcg = 0, map = 0;
  double coverage = 0;  // share of the catalog that appears in any list
  double gini = 0;      // of how often items are recommended: 0: all alike, 1: a single item
};

/// The `length` best items of every user by the scorer; `exclude` [n_users, n_items] may be null.
TopLists top_items(Context& context, const Scorer& scorer, const DeviceCsr* exclude, int64_t length);

class RankingEvaluator {
 public:
  /// Held-out items that the user already has in `seen` are not counted as truth and never recommended; pass null to
  /// rank everything.
  RankingEvaluator(Context& context, const HostCsr& held_out, const HostCsr* seen);

  RankingSummary of_scorer(Context& context, const Scorer& scorer, int64_t k) const;
  RankingSummary of_lists(Context& context, const TopLists& lists, int64_t k) const;
  const DeviceCsr* exclude() const { return masked_ ? &seen_ : nullptr; }

 private:
  bool masked_;
  DeviceCsr truth_;
  DeviceCsr seen_;
  int64_t n_items_;
};

}  // namespace sheaf
