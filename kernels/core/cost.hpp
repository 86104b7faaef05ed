#pragma once
/// The work that an op cannot avoid. The benchmarks (fraction of the roofline) and the planner read it.

#include <cstdint>

namespace sheaf {

struct OpCost {
  int64_t bytes = 0;  // compulsory traffic: every input read once, every output written once
  int64_t flops = 0;  // multiply and add count as two
};

}  // namespace sheaf
