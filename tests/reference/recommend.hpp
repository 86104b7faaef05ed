#pragma once
/// Lists and figures of recommenders by definition, in double precision, over dense matrices.

#include <cstdint>
#include <vector>

namespace sheaf::ref {

using Dense = std::vector<std::vector<double>>;

/// The k columns with the largest scores, larger first, then smaller column; those with `may` false never.
std::vector<int32_t> best_columns(const std::vector<double>& scores, const std::vector<bool>& may, int64_t k);

/// Mean absolute difference of all pairs over twice the mean (Gini, 1912); 0 when nothing was counted.
double gini(const std::vector<int64_t>& counts);

/// similarity[i][j] of item-kNN over counts [n_users, n_items]: the damped cosine of log(1 + count). Of each item i,
/// the `neighbours` largest positive ones stay; the others and the diagonal are 0.
Dense item_similarity(const Dense& counts, int64_t neighbours, double shrink);

/// scores [n_users, n_items] = history * transpose(similarity).
Dense knn_scores(const Dense& history, const Dense& similarity);

}  // namespace sheaf::ref
