#include "kernels/core/cuda/launch.cuh"
#include "kernels/genetic/evaluate_one_set.hpp"

namespace sheaf::genetic::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kSetsPerBlock = 8192;    // so that reading the pair terms is a small part
constexpr int64_t kMaxShared = 96 * 1024;  // of sm_86, the least since sm_80, less the tally

/// A block some sets of a problem, a thread a set; the terms in shared memory where they fit.
__global__ void __launch_bounds__(kThreads)
    evaluate_set_per_thread_kernel(EvaluateSetsArgs args, int64_t blocks_per_problem, bool shared_terms) {
  SHEAF_DYNAMIC_SHARED(shared);
  const int64_t n = args.problems.n_candidates;
  const int64_t p = blockIdx.x / blocks_per_problem;
  const float* linear = args.problems.linear + p * n;
  const float* pair = args.problems.pair + p * n * n;
  auto* terms = reinterpret_cast<float*>(shared);
  if (shared_terms) {
    for (int64_t k = threadIdx.x; k < n * n; k += kThreads) terms[k] = pair[k];
    for (int64_t k = threadIdx.x; k < n; k += kThreads) terms[n * n + k] = linear[k];
    pair = terms;
    linear = terms + n * n;
  }
  __shared__ ProblemTally tally;
  if (threadIdx.x == 0) tally = problem_tally(args.problems, p);
  __syncthreads();
  const int64_t first = blockIdx.x % blocks_per_problem * kSetsPerBlock;
  const int64_t last = first + kSetsPerBlock < args.n_sets ? first + kSetsPerBlock : args.n_sets;
  for (int64_t set = first + threadIdx.x; set < last; set += kThreads) {
    evaluate_one_set(args, p, tally, linear, pair, p * args.n_sets + set);
  }
}

}  // namespace

void evaluate_sets(Context& context, const EvaluateSetsArgs& args) {
  const int64_t n = args.problems.n_candidates;
  const int64_t blocks_per_problem = (args.n_sets + kSetsPerBlock - 1) / kSetsPerBlock;
  const int64_t bytes = 4 * (n * n + n);
  const bool shared_terms = bytes <= kMaxShared;
  launch(evaluate_set_per_thread_kernel, blocks_for(args.problems.n_problems * blocks_per_problem, 1), kThreads,
         shared_terms ? static_cast<size_t>(bytes) : 0, context, args, blocks_per_problem, shared_terms);
}

}  // namespace sheaf::genetic::cuda
