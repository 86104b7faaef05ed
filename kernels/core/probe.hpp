#pragma once
/// Three small ops that reach the limits of a machine. The benchmarks compare everything else with them.
///
///   probe_copy:    out = in
///   probe_gather:  sums[i] = sum over c of table[ids[i], c]        (random rows; almost nothing is written)
///   probe_fma:     out[l] = x after `steps` of x = x * 0.5 + 0.5, for kProbeChains chains of x a lane, summed

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf {

inline constexpr int64_t kProbeChains = 8;  // independent ones: enough to hide the latency of a multiply-add
inline constexpr int64_t kProbeLanes = 16;  // `out` is a multiple of this

struct ProbeCopyArgs {
  VectorView<const float> in;  // [n]
  VectorView<float> out;       // [n], must not alias
};

struct ProbeGatherArgs {
  MatrixView<const float> table;  // [n_rows, dim] f32, dim a multiple of 4
  VectorView<const int32_t> ids;  // [n] in [0, n_rows)
  VectorView<float> sums;         // [n] f32
};

struct ProbeFmaArgs {
  int64_t steps = 0;
  VectorView<float> out;  // [n] f32, n a multiple of kProbeLanes; read as the start, then overwritten
};

void probe_copy(Context& context, const ProbeCopyArgs& args);
void probe_gather(Context& context, const ProbeGatherArgs& args);
void probe_fma(Context& context, const ProbeFmaArgs& args);
OpCost probe_copy_cost(const ProbeCopyArgs& args);
OpCost probe_gather_cost(const ProbeGatherArgs& args);
OpCost probe_fma_cost(const ProbeFmaArgs& args);

SHEAF_BACKENDS(probe_copy, ProbeCopyArgs);
SHEAF_BACKENDS(probe_gather, ProbeGatherArgs);
SHEAF_BACKENDS(probe_fma, ProbeFmaArgs);

}  // namespace sheaf
