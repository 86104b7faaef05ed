#pragma once
/// One element of dense/scaled_add.

#include "kernels/core/hd.hpp"
#include "kernels/dense/scaled_add.hpp"

namespace sheaf::dense {

/// What row r adds to each of its elements.
SHEAF_HD inline float added_to_row(const ScaledAddArgs& args, int64_t r) {
  return (args.row_bias.empty() ? 0.0f : args.row_bias[r]) + (args.bias.empty() ? 0.0f : args.bias[0]);
}

SHEAF_HD inline float scaled_sum(const ScaledAddArgs& args, int64_t r, int64_t c) {
  const float kept = args.keep == 0.0f ? 0.0f : args.keep * args.out(r, c);
  const float added = args.x.rows == 0 ? 0.0f : args.weight * args.x(r, c);
  return (kept + added) + added_to_row(args, r);
}

}  // namespace sheaf::dense
