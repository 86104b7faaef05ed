#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/core/probe.hpp"

namespace sheaf::cuda {
namespace {

constexpr int kBlock = 256;

// As many lanes a row as it has 16-byte pieces, at most a warp: every request of a warp is full.
__global__ void gather_kernel(ProbeGatherArgs args, int lanes) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x) / lanes;
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  float sum = 0.0f;
  if (i < args.ids.size) {
    const auto* row = reinterpret_cast<const float4*>(args.table.row(args.ids[i]));
    for (int64_t c = lane; c < args.table.cols / 4; c += lanes) {
      const float4 v = row[c];
      sum += (v.x + v.y) + (v.z + v.w);
    }
  }
  for (int offset = lanes / 2; offset > 0; offset /= 2) sum += __shfl_down_sync(kFullMask, sum, offset, lanes);
  if (lane == 0 && i < args.ids.size) args.sums[i] = sum;
}

__global__ void fma_kernel(ProbeFmaArgs args) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= args.out.size) return;
  float chains[kProbeChains];
  for (int64_t c = 0; c < kProbeChains; ++c) chains[c] = args.out[i] + static_cast<float>(c);
  for (int64_t step = 0; step < args.steps; ++step) {
#pragma unroll
    for (int64_t c = 0; c < kProbeChains; ++c) chains[c] = fmaf(chains[c], 0.5f, 0.5f);
  }
  float sum = 0.0f;
  for (int64_t c = 0; c < kProbeChains; ++c) sum += chains[c];
  args.out[i] = sum;
}

}  // namespace

void probe_copy(Context& context, const ProbeCopyArgs& args) {
  context.copy(args.out.data, args.in.data, static_cast<size_t>(args.in.size) * sizeof(float));
}

void probe_gather(Context& context, const ProbeGatherArgs& args) {
  int lanes = 1;
  while (lanes < kWarp && lanes < args.table.cols / 4) lanes *= 2;
  launch(gather_kernel, blocks_for(args.ids.size * lanes, kBlock), kBlock, 0, context, args, lanes);
}

void probe_fma(Context& context, const ProbeFmaArgs& args) {
  launch(fma_kernel, blocks_for(args.out.size, kBlock), kBlock, 0, context, args);
}

}  // namespace sheaf::cuda
