#include "kernels/core/parallel.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/dense/activation.hpp"
#include "kernels/dense/activation_element.hpp"

namespace sheaf::dense::cpu {
namespace {

constexpr int64_t kGrain = 8192;  // elements: input and output of a piece stay in L2

struct VectorizableMath {
  static float exponential(float x) { return ::sheaf::exponential<VectorizableFloat>(x); }
  static float sigmoid(float x) { return vectorizable_sigmoid(x); }
  static float tanh(float x) { return vectorizable_tanh(x); }
  static float select(bool condition, float a, float b) { return VectorizableFloat::select(condition, a, b); }
};

}  // namespace

void activation(Context& context, const ActivationArgs& args) {
  const float* x = args.x.data;
  float* out = args.out.data;
  with_kind(args.kind, [&](auto kind) {
    parallel_for(context, args.out.size(), kGrain, [&](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) out[i] = activated<decltype(kind)::value, VectorizableMath>(x[i]);
    });
  });
}

void activation_backward(Context& context, const ActivationBackwardArgs& args) {
  const float *kept = kept_for_gradient(args), *d_out = args.d_out.data;
  float* d_x = args.d_x.data;
  with_kind(args.kind, [&](auto kind) {
    parallel_for(context, args.d_x.size(), kGrain, [&](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) {
        d_x[i] = activated_gradient<decltype(kind)::value, VectorizableMath>(kept[i], d_out[i]);
      }
    });
  });
}

}  // namespace sheaf::dense::cpu
