#pragma once
/// What this machine can do at best, measured in the run that uses it.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"

namespace sheaf::bench {

struct Ceilings {
  double copy = 0.0;                                   // bytes/s, read and written, of a long copy
  std::vector<std::pair<int64_t, double>> gather;      // (row bytes, bytes/s) of random rows, ascending
  double fma = 0.0;                                    // flops/s of independent fp32 multiply-adds
  std::vector<std::pair<std::string, double>> matmul;  // (type, flops/s) of matrix products by the backend's library
  std::string matmul_note;                             // why there is none

  /// Bytes/s that limits rows of that size; 0 means a stream.
  double bandwidth(int64_t gathered_row_bytes) const;
  /// Flops/s that limits fp32 arithmetic, which all ops do.
  double flops() const;
  /// The least time that one run can take.
  double floor_seconds(const OpCost& cost, int64_t gathered_row_bytes) const;
};

/// The best of a few tries each; about a second. Interrupted on Ctrl-C.
Ceilings measure_ceilings(Context& context);

}  // namespace sheaf::bench
