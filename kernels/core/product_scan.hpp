#pragma once
/// The inner part of the CPU's cosine_topk and score_topk: a block of vectors against a panel of others. Of their inner
/// products, only those that reach a threshold leave the registers. There is one implementation for each instruction
/// set, chosen when the program runs.
///
/// A panel holds `width` vectors, packed by units of four bytes: unit u of vector j at [u * width + j]. A unit is one
/// float, or two bf16 (dimensions 2 u and 2 u + 1, the even one low), or four bytes. A bf16 below the smallest normal
/// number is 0. Products of floats are summed by fused multiply-adds over the dimensions in ascending order: the same
/// bits with every instruction set, and whichever of the two is the row.

#include <algorithm>
#include <cstdint>
#include <limits>

namespace sheaf {

struct ProductHit {
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
                  const float* row_thresholds, const float* column_thresholds, ProductHit* hits);

  /// Replaces the products of hits by products of floats. Rows and columns are the vectors from which the hits are
  /// counted.
  void (*rescore)(const float* rows, const float* columns, int64_t dim, ProductHit* hits, int32_t n_hits);

  /// |v - bf16(v)|, rounded up, of each vector; zeros where is_exact.
  void (*residuals)(const float* vectors, int64_t count, int64_t dim, float* residuals);

  /// Not null: instead of pack(), for products of bytes. Writes the dimensions, rounded to multiples of each vector's
  /// scale, into a panel and its trailer, and gives the squared lengths of what they lose. n_units() counts the
  /// trailer.
  void (*pack_bytes)(const float* vectors, int64_t dim, const float* scales, bool are_rows, uint32_t* panel,
                     float* lost_squares) = nullptr;
};

/// The last units of a panel of bytes; a column of floats each. Its product is scale of the row times scale of the
/// panel times the sum, plus addend, plus residual * longest + length * spread: the caller's bound. Thresholds of
/// columns are not heeded.
struct ByteTrailer {
  static constexpr int kUnits = 4;
  enum Row : int { kScale = 1, kResidual = 2, kLength = 3 };          // [width] each
  enum Column : int { kStart = 0, kAddend = 1, kOfPanel = 2 };        // [width] each; pack_bytes writes kStart
  enum OfPanel : int { kPanelScale = 0, kLongest = 1, kSpread = 2 };  // first values of kOfPanel
};

/// The fastest one that this machine can run, or the one that SHEAF_SCAN=portable|avx2|avx512|bf16|vnni names (for
/// tests and measurements). `vnni` multiplies bytes: only ops that have a bound for them take it, others then choose
/// themselves.
const ScanKernel& scan_kernel(bool may_be_bytes = false);
/// The fastest one of floats.
const ScanKernel& exact_scan_kernel();
/// Whether SHEAF_SCAN names one. Then ops use it for shapes, too, for which they would choose other code.
bool scan_kernel_is_named();
inline constexpr int32_t kMostScanKernels = 5;
/// All that this machine can run, the fastest first.
int32_t usable_scan_kernels(const ScanKernel** kernels, int32_t capacity, bool may_be_bytes = false);

/// Packed vectors, each with its threshold; panels are whole.
struct ScanSide {
  const uint32_t* panels;
  int64_t count;
  const float* thresholds;  // [count, up to a whole panel], or null for infinity
};

inline constexpr int32_t kMostScanWidth = 64;

inline constexpr int64_t kScanHits = 4096;  // offered together
/// Room that scan_block needs for hits.
inline int64_t scan_hit_capacity(const ScanKernel& kernel) { return kScanHits + kernel.rows * kernel.width; }

/// All rows against all columns, panels of columns in ascending order. offer(hits, n) takes the hits, with rows and
/// columns counted from the begin of both sides. It may raise thresholds.
template <class Offer>
void scan_block(const ScanKernel& kernel, int64_t n_units, const ScanSide& rows, const ScanSide& columns,
                ProductHit* hits, const Offer& offer) {
  float infinite[kMostScanWidth];
  std::fill_n(infinite, kMostScanWidth, std::numeric_limits<float>::infinity());
  for (int64_t c = 0; c < columns.count; c += kernel.width) {
    const float* column_thresholds = columns.thresholds ? columns.thresholds + c : infinite;
    int64_t n_hits = 0;
    for (int64_t r = 0; r < rows.count; r += kernel.width) {
      for (int32_t first = 0; first < kernel.width && r + first < rows.count; first += kernel.rows) {
        const int32_t n =
            kernel.scan(rows.panels + r * n_units, first, columns.panels + c * n_units, static_cast<int32_t>(n_units),
                        rows.thresholds + r, column_thresholds, hits + n_hits);
        for (const int64_t end = n_hits + n; n_hits < end; ++n_hits) {
          hits[n_hits].row += static_cast<int32_t>(r);
          hits[n_hits].column += static_cast<int32_t>(c);
        }
        if (n_hits < kScanHits) continue;
        offer(hits, n_hits);
        n_hits = 0;
      }
    }
    if (n_hits > 0) offer(hits, n_hits);
  }
}

/// A number of at least `low` that at least k of the values reach, close below the k-th best of them; `low` if at most
/// k values reach `low`. No value is above `high`. Counting has no branches, so it is faster than selecting, and a
/// filter's limit need not be one of the values.
float nearly_kth_best(const float* values, int64_t n, int64_t k, float low, float high);

extern const ScanKernel kPortableScan;
#if defined(__x86_64__)
extern const ScanKernel kAvx2Scan, kAvx512Scan, kBf16Scan, kVnniScan;
#endif

}  // namespace sheaf
