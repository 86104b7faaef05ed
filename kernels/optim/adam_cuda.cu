#include "kernels/core/cuda/launch.cuh"
#include "kernels/optim/adam.hpp"

namespace sheaf::optim::cuda {
namespace {

constexpr int kBlock = 256;

__global__ void adam_kernel(AdamArgs args, AdamStep step) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i < args.grad.size) step.apply(args.grad[i], args.parameters[i], args.moment1[i], args.moment2[i]);
}

}  // namespace

void adam(Context& context, const AdamArgs& args) {
  launch(adam_kernel, blocks_for(args.grad.size, kBlock), kBlock, 0, context, args, AdamStep(args.adam));
}

}  // namespace sheaf::optim::cuda
