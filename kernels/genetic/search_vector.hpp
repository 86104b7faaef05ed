#pragma once
/// The search on a CPU's vector unit. One file for each instruction set includes it. Everything in it has internal
/// linkage there, so that no other file is linked against code that its processor may not run.

#include "kernels/genetic/search_kernel.hpp"
#include "kernels/genetic/search_strategies.hpp"

// Vectors of 64 bytes pass between functions of one file only.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace sheaf::genetic::cpu {
namespace {

/// One thread with 16 floats at a time, for any register width.
struct VectorLanes {
  static constexpr int32_t kLanes = kSearchLanes;
  typedef float V __attribute__((vector_size(4 * kLanes)));
  typedef float Unaligned __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

  static V load(const float* values, int32_t j) { return *reinterpret_cast<const Unaligned*>(values + j); }
  static void store(float* values, int32_t j, const V& v) { *reinterpret_cast<Unaligned*>(values + j) = v; }

  template <class A, class B>
  static auto times(const A& a, const B& b) {
    return a * b;
  }
  static int32_t bits(uint32_t word) { return __builtin_popcount(word); }
  static int32_t lowest(uint32_t word) { return __builtin_ctz(word); }
  static int32_t leading_zeros(uint32_t word) { return __builtin_clz(word); }
  static V ids(int32_t j) {
    const V first = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return first + static_cast<float>(j);
  }
  static V of_mask(const uint32_t* mask, int32_t j) {
    const uint32_t word = mask[j / 32] >> (j % 32);
    V v;
    for (int32_t l = 0; l < kLanes; ++l) v[l] = static_cast<float>(word >> l & 1u);
    return v;
  }
  static V conflicts(const SearchView& view, int32_t i, int32_t j) {
    return view.conflict_rows == nullptr ? V{} : load(view.conflict_rows + static_cast<int64_t>(i) * view.stride, j);
  }

  template <class Body>
  static void lanes(int32_t stride, const Body& body) {
    for (int32_t j = 0; j < stride; j += kLanes) body(j);
  }
  template <class Body>
  static void leader(const Body& body) {
    body();
  }
  static void sync() {}
  template <class Body>
  static void members(const uint32_t* mask, const Body& body) {
    int32_t rank = 0;
    for (int32_t w = 0; w < kMaskWords; ++w) {
      for (uint32_t word = mask[w]; word != 0; word &= word - 1) body(rank++, 32 * w + __builtin_ctz(word));
    }
  }
  static void reduce(const V& scores, const V& codes, float& score, float& code) {
    score = scores[0];
    code = codes[0];
    for (int32_t l = 1; l < kLanes; ++l) {
      if (scores[l] > score || (scores[l] == score && codes[l] < code)) {
        score = scores[l];
        code = codes[l];
      }
    }
  }
  static void draw(const LocalSearchJob& job, uint32_t block, uint32_t* four) { draw_four(job, block, four); }
};

template <class Group, int kLimits, bool kSide>
int64_t run_one(const SearchView& view, const LocalSearchJob& job, unsigned char* memory, SearchSet* current,
                SearchSet* out) {
  LocalSearchMemory<kLimits> m;
  auto* floats = reinterpret_cast<float*>(memory);
  float** arrays[] = {&m.h, &m.until, &m.in, &m.count, &m.conflict, &m.x};
  for (float** array : arrays) {
    *array = floats;
    floats += kMaxCandidates;
  }
  m.mask = reinterpret_cast<uint32_t*>(floats);
  m.best_mask = m.mask + kMaskWords;
  m.rows = reinterpret_cast<SwapRow<kLimits>*>(m.best_mask + kMaskWords);
  static_assert(sizeof(SwapRow<kMaxLimits>) * (kMaxCandidates + 1) + 4 * (6 * kMaxCandidates + 2 * kMaskWords) <=
                kLocalSearchBytes);
  LocalSearch<Group, kLimits, kSide> search(Group{}, view, m, job);
  run_round(search, current, out);
  return search.evaluations;
}

template <class Group>
int64_t run(const SearchView& view, const LocalSearchJob& job, unsigned char* memory, SearchSet* current,
            SearchSet* out) {
  const bool side = view.category != nullptr;
  if (view.n_limits <= 1) {
    return side ? run_one<Group, 1, true>(view, job, memory, current, out)
                : run_one<Group, 1, false>(view, job, memory, current, out);
  }
  return side ? run_one<Group, kMaxLimits, true>(view, job, memory, current, out)
              : run_one<Group, kMaxLimits, false>(view, job, memory, current, out);
}

}  // namespace
}  // namespace sheaf::genetic::cpu
