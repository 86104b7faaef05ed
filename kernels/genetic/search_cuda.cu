#include <algorithm>
#include <utility>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/genetic/search_block.cuh"
#include "kernels/genetic/search_islands.hpp"

namespace sheaf::genetic::cuda {
namespace {

constexpr int32_t kMaxWarps = 16;
constexpr int32_t kMergeThreads = 256;
// Many times what a device holds; two pools of 32 sets for each island take 42 MB.
constexpr int64_t kIslandsAtATime = 1 << 14;

/// Rounds of one launch. Blocks are the islands of `first_problem` and of the problems after it. Pools are [blocks,
/// local_searches].
struct Segment {
  int64_t first_problem = 0;
  int32_t first_round = 0, n_rounds = 0;  // of this call
  const SearchSet* before = nullptr;      // what the islands begin with, unless with nothing
  bool before_is_shared = false;          // one pool a problem
  SearchSet* after = nullptr;
  SearchSet* current = nullptr;  // where annealing stands between launches; null: nowhere
  float* history = nullptr;      // [blocks, rounds of the call], or null
};

/// The best `pool_size` of n sets become the pool. All threads of the block call it, after a barrier; it ends with one.
__device__ void keep_best(const SearchSet* sets, int32_t n, int32_t pool_size, SearchSet* pool) {
  const auto thread = static_cast<int32_t>(threadIdx.x);
  // At most two sets a thread: a block has a warp at least.
  SearchSet own[2];
  int32_t rank[2];
  for (int32_t k = 0; k < 2; ++k) {
    const int32_t i = thread + k * kWarp;
    if (thread >= kWarp || i >= n) continue;
    own[k] = sets[i];
    rank[k] = pool_rank(sets, n, i);
  }
  __syncthreads();
  for (int32_t k = 0; k < 2; ++k) {
    if (thread < kWarp && thread + k * kWarp < n && rank[k] < pool_size) pool[rank[k]] = own[k];
  }
  __syncthreads();
}

/// Loads the pool, the sets with which annealing continues, and what comes from the island before. All threads of the
/// block call it; it ends with a barrier.
__device__ void begin_segment(const SearchParams& params, const Segment& segment, SearchSet* sets, SearchSet* current) {
  const int32_t n_searches = params.local_searches, step = params.first_round + segment.first_round;
  const auto thread = static_cast<int32_t>(threadIdx.x), threads = static_cast<int32_t>(blockDim.x);
  const auto block = static_cast<int32_t>(blockIdx.x), island = block % params.islands;
  const auto pool_of = [&](int32_t other) {
    const int32_t pool = segment.before_is_shared ? block / params.islands : block - island + other;
    return segment.before + int64_t{pool} * n_searches;
  };
  const bool migrates = migrates_before(params, step);
  for (int32_t c = thread; step > 0 && c < n_searches; c += threads) {
    sets[c] = pool_of(island)[c];
    current[c] = segment.current != nullptr && segment.first_round > 0
                     ? segment.current[int64_t{block} * n_searches + c]
                     : sets[c];
    if (migrates && c < n_migrants(n_searches))
      sets[n_searches + c] = pool_of(island_before(island, params.islands))[c];
  }
  __syncthreads();
  if (!migrates) return;
  if (params.strategy == Strategy::anneal && thread == 0 && compare_sets(sets[n_searches], current[0]) > 0) {
    current[0] = sets[n_searches];
  }
  keep_best(sets, n_searches + n_migrants(n_searches), n_searches, sets);
}

/// Replaces the pool by that of the round, and makes the exchanges of annealing. All threads of the block call it.
__device__ void end_round(const SearchParams& params, int32_t step, SearchSet* sets, SearchSet* current) {
  const int32_t n_searches = params.local_searches;
  const auto thread = static_cast<int32_t>(threadIdx.x);
  const int32_t first = step == 0 ? n_searches : 0;
  if (params.strategy == Strategy::anneal && thread < n_searches && exchanges(current, thread, step, n_searches)) {
    const SearchSet hot = current[thread + 1];
    current[thread + 1] = current[thread];
    current[thread] = hot;
  }
  keep_best(sets + first, 2 * n_searches - first, n_searches, sets);
}

/// A block is an island of a problem. Each warp runs some of its local searches, one after the other. One launch makes
/// all rounds, or those between two migrations.
template <int kLimits, bool kSide>
__global__ void __launch_bounds__(kMaxWarps* kWarp, 1)
    search_island_per_block_kernel(SearchArgs args, Segment segment, Layout at) {
  SHEAF_DYNAMIC_SHARED(shared);
  const auto block = static_cast<int64_t>(blockIdx.x);
  const int64_t p = segment.first_problem + block / args.params.islands;
  const auto thread = static_cast<int32_t>(threadIdx.x);
  const int32_t warp = thread / kWarp, n_warps = static_cast<int32_t>(blockDim.x) / kWarp;
  auto* sets = reinterpret_cast<SearchSet*>(shared + at.sets);
  auto* current = reinterpret_cast<SearchSet*>(shared + at.current);
  load_problem(args.problems, p, at, shared);
  begin_segment(args.params, segment, sets, current);

  SearchParams params = args.params;
  params.seed = island_seed(params.seed, static_cast<int32_t>(block % params.islands));
  const SearchView& view = *reinterpret_cast<const SearchView*>(shared + at.view);
  const LocalSearchMemory<kLimits> memory = local_search_memory<kLimits>(
      shared + at.local_searches + static_cast<size_t>(warp) * at.local_search_bytes, args.problems.n_candidates);
  const WarpLanes lanes{thread % kWarp};
  int64_t evaluations = 0;
  for (int32_t round = segment.first_round; round < segment.first_round + segment.n_rounds; ++round) {
    const int32_t step = params.first_round + round;
    for (int32_t number = warp; number < params.local_searches; number += n_warps) {
      const LocalSearchJob job{params, args.problem_ids[p], step, number, step == 0 ? nullptr : sets};
      LocalSearch<WarpLanes, kLimits, kSide> search(lanes, view, memory, job);
      run_round(search, current + number, sets + params.local_searches + number);
      evaluations += search.evaluations;
    }
    __syncthreads();
    end_round(params, step, sets, current);
    if (thread == 0 && segment.history != nullptr) {
      segment.history[block * params.rounds + round] = sets[0].violation > 0.0f ? kNever : sets[0].value;
    }
  }
  for (int32_t c = thread; c < params.local_searches; c += static_cast<int32_t>(blockDim.x)) {
    segment.after[block * params.local_searches + c] = sets[c];
    if (segment.current != nullptr) segment.current[block * params.local_searches + c] = current[c];
  }
  if (thread % kWarp == 0) {
    atomicAdd(reinterpret_cast<unsigned long long*>(&args.evaluations[p]),
              static_cast<unsigned long long>(evaluations));
  }
}

/// Merges a problem's islands into the pool of their best different sets. Each step takes the best of the sets that are
/// worse than the last one taken, by a tree over the threads' bests. A block is a problem.
__global__ void __launch_bounds__(kMergeThreads, 1)
    merge_islands_kernel(SearchArgs args, int64_t first_problem, const SearchSet* pools, const float* history) {
  __shared__ const SearchSet* best[kMergeThreads];
  const SearchParams& params = args.params;
  const int32_t n_searches = params.local_searches;
  const auto thread = static_cast<int32_t>(threadIdx.x);
  const int64_t p = first_problem + blockIdx.x, first_island = int64_t{blockIdx.x} * params.islands;
  const SearchSet* last = nullptr;
  const SearchSet* first = nullptr;
  for (int32_t r = 0; r < n_searches; ++r) {
    const SearchSet* own = nullptr;
    for (int32_t k = thread; k < params.islands; k += kMergeThreads) {
      const SearchSet* pool = pools + (first_island + k) * n_searches;
      const int32_t c = r == 0 ? 0 : first_worse(pool, n_searches, *last);
      if (c < n_searches && (own == nullptr || compare_sets(pool[c], *own) > 0)) own = pool + c;
    }
    best[thread] = own;
    __syncthreads();
    for (int32_t half = kMergeThreads / 2; half > 0; half /= 2) {
      if (thread < half && best[thread + half] != nullptr &&
          (best[thread] == nullptr || compare_sets(*best[thread + half], *best[thread]) > 0)) {
        best[thread] = best[thread + half];
      }
      __syncthreads();
    }
    // With too few different sets, the best one again. Then nothing is worse than the last one.
    first = r == 0 ? best[0] : first;
    last = best[0] != nullptr ? best[0] : last;
    if (thread == 0) args.pool(p, r) = best[0] != nullptr ? *best[0] : *first;
    __syncthreads();
  }
  for (int32_t round = thread; history != nullptr && round < params.rounds; round += kMergeThreads) {
    float most = kNever;
    for (int32_t k = 0; k < params.islands; ++k) {
      const float value = history[(first_island + k) * params.rounds + round];
      most = value > most ? value : most;
    }
    args.history(p, round) = most;
  }
}

/// As many warps as there are local searches and the memory holds. The pair terms lie beside them where four warps
/// still fit.
template <int kLimits>
Layout choose_layout(const SearchArgs& args, size_t most_shared, int32_t& n_warps) {
  for (const bool pair_is_shared : {true, false}) {
    for (n_warps = std::min(args.params.local_searches, kMaxWarps); n_warps > 0; --n_warps) {
      const Layout at = lay_out<kLimits>(args.problems, n_warps, pair_is_shared);
      if (at.total > most_shared) continue;
      if (!pair_is_shared || n_warps >= std::min(args.params.local_searches, 4)) return at;
    }
  }
  throw DeviceError("a bundle problem does not fit the device's shared memory", "search with --device cpu");
}

template <int kLimits>
class Launcher {
 public:
  Launcher(Context& context, const SearchArgs& args) : context_(context), args_(args) {
    int most_shared = 0;
    cuda_check(cudaDeviceGetAttribute(&most_shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, context.device().ordinal),
               "cudaDeviceGetAttribute");
    at_ = choose_layout<kLimits>(args, static_cast<size_t>(most_shared), n_warps_);
  }

  void run() {
    const SearchParams& params = args_.params;
    const int64_t n = args_.problems.n_problems;
    if (params.islands == 1) {
      SearchSet* pools = args_.island_pools.empty() ? args_.pool.data : args_.island_pools.data;
      launch_rounds(
          {.n_rounds = params.rounds, .before = pools, .after = args_.pool.data, .history = args_.history.data}, n);
      if (!args_.island_pools.empty()) {
        context_.copy(pools, args_.pool.data, static_cast<size_t>(args_.pool.size()) * sizeof(SearchSet));
      }
      return;
    }
    const int64_t at_a_time = std::max<int64_t>(1, kIslandsAtATime / params.islands);
    for (int64_t first = 0; first < n; first += at_a_time) run_islands(first, std::min(at_a_time, n - first));
  }

 private:
  void run_islands(int64_t first, int64_t n) {
    const SearchParams& params = args_.params;
    ScratchScope scratch(context_);
    const int64_t n_sets = n * params.islands * params.local_searches;
    SearchSet* own = args_.island_pools.empty() ? scratch.take<SearchSet>(n_sets) : args_.island_pools.row(first);
    SearchSet* other = scratch.take<SearchSet>(n_sets);
    Segment segment{.first_problem = first, .before = own, .after = other};
    if (params.strategy == Strategy::anneal) segment.current = scratch.take<SearchSet>(n_sets);
    if (!args_.history.empty()) segment.history = scratch.take<float>(n * params.islands * params.rounds);
    if (args_.island_pools.empty() && params.first_round > 0) {
      segment.before = args_.pool.row(first);
      segment.before_is_shared = true;
    }
    for (int32_t round = 0; round < params.rounds; round = segment.first_round + segment.n_rounds) {
      if (round > 0) {
        segment.before = segment.after;
        segment.before_is_shared = false;
        std::swap(own, other);
        segment.after = other;
      }
      segment.first_round = round;
      segment.n_rounds = 1;
      while (round + segment.n_rounds < params.rounds &&
             !migrates_before(params, params.first_round + round + segment.n_rounds)) {
        ++segment.n_rounds;
      }
      launch_rounds(segment, n * params.islands);
    }
    launch(merge_islands_kernel, blocks_for(n, 1), kMergeThreads, 0, context_, args_, first, segment.after,
           segment.history);
    if (!args_.island_pools.empty() && segment.after != args_.island_pools.row(first)) {
      context_.copy(args_.island_pools.row(first), segment.after, static_cast<size_t>(n_sets) * sizeof(SearchSet));
    }
  }

  void launch_rounds(const Segment& segment, int64_t n_blocks) {
    const unsigned blocks = blocks_for(n_blocks, 1);
    const auto threads = static_cast<unsigned>(n_warps_ * kWarp);
    if (at_.side) {
      launch(search_island_per_block_kernel<kLimits, true>, blocks, threads, at_.total, context_, args_, segment, at_);
    } else {
      launch(search_island_per_block_kernel<kLimits, false>, blocks, threads, at_.total, context_, args_, segment, at_);
    }
  }

  Context& context_;
  const SearchArgs& args_;
  Layout at_;
  int32_t n_warps_ = 0;
};

}  // namespace

void search(Context& context, const SearchArgs& args) {
  if (args.problems.n_limits <= 1) {
    Launcher<1>(context, args).run();
  } else {
    Launcher<kMaxLimits>(context, args).run();
  }
}

}  // namespace sheaf::genetic::cuda
