#pragma once
/// The inner loops of the CPU's als_solve: small symmetric systems. There is one implementation for each instruction
/// set, chosen when the program runs. Those with fused multiply-adds (AVX2, AVX-512) have the same bits.

#include <cstdint>

namespace sheaf::sparse::cpu {

/// Rows of systems and of their terms begin at multiples of so many floats, whatever the width of a vector.
inline constexpr int64_t kSystemLanes = 16;
inline int64_t padded_to_lanes(int64_t n) { return (n + kSystemLanes - 1) / kSystemLanes * kSystemLanes; }

/// A symmetric positive definite matrix of which the upper half counts, with its right side behind the last column.
struct AlsSystem {
  float* a;        // [padded_to_lanes(size), stride]
  int64_t size;    // >= 1
  int64_t stride;  // padded_to_lanes(size + 1)

  float* row(int64_t r) const { return a + r * stride; }
};

struct AlsSystemLoops {
  const char* name;
  /// Upper half of a = or += T^T T of terms T [n_terms, padded_to_lanes(size)]. Columns beyond `size` are read, and
  /// those of `a` written.
  void (*add_terms)(const AlsSystem& system, const float* terms, int64_t n_terms, bool adds);
  /// Upper half of a = V V^T of rows V [size, dim]; `panels` has room for padded_to_lanes(size) dim floats.
  void (*multiply_rows)(const AlsSystem& system, const float* rows, int64_t dim, float* panels);
  /// Cholesky in place and both triangular systems; size is at most 256. `solution` has room for padded_to_lanes(size).
  /// Elements of `a` behind the right side must be finite.
  void (*solve)(const AlsSystem& system, float* solution);
};

/// The fastest one that this machine can run.
const AlsSystemLoops& als_system_loops();
/// All that this machine can run, the fastest first.
int32_t usable_als_systems(const AlsSystemLoops** loops, int32_t capacity);

extern const AlsSystemLoops kPortableAlsSystem;
#if defined(__x86_64__)
extern const AlsSystemLoops kAvx2AlsSystem, kAvx512AlsSystem;
#endif

}  // namespace sheaf::sparse::cpu
