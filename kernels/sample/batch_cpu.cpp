#include "kernels/core/parallel.hpp"
#include "kernels/sample/draws.hpp"

namespace sheaf::sample::cpu {

void batch(Context& context, const BatchArgs& args) {
  constexpr int64_t kGrain = 256;
  parallel_for(context, args.batch_users.size, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) fill_batch_row(args, b);
  });
}

}  // namespace sheaf::sample::cpu
