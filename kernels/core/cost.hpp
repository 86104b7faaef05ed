#pragma once
/// What an op cannot avoid: read by the benchmarks (fraction of the roofline) and the planner.

#include <cstdint>

namespace sheaf {

struct OpCost {
  int64_t bytes = 0;  // compulsory traffic: every input read once, every output written once
  int64_t flops = 0;  // multiply and add count as two
};

}  // namespace sheaf
