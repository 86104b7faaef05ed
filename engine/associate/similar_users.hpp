#pragma once
/// Which users buy alike, by what they buy often and lately: the neighbours of next-basket recommenders (Faggioli,
/// Polato, Aiolli, "Recency aware collaborative filtering for next basket recommendation", UMAP 2020; Hu et al.,
/// "Modeling personalized item frequency information for next-basket recommendation", SIGIR 2020).

#include <cstdint>

#include "engine/data/basket_history.hpp"
#include "kernels/core/context.hpp"

namespace sheaf {

/// r(u, i) = s / (n + 1): s is the sum over u's baskets with i up to `day` of 2^(-age / half_life_days), n the same
/// over all baskets of u. [n_users, n_items], rows of the items that u has bought.
HostCsr basket_rates(const BasketHistory& history, double day, double half_life_days);

/// For each row of `of` the k rows of `among` that are most alike, at most 256: [n of, n among], the values are the
/// likenesses, all above 0. Both are rates over the same items. Likeness is the cosine of sqrt(r(u, i)) log(n / (1 +
/// rows of `among` with i)), n being the rows of `among`. `themselves`: row u of both is the same user, who is no
/// neighbour of its own. If the search would take more than 4e9 products, the items that most users have are left out
/// of it.
HostCsr similar_users(Context& context, const HostCsr& of, const HostCsr& among, int64_t k, bool themselves);

/// Each row divided by its sum; rows that sum to 0 stay.
void scale_rows_to_one(HostCsr& matrix);

}  // namespace sheaf
