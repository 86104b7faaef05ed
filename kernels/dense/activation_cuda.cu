#include <cstdint>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/math.hpp"
#include "kernels/dense/activation.hpp"
#include "kernels/dense/activation_element.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kActivationBlock = 256;
constexpr int kFour = 4;  // floats in one access

struct DeviceMath {
  static __device__ float exponential(float x) { return expf(x); }
  static __device__ float sigmoid(float x) { return ::sheaf::sigmoid(x); }
  static __device__ float tanh(float x) { return tanhf(x); }
  static __device__ float select(bool condition, float a, float b) { return condition ? a : b; }
};

bool aligned(const void* data) { return reinterpret_cast<std::uintptr_t>(data) % sizeof(float4) == 0; }

// Elements in groups of four, and the rest one by one.
struct Work {
  int64_t fours, rest;
};

Work work(int64_t n, bool in_fours) {
  const int64_t fours = in_fours ? n / kFour : 0;
  return {fours, n - fours * kFour};
}

template <Activation kKind>
__global__ void activation_kernel(const float* x, float* out, Work work) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kActivationBlock + threadIdx.x;
  const auto f = [](float value) { return activated<kKind, DeviceMath>(value); };
  if (at < work.fours) {
    const float4 v = reinterpret_cast<const float4*>(x)[at];
    reinterpret_cast<float4*>(out)[at] = make_float4(f(v.x), f(v.y), f(v.z), f(v.w));
  } else if (at < work.fours + work.rest) {
    const int64_t i = at + work.fours * (kFour - 1);
    out[i] = f(x[i]);
  }
}

// `kept` is x for gelu, else out.
template <Activation kKind>
__global__ void activation_backward_kernel(const float* kept, const float* d_out, float* d_x, Work work) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kActivationBlock + threadIdx.x;
  const auto f = [](float value, float d) { return activated_gradient<kKind, DeviceMath>(value, d); };
  if (at < work.fours) {
    const float4 v = reinterpret_cast<const float4*>(kept)[at];
    const float4 d = reinterpret_cast<const float4*>(d_out)[at];
    reinterpret_cast<float4*>(d_x)[at] = make_float4(f(v.x, d.x), f(v.y, d.y), f(v.z, d.z), f(v.w, d.w));
  } else if (at < work.fours + work.rest) {
    const int64_t i = at + work.fours * (kFour - 1);
    d_x[i] = f(kept[i], d_out[i]);
  }
}

}  // namespace

void activation(Context& context, const ActivationArgs& args) {
  const Work parts = work(args.out.size(), aligned(args.x.data) && aligned(args.out.data));
  with_kind(args.kind, [&](auto kind) {
    launch(activation_kernel<decltype(kind)::value>, blocks_for(parts.fours + parts.rest, kActivationBlock),
           kActivationBlock, 0, context, args.x.data, args.out.data, parts);
  });
}

void activation_backward(Context& context, const ActivationBackwardArgs& args) {
  const float* kept = kept_for_gradient(args);
  const Work parts = work(args.d_x.size(), aligned(kept) && aligned(args.d_out.data) && aligned(args.d_x.data));
  with_kind(args.kind, [&](auto kind) {
    launch(activation_backward_kernel<decltype(kind)::value>, blocks_for(parts.fours + parts.rest, kActivationBlock),
           kActivationBlock, 0, context, kept, args.d_out.data, args.d_x.data, parts);
  });
}

}  // namespace sheaf::dense::cuda
