#pragma once
/// Ranking metrics of top-k lists against held-out items (Jarvelin and Kekalainen, 2002, for NDCG).
/// For a user with truth set T (not empty), hits h_r in {0, 1} at ranks r = 1..k, n = |T|:
///
///   recall = sum h / n;  precision = sum h / k;  hit rate = [sum h > 0];  MRR = 1 / rank of the first hit, or 0
///   NDCG = sum h_r / log2(r + 1)  /  sum over r = 1..min(n, k) of 1 / log2(r + 1)
///   MAP = sum over r of h_r * (hits up to r) / r  /  min(n, k)
///
/// Users without held-out items have NaN in every column, so that a mean over all users cannot include them by mistake.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::metrics {

enum RankingColumn : int { kRecall, kPrecision, kHitRate, kMrr, kNdcg, kMap, kRankingColumns };

struct RankingArgs {
  MatrixView<const int32_t> top_items;  // [n_users, list_length] i32, -1 for none; k <= list_length
  CsrView truth;                        // [n_users, n_items] pattern, columns ascending
  int64_t k = 10;
  MatrixView<float> per_user;  // [n_users, kRankingColumns] f32
};

void ranking(Context& context, const RankingArgs& args);
OpCost ranking_cost(const RankingArgs& args);

SHEAF_BACKENDS(ranking, RankingArgs);

}  // namespace sheaf::metrics
