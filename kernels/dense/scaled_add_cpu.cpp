#include "kernels/core/parallel.hpp"
#include "kernels/dense/scaled_add.hpp"
#include "kernels/dense/scaled_add_element.hpp"

namespace sheaf::dense::cpu {

void scaled_add(Context& context, const ScaledAddArgs& args) {
  constexpr int64_t kGrain = 16;
  parallel_for(context, args.out.rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t c = 0; c < args.out.cols; ++c) args.out(r, c) = scaled_sum(args, r, c);
    }
  });
}

}  // namespace sheaf::dense::cpu
