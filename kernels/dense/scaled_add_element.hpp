#pragma once
/// One element of dense/scaled_add.

#include "kernels/core/hd.hpp"
#include "kernels/dense/scaled_add.hpp"

namespace sheaf::dense {

SHEAF_HD inline float scaled_sum(const ScaledAddArgs& args, int64_t r, int64_t c) {
  const float kept = args.keep == 0.0f ? 0.0f : args.keep * args.out(r, c);
  const float added = args.x.rows == 0 ? 0.0f : args.weight * args.x(r, c);
  const float own = (args.row_bias.empty() ? 0.0f : args.row_bias[r]) + (args.bias.empty() ? 0.0f : args.bias[0]);
  return (kept + added) + own;
}

}  // namespace sheaf::dense
