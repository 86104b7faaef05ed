#include "kernels/core/probe.hpp"

#include "kernels/core/check.hpp"

namespace sheaf {

void probe_copy(Context& context, const ProbeCopyArgs& args) {
  check_argument(args.in.size == args.out.size, "probe_copy", "in and out differ in size");
  if (args.in.empty()) return;
  SHEAF_DISPATCH(context, probe_copy, args);
}

void probe_gather(Context& context, const ProbeGatherArgs& args) {
  check_argument(args.ids.size == args.sums.size, "probe_gather", "ids and sums differ in size");
  check_argument(args.table.cols % 4 == 0, "probe_gather", "dim is not a multiple of 4");
  if (args.ids.empty()) return;
  SHEAF_DISPATCH(context, probe_gather, args);
}

void probe_fma(Context& context, const ProbeFmaArgs& args) {
  check_argument(args.out.size % kProbeLanes == 0, "probe_fma", "out is not a multiple of kProbeLanes");
  if (args.out.empty()) return;
  SHEAF_DISPATCH(context, probe_fma, args);
}

OpCost probe_copy_cost(const ProbeCopyArgs& args) {
  return {.bytes = 2 * args.in.size * static_cast<int64_t>(sizeof(float)), .flops = 0};
}

OpCost probe_gather_cost(const ProbeGatherArgs& args) {
  return {.bytes = args.ids.size * (args.table.cols + 2) * static_cast<int64_t>(sizeof(float)),
          .flops = args.ids.size * args.table.cols};
}

OpCost probe_fma_cost(const ProbeFmaArgs& args) {
  return {.bytes = 2 * args.out.size * static_cast<int64_t>(sizeof(float)),
          .flops = 2 * args.out.size * kProbeChains * args.steps};
}

}  // namespace sheaf
