#pragma once
/// What this machine can do at best, measured in the run that uses it.

#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"

namespace sheaf::bench {

struct Ceilings {
  double copy = 0.0;                               // bytes/s, read and written, of a long copy
  std::vector<std::pair<int64_t, double>> gather;  // (row bytes, bytes/s) of random rows, ascending
  double fma = 0.0;                                // flops/s of independent fp32 multiply-adds
  double matmul = 0.0;  // flops/s of an fp32 matrix product by the backend's library; 0 where there is none

  /// Bytes/s that limits rows of that size; 0 means a stream.
  double bandwidth(int64_t gathered_row_bytes) const;
  double flops() const { return fma > matmul ? fma : matmul; }
  /// The least time that one run can take.
  double floor_seconds(const OpCost& cost, int64_t gathered_row_bytes) const;
};

/// The best of a few tries each; about a second.
Ceilings measure_ceilings(Context& context);

}  // namespace sheaf::bench
