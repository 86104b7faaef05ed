#pragma once
/// The inner part of the CPU's table_bag: the sums of bags' rows, each held in registers. There is one implementation
/// for each instruction set, chosen when the program runs. In all of them, sums are fused multiply-adds in bag order,
/// so they have the same bits.

#include <cstdint>

namespace sheaf::embedding::cpu {

/// Bags [begin, end) of one table.
struct BagsOfRows {
  const void* rows;        // [n_rows, dim], the table's
  const float* scales;     // [n_rows], or null for 1
  const int32_t* ids;      // [n_ids], of all bags: rows are prefetched beyond a bag's end
  const float* weights;    // [n_ids], or null for 1
  const int64_t* offsets;  // bag b has the places [offsets[b], offsets[b + 1]) - first_entry; null: the place b
  int64_t first_entry;
  int64_t n_rows, dim, n_ids;
  int64_t begin, end;
  int64_t rows_ahead;  // how many entries ahead rows are prefetched
  bool is_mean;
  float* out;  // [.., dim], row b of bag b
};

/// Writes the sums. An entry whose id is not in [0, n_rows) is left out. Returns the first place of such an entry, or
/// -1.
using SumRows = int64_t (*)(const BagsOfRows& bags);

/// Element type of a row, as in TableType of kernels/embedding/table.hpp.
enum class RowElement : int { f32, f16, bf16, i8 };

struct RowSums {
  const char* name;
  SumRows (*choose)(RowElement element, int64_t dim);  // null if this instruction set has none for the width
};

#if defined(__x86_64__)
extern const RowSums kAvx2RowSums, kAvx512RowSums;
#endif

}  // namespace sheaf::embedding::cpu
