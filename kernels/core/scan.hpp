#pragma once
/// Exclusive prefix sum: out[i] = in[0] + ... + in[i-1]. `out` has one element more than `in` and ends with the total.
/// CUB on CUDA.

#include "kernels/core/context.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf {

struct ExclusiveScanArgs {
  VectorView<const int64_t> in;  // [n]
  VectorView<int64_t> out;       // [n + 1], must not alias
};

void exclusive_scan(Context& context, const ExclusiveScanArgs& args);

SHEAF_BACKENDS(exclusive_scan, ExclusiveScanArgs);

}  // namespace sheaf
