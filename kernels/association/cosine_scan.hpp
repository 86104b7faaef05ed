#pragma once
/// The inner part of the CPU's cosine_topk: a block of unit vectors against a panel of others. Of their inner products,
/// only those that reach a threshold leave the registers. There is one implementation for each instruction set, chosen
/// when the program runs.
///
/// A panel holds `width` vectors, packed by units of four bytes: unit u of vector j at [u * width + j]. A unit is one
/// float, or two bf16 (dimensions 2 u and 2 u + 1, the even one low). Products of floats are summed by fused
/// multiply-adds over the dimensions in ascending order: the same bits with every instruction set, and whichever of the
/// two is the row.

#include <cstdint>

namespace sheaf::association::cpu {

struct Hit {
  int32_t row, column;  // in the panels
  float product;
};

struct ScanKernel {
  const char* name;
  int32_t width;  // vectors a panel
  int32_t rows;   // vectors that one call takes from the row panel; divides `width`
  bool is_exact;  // products of floats; else of bf16, which `rescore` computes again in float
  int32_t (*n_units)(int64_t dim);

  /// `width` vectors of `dim` floats into a panel.
  void (*pack)(const float* vectors, int64_t dim, uint32_t* panel);

  /// Rows [first_row, first_row + rows) of one panel against all columns of another. A pair is a hit if its product is
  /// at least row_thresholds[row] or column_thresholds[column]; both arrays have a value for each place of a panel.
  /// Returns the number of hits, at most rows * width.
  int32_t (*scan)(const uint32_t* row_panel, int32_t first_row, const uint32_t* column_panel, int32_t n_units,
                  const float* row_thresholds, const float* column_thresholds, Hit* hits);

  /// Replaces the products of hits by products of floats. Rows and columns are the vectors from which the hits are
  /// counted.
  void (*rescore)(const float* rows, const float* columns, int64_t dim, Hit* hits, int32_t n_hits);

  /// |v - bf16(v)|, rounded up, of each vector; zeros where is_exact.
  void (*residuals)(const float* vectors, int64_t count, int64_t dim, float* residuals);
};

/// The fastest one that this machine can run, or the one that SHEAF_SCAN=portable|avx2|avx512|bf16 names (for tests and
/// measurements).
const ScanKernel& scan_kernel();
/// All that this machine can run, the fastest first.
int32_t usable_scan_kernels(const ScanKernel** kernels, int32_t capacity);

extern const ScanKernel kPortableScan;
#if defined(__x86_64__)
extern const ScanKernel kAvx2Scan, kAvx512Scan, kBf16Scan;
#endif

}  // namespace sheaf::association::cpu
