#pragma once
/// Deterministic sums: every block leaves its partial sum, one block adds the partials in order.

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/core/cuda/launch.cuh"

namespace sheaf {

namespace detail {

/// target[column] (+)= sum over p of partials[p, column]; one thread a column.
template <class Partial, class Target>
__global__ void add_partials_kernel(const Partial* partials, int64_t n_partials, int64_t n_columns, bool accumulate,
                                    double scale, Target* target) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (column >= n_columns) return;
  double sum = 0;
  for (int64_t p = 0; p < n_partials; ++p) sum += static_cast<double>(partials[p * n_columns + column]);
  const double before = accumulate ? static_cast<double>(target[column]) : 0.0;
  target[column] = static_cast<Target>(before + sum * scale);
}

}  // namespace detail

/// partials is [n_partials, n_columns]; target [n_columns] is replaced by, or gets added, scale times the column sums.
template <class Partial, class Target>
void add_partials(Context& context, const Partial* partials, int64_t n_partials, int64_t n_columns, bool accumulate,
                  double scale, Target* target) {
  constexpr int kBlock = 128;
  launch(detail::add_partials_kernel<Partial, Target>, blocks_for(n_columns, kBlock), kBlock, 0, context, partials,
         n_partials, n_columns, accumulate, scale, target);
}

}  // namespace sheaf
