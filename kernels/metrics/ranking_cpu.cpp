#include "kernels/core/parallel.hpp"
#include "kernels/metrics/ranking_row.hpp"

namespace sheaf::metrics::cpu {

void ranking(Context& context, const RankingArgs& args) {
  constexpr int64_t kGrain = 256;
  parallel_for(context, args.top_items.rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) rank_user(args, u);
  });
}

}  // namespace sheaf::metrics::cpu
