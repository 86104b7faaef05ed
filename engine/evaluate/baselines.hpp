#pragma once
/// The baselines that every model is compared with.

#include "engine/evaluate/ranking_eval.hpp"

namespace sheaf {

/// The same list for everyone: items by their number of training purchases. `exclude` (may be null) as in top_items.
TopLists popularity_lists(Context& context, const HostCsr& train_counts, const DeviceCsr* exclude, int64_t length);

/// Item-kNN (Deshpande and Karypis, 2004), in the strongest form that we know. Similarity is the cosine of
/// log(1 + times bought) over the users, damped for rare items by `shrink` added to the product of the lengths. Each
/// item keeps its strongest `neighbours`. An item is its own neighbour with similarity 1 unless seen items are
/// excluded. An item's score is the sum over its neighbours in the user's history, with the weights of `train`.
TopLists item_knn_lists(Context& context, const HostCsr& train, const HostCsr& train_counts, int64_t neighbours,
                        double shrink, const DeviceCsr* exclude, int64_t length);

/// What the user bought most (by the weights of `train`), then the popular items.
TopLists personal_count_lists(Context& context, const HostCsr& train, const HostCsr& train_counts, int64_t length);

}  // namespace sheaf
