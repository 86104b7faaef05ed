#include "kernels/association/count_topk_row.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf::association::cpu {

void count_topk(Context& context, const CountTopkArgs& args) {
  constexpr int64_t kGrain = 64;
  parallel_for(context, args.item_counts.size, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) count_topk_row(args, i);
  });
}

}  // namespace sheaf::association::cpu
