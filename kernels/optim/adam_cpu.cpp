#include "kernels/core/parallel.hpp"
#include "kernels/optim/adam.hpp"

namespace sheaf::optim::cpu {

void adam(Context& context, const AdamArgs& args) {
  constexpr int64_t kGrain = 1 << 14;
  const AdamStep step(args.adam);
  parallel_for(context, args.grad.size, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      step.apply(args.grad[i], args.parameters[i], args.moment1[i], args.moment2[i]);
  });
}

}  // namespace sheaf::optim::cpu
