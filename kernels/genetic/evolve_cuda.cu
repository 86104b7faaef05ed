#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/genetic/report_best.hpp"

namespace sheaf::genetic::cuda {
namespace {

constexpr int kMostIndividuals = 256;

/// Puts every individual of `unsorted` where its rank says; equal ones keep their order. All threads of the block call it.
__device__ void place_by_rank(const Individual* unsorted, Individual* sorted, int population) {
  const int i = static_cast<int>(threadIdx.x);
  if (i < population) {
    int rank = 0;
    for (int j = 0; j < population; ++j) {
      if (ranks_before(unsorted[j], unsorted[i]) || (j < i && !ranks_before(unsorted[i], unsorted[j]))) ++rank;
    }
    sorted[rank] = unsorted[i];
  }
  __syncthreads();
}

/// A block is an island, a thread an individual; all generations in one launch.
__global__ void evolve_island_per_block_kernel(EvolveArgs args) {
  __shared__ Individual sorted[kMostIndividuals];
  __shared__ Individual next[kMostIndividuals];
  __shared__ uint8_t allowed[kMaxCandidates];
  __shared__ int32_t n_allowed;
  const EvolveParams& params = args.params;
  const int64_t p = blockIdx.x;
  const int64_t id = args.problem_ids[p];
  const auto i = static_cast<int32_t>(threadIdx.x);
  const bool alive = i < params.population;

  ProblemView problem = problem_view(args.problems, p);
  if (i == 0) n_allowed = list_allowed(problem, allowed);
  __syncthreads();
  problem.allowed = allowed;
  problem.n_allowed = n_allowed;

  if (alive) initialise(problem, params.seed, id, i, next[i]);
  __syncthreads();
  place_by_rank(next, sorted, params.population);
  for (int32_t generation = 0; generation < params.generations; ++generation) {
    if (alive) {
      if (i < params.elite) {
        next[i] = sorted[i];
      } else {
        breed(problem, params, id, generation, i, sorted, next[i]);
      }
    }
    __syncthreads();
    place_by_rank(next, sorted, params.population);
    if (i == 0) write_history(args, p, generation, sorted[0]);
  }
  if (i == 0) {
    improve(problem, sorted[0]);
    write_best(args, p, sorted[0]);
  }
}

}  // namespace

void evolve(Context& context, const EvolveArgs& args) {
  const unsigned threads = blocks_for(args.params.population, kWarp) * kWarp;
  launch(evolve_island_per_block_kernel, blocks_for(args.problems.n_problems, 1), threads, 0, context, args);
}

}  // namespace sheaf::genetic::cuda
