#include "kernels/core/parallel.hpp"
#include "kernels/optim/adam.hpp"

namespace sheaf::optim::cpu {

void adam(Context& context, const AdamArgs& args) {
  constexpr int64_t kGrain = 1 << 14;
  parallel_for(context, args.grad.size, kGrain, [&args, step = AdamStep(args.adam)](int64_t begin, int64_t end) {
    const AdamStep own = step;  // in registers: what the loop stores cannot change it
    const float* __restrict grad = args.grad.data;
    float* __restrict p = args.parameters.data;
    float* __restrict m = args.moment1.data;
    float* __restrict v = args.moment2.data;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) own.apply(grad[i], p[i], m[i], v[i]);
  });
}

}  // namespace sheaf::optim::cpu
