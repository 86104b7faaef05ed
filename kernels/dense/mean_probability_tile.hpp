#pragma once
/// The inner part of the CPU's mean_probability: a tile of items against all users. There is one implementation for
/// each instruction set, chosen when the program runs; their results differ in the last bits.

#include <cstdint>

namespace sheaf::dense::cpu {

/// A tile of items, and what all users have.
struct ProbabilityTile {
  const float* users;  // [n_users, dim]
  int64_t n_users, dim;
  const float* user_bias;  // [n_users]
  float bias, slope, offset;
  const float* packed;     // [dim, width]: column j is an item
  const float* item_bias;  // [width]
  int64_t n_items;         // at most width; the others' sums may be anything
  double* sums;            // [width], to which the users' probabilities are added in their order
};

struct ProbabilityKernel {
  const char* name;
  int32_t width;  // items a tile
  void (*add)(const ProbabilityTile& tile);
};

inline constexpr int32_t kMostProbabilityWidth = 64, kMostProbabilityKernels = 3;

/// The fastest one that this machine can run, or the one that SHEAF_SCAN=portable|avx2|avx512 names.
const ProbabilityKernel& probability_kernel();
/// All that this machine can run, the fastest first.
int32_t usable_probability_kernels(const ProbabilityKernel** kernels, int32_t capacity);

#if defined(__x86_64__)
extern const ProbabilityKernel kAvx2Probability, kAvx512Probability;
#endif

}  // namespace sheaf::dense::cpu
