#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/optim/clip.hpp"

namespace sheaf::optim::cuda {
namespace {

constexpr int kClipBlock = 256;

// A block a part.
__global__ void clip_squares_kernel(VectorView<float> gradient, double* partials) {
  __shared__ double warp_sums[kClipBlock / kWarp];
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kClipPart;
  const int64_t end = begin + kClipPart < gradient.size ? begin + kClipPart : gradient.size;
  double sum = 0.0;
  for (int64_t i = begin + threadIdx.x; i < end; i += kClipBlock) {
    sum += static_cast<double>(gradient[i]) * static_cast<double>(gradient[i]);
  }
  const double total = block_sum<kClipBlock>(sum, warp_sums);
  if (threadIdx.x == 0) partials[blockIdx.x] = total;
}

// One block. A factor of 1 leaves gradients as they are.
__global__ void clip_factor_kernel(const double* partials, int64_t n_partials, float max_norm, float* factor) {
  __shared__ double warp_sums[kClipBlock / kWarp];
  double sum = 0.0;
  for (int64_t part = threadIdx.x; part < n_partials; part += kClipBlock) sum += partials[part];
  const double norm = sqrt(block_sum<kClipBlock>(sum, warp_sums));
  const auto most = static_cast<double>(max_norm);
  if (threadIdx.x == 0) factor[0] = norm <= most ? 1.0f : static_cast<float>(most / norm);
}

__global__ void clip_scale_kernel(VectorView<float> gradient, const float* factor) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kClipBlock + threadIdx.x;
  if (factor[0] != 1.0f && i < gradient.size) gradient[i] *= factor[0];
}

}  // namespace

void clip(Context& context, const ClipArgs& args) {
  ScratchScope scratch(context);
  double* partials = scratch.take<double>(clip_parts(args));
  float* factor = scratch.take<float>(1);
  int64_t n_partials = 0;
  for (const VectorView<float>& gradient : args.gradients) {
    if (gradient.size == 0) continue;
    launch(clip_squares_kernel, static_cast<unsigned>(clip_parts(gradient)), kClipBlock, 0, context, gradient,
           partials + n_partials);
    n_partials += clip_parts(gradient);
  }
  launch(clip_factor_kernel, 1, kClipBlock, 0, context, partials, n_partials, args.max_norm, factor);
  for (const VectorView<float>& gradient : args.gradients) {
    if (gradient.size == 0) continue;
    launch(clip_scale_kernel, blocks_for(gradient.size, kClipBlock), kClipBlock, 0, context, gradient, factor);
  }
}

}  // namespace sheaf::optim::cuda
