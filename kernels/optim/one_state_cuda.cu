#include "kernels/core/cuda/launch.cuh"
#include "kernels/optim/one_state.hpp"

namespace sheaf::optim::cuda {
namespace {

constexpr int kStepBlock = 256;

template <Optimizer kOptimizer>
__global__ void one_state_kernel(OneStateArgs args) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kStepBlock + threadIdx.x;
  if (i >= args.grad.size) return;
  float state = states_of(kOptimizer) > 0 ? args.state[i] : 0.0f;
  one_state_step<kOptimizer>(args.params, args.grad[i], args.parameters[i], state);
  if constexpr (states_of(kOptimizer) > 0) args.state[i] = state;
}

template <Optimizer kOptimizer>
void step_all(Context& context, const OneStateArgs& args) {
  launch(one_state_kernel<kOptimizer>, blocks_for(args.grad.size, kStepBlock), kStepBlock, 0, context, args);
}

}  // namespace

void one_state(Context& context, const OneStateArgs& args) {
  switch (args.optimizer) {
    case Optimizer::momentum: return step_all<Optimizer::momentum>(context, args);
    case Optimizer::adagrad: return step_all<Optimizer::adagrad>(context, args);
    case Optimizer::rmsprop: return step_all<Optimizer::rmsprop>(context, args);
    default: return step_all<Optimizer::sgd>(context, args);
  }
}

}  // namespace sheaf::optim::cuda
