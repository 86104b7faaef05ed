#include <algorithm>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/genetic/pareto_sort.hpp"

namespace sheaf::genetic::cuda {
namespace {

constexpr int32_t kMaxThreads = 256;

/// Fronts and the order of all slots. All threads of the block call it.
__device__ void sort_slots(const ParetoState& state, int32_t n_objectives, int32_t population) {
  const auto thread = static_cast<int32_t>(threadIdx.x), threads = static_cast<int32_t>(blockDim.x);
  for (int32_t i = thread; i < state.n_slots; i += threads) compare_slot(state, n_objectives, i);
  __syncthreads();
  for (int32_t w = thread; w < state.n_words; w += threads) open_word(state, w);
  __syncthreads();
  const int32_t all = count_open(state);
  int32_t open = all;
  for (int32_t level = 0; open > 0 && all - open < population; ++level) {
    for (int32_t i = thread; i < state.n_slots; i += threads) join_front(state, level, i);
    __syncthreads();
    for (int32_t w = thread; w < state.n_words; w += threads) open_word(state, w);
    __syncthreads();
    open = count_open(state);
  }
  for (int32_t i = thread; i < state.n_slots; i += threads) state.crowding[i] = crowding_of(state, n_objectives, i);
  __syncthreads();
  for (int32_t i = thread; i < state.n_slots; i += threads) place_slot(state, i);
  __syncthreads();
}

/// A block is a problem, a thread some slots of its population; all generations in one launch.
__global__ void __launch_bounds__(kMaxThreads) pareto_problem_per_block_kernel(ParetoArgs args) {
  SHEAF_DYNAMIC_SHARED(shared);
  __shared__ ParetoView view;
  const int64_t p = blockIdx.x;
  const int32_t population = args.params.population;
  const auto thread = static_cast<int32_t>(threadIdx.x), threads = static_cast<int32_t>(blockDim.x);
  const ParetoState state = pareto_state(shared, population);
  if (thread == 0) view = pareto_view(args, p);
  __syncthreads();
  for (int32_t i = thread; i < state.n_slots; i += threads) random_set(args, view, i, state.sets[i]);
  __syncthreads();
  sort_slots(state, args.n_objectives, population);
  for (int32_t generation = 1; generation <= args.params.generations; ++generation) {
    for (int32_t c = thread; c < population; c += threads) {
      make_child(args, view, static_cast<uint32_t>(generation), c, state.sets, state.order,
                 state.sets[state.order[population + c]]);
    }
    __syncthreads();
    sort_slots(state, args.n_objectives, population);
  }
  for (int32_t rank = thread; rank < population; rank += threads) args.sets(p, rank) = state.sets[state.order[rank]];
  if (thread != 0) return;
  int32_t front = 0;
  for (int32_t rank = 0; rank < population; ++rank) front += state.level[state.order[rank]] == 0 ? 1 : 0;
  args.front_size[p] = front;
}

}  // namespace

void pareto(Context& context, const ParetoArgs& args) {
  const int32_t slots = (2 * args.params.population + kWarp - 1) / kWarp * kWarp;
  launch(pareto_problem_per_block_kernel, blocks_for(args.rules.n_problems, 1),
         static_cast<unsigned>(std::min(slots, kMaxThreads)), static_cast<size_t>(pareto_bytes(args.params.population)),
         context, args);
}

}  // namespace sheaf::genetic::cuda
