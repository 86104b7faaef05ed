#include "kernels/core/parallel.hpp"
#include "kernels/dense/ease_weights.hpp"

namespace sheaf::dense::cpu {

void ease_weights(Context& context, const EaseWeightsArgs& args) {
  constexpr int64_t kRows = 16;
  const int64_t n = args.matrix.rows;
  ScratchScope scratch(context);
  float* diagonal = scratch.take<float>(n);  // negative; rows would overwrite what others still divide by
  for (int64_t i = 0; i < n; ++i) diagonal[i] = -args.matrix(i, i);
  parallel_for(context, n, kRows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* row = args.matrix.row(i);
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) row[j] /= diagonal[j];
      row[i] = 0.0f;
    }
  });
}

}  // namespace sheaf::dense::cpu
