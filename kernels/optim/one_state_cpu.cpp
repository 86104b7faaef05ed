#include "kernels/core/parallel.hpp"
#include "kernels/optim/one_state.hpp"

namespace sheaf::optim::cpu {
namespace {

template <Optimizer kOptimizer>
void step_part(const OneStateArgs& args, int64_t begin, int64_t end) {
  const OptimizerParams own = args.params;  // in registers: what the loop stores cannot change it
  const float* __restrict grad = args.grad.data;
  float* __restrict p = args.parameters.data;
  float* __restrict state = args.state.data;
  if constexpr (states_of(kOptimizer) == 0) {
    float none = 0.0f;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) one_state_step<kOptimizer>(own, grad[i], p[i], none);
  } else {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) one_state_step<kOptimizer>(own, grad[i], p[i], state[i]);
  }
}

}  // namespace

void one_state(Context& context, const OneStateArgs& args) {
  constexpr int64_t kGrain = 1 << 14;
  parallel_for(context, args.grad.size, kGrain, [&args](int64_t begin, int64_t end) {
    switch (args.optimizer) {
      case Optimizer::momentum: return step_part<Optimizer::momentum>(args, begin, end);
      case Optimizer::adagrad: return step_part<Optimizer::adagrad>(args, begin, end);
      case Optimizer::rmsprop: return step_part<Optimizer::rmsprop>(args, begin, end);
      default: return step_part<Optimizer::sgd>(args, begin, end);
    }
  });
}

}  // namespace sheaf::optim::cpu
