#include "kernels/core/cuda/launch.cuh"
#include "kernels/genetic/evaluate_one_set.hpp"

namespace sheaf::genetic::cuda {
namespace {

constexpr int kThreads = 128;

/// A block a problem, a thread a set.
__global__ void evaluate_set_per_thread_kernel(EvaluateSetsArgs args) {
  const int64_t p = blockIdx.x;
  const ProblemView problem = problem_view(args.problems, p);
  for (int64_t set = threadIdx.x; set < args.n_sets; set += kThreads) {
    evaluate_one_set(args, problem, p * args.n_sets + set);
  }
}

}  // namespace

void evaluate_sets(Context& context, const EvaluateSetsArgs& args) {
  launch(evaluate_set_per_thread_kernel, blocks_for(args.problems.n_problems, 1), kThreads, 0, context, args);
}

}  // namespace sheaf::genetic::cuda
