#include <cmath>

#include "kernels/core/parallel.hpp"
#include "kernels/optim/clip.hpp"

namespace sheaf::optim::cpu {

void clip(Context& context, const ClipArgs& args) {
  ScratchScope scratch(context);
  double* partials = scratch.take<double>(clip_parts(args));
  int64_t n_partials = 0;
  for (const VectorView<float>& gradient : args.gradients) {
    double* own = partials + n_partials;
    parallel_for(context, gradient.size, kClipPart, [&gradient, own](int64_t begin, int64_t end) {
      double sum = 0.0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = begin; i < end; ++i) sum += static_cast<double>(gradient[i]) * static_cast<double>(gradient[i]);
      own[begin / kClipPart] = sum;
    });
    n_partials += clip_parts(gradient);
  }
  double squares = 0.0;
  for (int64_t part = 0; part < n_partials; ++part) squares += partials[part];
  const double norm = std::sqrt(squares);
  if (norm <= static_cast<double>(args.max_norm)) return;
  const auto factor = static_cast<float>(static_cast<double>(args.max_norm) / norm);
  for (const VectorView<float>& gradient : args.gradients) {
    parallel_for(context, gradient.size, kClipPart, [&gradient, factor](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) gradient[i] *= factor;
    });
  }
}

}  // namespace sheaf::optim::cpu
