#pragma once
/// A block of the search: its warps as lane groups, and where the problem and the local searches lie in its shared
/// memory.

#include <algorithm>

#include "kernels/core/cuda/warp.cuh"
#include "kernels/core/philox.hpp"
#include "kernels/genetic/search_pool.hpp"
#include "kernels/genetic/search_prepare.hpp"
#include "kernels/genetic/search_strategies.hpp"

namespace sheaf::genetic::cuda {
namespace {

/// A warp, a candidate a lane.
struct WarpLanes {
  using V = float;
  int32_t lane;

  __device__ static float load(const float* values, int32_t j) { return values[j]; }
  __device__ static void store(float* values, int32_t j, float v) { values[j] = v; }
  // Never part of a fused multiply-add: the bits are the CPU's.
  __device__ static float times(float a, float b) { return __fmul_rn(a, b); }
  __device__ static int32_t bits(uint32_t word) { return __popc(word); }
  __device__ static int32_t lowest(uint32_t word) { return __ffs(static_cast<int>(word)) - 1; }
  __device__ static int32_t leading_zeros(uint32_t word) { return __clz(static_cast<int>(word)); }
  __device__ static float ids(int32_t j) { return static_cast<float>(j); }
  __device__ static float of_mask(const uint32_t* mask, int32_t j) {
    return static_cast<float>(mask[j / 32] >> (j % 32) & 1u);
  }
  __device__ static float conflicts(const SearchView& view, int32_t i, int32_t j) {
    return view.conflict_bits == nullptr ? 0.0f : of_mask(view.conflict_bits + i * kMaskWords, j);
  }

  template <class Body>
  __device__ void lanes(int32_t stride, const Body& body) const {
    for (int32_t j = lane; j < stride; j += kWarp) body(j);
    __syncwarp();
  }
  template <class Body>
  __device__ void leader(const Body& body) const {
    if (lane == 0) body();
    __syncwarp();
  }
  __device__ void sync() const { __syncwarp(); }
  template <class Body>
  __device__ void members(const uint32_t* mask, const Body& body) const {
    const uint32_t below = (1u << lane) - 1u;
    int32_t first = 0;
    for (int32_t w = 0; w < kMaskWords; ++w) {
      const uint32_t word = mask[w];
      if ((word >> lane & 1u) != 0) body(first + bits(word & below), 32 * w + lane);
      first += bits(word);
    }
    __syncwarp();
  }
  __device__ static void reduce(float scores, float codes, float& score, float& code) {
    score = scores;
    code = codes;
#pragma unroll
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
      const float other = __shfl_xor_sync(kFullMask, score, offset);
      const float other_code = __shfl_xor_sync(kFullMask, code, offset);
      if (other > score || (other == score && other_code < code)) {
        score = other;
        code = other_code;
      }
    }
  }
  __device__ static void draw(const LocalSearchJob& job, uint32_t block, uint32_t* four) {
    const RandomKey key{job.params.seed, Purpose::search_select, static_cast<uint32_t>(job.round)};
    const auto row = static_cast<uint64_t>(job.problem_id) & ((uint64_t{1} << 56) - 1);
    const Random4 words = random4(key, row, static_cast<uint32_t>(job.number) << 24 | block);
    for (int32_t w = 0; w < 4; ++w) four[w] = words.v[w];
  }
};

/// Hands out a block's shared memory, 16 bytes at least.
struct SharedCursor {
  size_t used = 0;
  template <class T>
  __host__ __device__ size_t take(size_t count) {
    const size_t place = used;
    used += (count * sizeof(T) + 15) / 16 * 16;
    return place;
  }
};

/// Where everything of a block lies in its shared memory: the problem, the pool, then a local search for
/// each warp.
struct Layout {
  size_t view, sets, current, must, heaviest, linear, closed, cost, category, category_min, category_max, pair,
      local_searches;
  size_t local_search_bytes, total;
  int32_t n_rows;
  bool pair_is_shared, side;
};

template <int kLimits>
size_t local_search_bytes(int32_t n, int32_t n_rows) {
  SharedCursor cursor;
  for (int32_t array = 0; array < 6; ++array) cursor.take<float>(static_cast<size_t>(n));
  cursor.take<uint32_t>(2 * kMaskWords);
  cursor.take<SwapRow<kLimits>>(static_cast<size_t>(n_rows));
  return cursor.used;
}

template <int kLimits>
Layout lay_out(const SearchProblems& problems, int32_t n_warps, bool pair_is_shared) {
  const auto n = static_cast<size_t>(problems.n_candidates);
  Layout at{};
  at.side = has_side_rules(problems);
  at.pair_is_shared = pair_is_shared;
  at.n_rows = std::min(problems.n_candidates, problems.max_size + 1) + 1;
  at.local_search_bytes = local_search_bytes<kLimits>(problems.n_candidates, at.n_rows);
  SharedCursor cursor;
  at.view = cursor.take<SearchView>(1);
  at.sets = cursor.take<SearchSet>(2 * kMaxLocalSearches);
  at.current = cursor.take<SearchSet>(kMaxLocalSearches);
  at.must = cursor.take<uint32_t>(kMaskWords);
  at.heaviest = cursor.take<float>(kMaxLimits);
  at.linear = cursor.take<float>(n);
  at.closed = cursor.take<float>(n);
  at.cost = cursor.take<float>(n);
  at.category = cursor.take<float>(at.side ? n : 0);
  at.category_min = cursor.take<float>(at.side ? n : 0);
  at.category_max = cursor.take<float>(at.side ? n : 0);
  at.pair = cursor.take<float>(pair_is_shared ? n * n : 0);
  at.local_searches = cursor.used;
  at.total = at.local_searches + static_cast<size_t>(n_warps) * at.local_search_bytes;
  return at;
}

/// Reads the problem into shared memory. All threads of the block call it.
__device__ inline void load_problem(const SearchProblems& problems, int64_t p, const Layout& at,
                                    unsigned char* shared) {
  const int32_t n = problems.n_candidates;
  const auto thread = static_cast<int32_t>(threadIdx.x), threads = static_cast<int32_t>(blockDim.x);
  const auto floats = [&](size_t place) { return reinterpret_cast<float*>(shared + place); };
  auto* must = reinterpret_cast<uint32_t*>(shared + at.must);
  for (int32_t j = thread; j < n; j += threads) {
    floats(at.linear)[j] = problems.linear[p * n + j];
    floats(at.closed)[j] = is_flagged(problems, p, j, kForbidden) ? kNever : 0.0f;
    floats(at.cost)[j] = candidate_cost(problems, p, j);
    if (!at.side) continue;
    floats(at.category)[j] = static_cast<float>(category_head(problems, p, j));
    floats(at.category_min)[j] =
        problems.category_min == nullptr ? 0.0f : static_cast<float>(problems.category_min[p * n + j]);
    floats(at.category_max)[j] = problems.category_max == nullptr
                                     ? static_cast<float>(kMaxCandidates)
                                     : static_cast<float>(problems.category_max[p * n + j]);
  }
  for (int32_t w = thread; w < kMaskWords; w += threads) {
    uint32_t word = 0;
    for (int32_t j = 32 * w; j < 32 * w + 32 && j < n; ++j) {
      word |= is_flagged(problems, p, j, kMustHave) ? 1u << (j % 32) : 0u;
    }
    must[w] = word;
  }
  for (int32_t r = thread; r < problems.n_limits; r += threads)
    floats(at.heaviest)[r] = heaviest_weight(problems, p, r);
  const float* pair = problems.pair + p * n * n;
  if (at.pair_is_shared) {
    for (int32_t k = thread; k < n * n; k += threads) floats(at.pair)[k] = pair[k];
  }
  if (thread != 0) return;
  SearchView& view = *reinterpret_cast<SearchView*>(shared + at.view);
  view.n = view.stride = n;
  view.n_limits = problems.n_limits;
  view.min_size = problems.min_size;
  view.max_size = problems.max_size;
  view.min_categories = problems.min_categories;
  view.linear = floats(at.linear);
  view.pair = at.pair_is_shared ? floats(at.pair) : pair;
  view.weight = problems.weight + p * problems.n_limits * n;
  view.upper = problems.upper + p * problems.n_limits;
  view.closed = floats(at.closed);
  view.category = at.side ? floats(at.category) : nullptr;
  view.category_min = floats(at.category_min);
  view.category_max = floats(at.category_max);
  view.conflict_rows = nullptr;
  view.conflict_bits = problems.conflict == nullptr ? nullptr : problems.conflict + p * n * kMaskWords;
  view.must = must;
  view.cost = floats(at.cost);
  view.heaviest = floats(at.heaviest);
}

template <int kLimits>
__device__ LocalSearchMemory<kLimits> local_search_memory(unsigned char* bytes, int32_t n) {
  SharedCursor cursor;
  LocalSearchMemory<kLimits> memory;
  float** arrays[] = {&memory.h, &memory.until, &memory.in, &memory.count, &memory.conflict, &memory.x};
  for (float** array : arrays) {
    *array = reinterpret_cast<float*>(bytes + cursor.take<float>(static_cast<size_t>(n)));
  }
  memory.mask = reinterpret_cast<uint32_t*>(bytes + cursor.take<uint32_t>(2 * kMaskWords));
  memory.best_mask = memory.mask + kMaskWords;
  memory.rows = reinterpret_cast<SwapRow<kLimits>*>(bytes + cursor.used);
  return memory;
}

}  // namespace
}  // namespace sheaf::genetic::cuda
