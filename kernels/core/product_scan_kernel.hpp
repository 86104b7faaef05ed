#pragma once
/// The code of a ScanKernel for any vector type. Some translation units are compiled for a newer instruction set than
/// the rest. Such a unit includes this file and no other code of the project, because the linker might keep an inline
/// function compiled there as the copy for all.
///
/// Vector is a struct with: Floats, Units, kLanes, kVectors (a panel's width in vectors), kRows, load(units),
/// broadcast(unit), multiply_add(row, column, sums), load_floats, broadcast_float, minimum, reaches (a bit mask),
/// store. And with what the products of bytes do in another way than FloatProducts: Sums, kTrailer (units at the end of
/// a panel that are no dimensions), Terms (of a row and a column panel, from their trailers), start, product, limit,
/// upper.

#include <cstdint>

#include "kernels/core/product_scan.hpp"

namespace sheaf {
namespace {

/// The sums are the products. Type is a struct with Floats.
template <class Type>
struct FloatProducts {
  using Floats = typename Type::Floats;
  using Sums = Floats;
  static constexpr int kTrailer = 0;
  struct Terms {
    Terms(const uint32_t*, const uint32_t*, int) {}
  };
  static Sums start(const uint32_t*) { return Sums{}; }
  static Floats product(const Sums& sums, const Terms&, const uint32_t*) { return sums; }
  static float upper(float product, const Terms&) { return product; }
};

template <class Vector>
int32_t scan_panel(const uint32_t* row_panel, int32_t first_row, const uint32_t* column_panel, int32_t n_units,
                   const float* row_thresholds, const float* column_thresholds, ProductHit* hits) {
  constexpr int kRows = Vector::kRows;
  constexpr int kVectors = Vector::kVectors;
  constexpr int kLanes = Vector::kLanes;
  constexpr int kWidth = kVectors * kLanes;
  const int32_t n_products = n_units - Vector::kTrailer;
  const uint32_t* row_trailer = row_panel + first_row + n_products * kWidth;
  const uint32_t* column_trailer = column_panel + n_products * kWidth;
  typename Vector::Sums sums[kRows][kVectors];
#pragma GCC unroll 64
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sums[r][v] = Vector::start(column_trailer + v * kLanes);
  }
  const uint32_t* rows = row_panel + first_row;
  for (int32_t u = 0; u < n_products; ++u) {
    typename Vector::Units columns[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) columns[v] = Vector::load(column_panel + v * kLanes);
#pragma GCC unroll 64
    for (int r = 0; r < kRows; ++r) {
      const typename Vector::Units row = Vector::broadcast(rows + r);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sums[r][v] = Vector::multiply_add(row, columns[v], sums[r][v]);
    }
    rows += kWidth;
    column_panel += kWidth;
  }

  typename Vector::Floats limits[kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) limits[v] = Vector::load_floats(column_thresholds + v * kLanes);
  uint32_t masks[kRows][kVectors];
  uint32_t any = 0;
#pragma GCC unroll 64
  for (int r = 0; r < kRows; ++r) {
    const typename Vector::Terms terms(row_trailer + r, column_trailer, kWidth);
    const typename Vector::Floats limit = Vector::limit(row_thresholds[first_row + r], terms);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const auto product = Vector::product(sums[r][v], terms, column_trailer + v * kLanes);
      masks[r][v] = Vector::reaches(product, Vector::minimum(limit, limits[v]));
      any |= masks[r][v];
    }
  }
  if (any == 0) [[likely]]
    return 0;

  int32_t n_hits = 0;
  alignas(64) float products[kLanes];
#pragma GCC unroll 64
  for (int r = 0; r < kRows; ++r) {
    const typename Vector::Terms terms(row_trailer + r, column_trailer, kWidth);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      if (masks[r][v] == 0) continue;
      Vector::store(products, Vector::product(sums[r][v], terms, column_trailer + v * kLanes));
      for (uint32_t mask = masks[r][v]; mask != 0; mask &= mask - 1) {
        const int lane = __builtin_ctz(mask);
        hits[n_hits++] = {first_row + r, v * kLanes + lane, Vector::upper(products[lane], terms)};
      }
    }
  }
  return n_hits;
}

inline int32_t float_units(int64_t dim) { return static_cast<int32_t>(dim); }

/// Packs columns of a panel side by side, a group of dimensions at a time, so that what is written stays in the
/// first-level cache.
template <int kWidth>
void pack_floats(const float* vectors, int64_t dim, uint32_t* panel) {
  constexpr int64_t kGroup = 16;
  for (int64_t first = 0; first < dim; first += kGroup) {
    const int64_t last = first + kGroup < dim ? first + kGroup : dim;
    for (int64_t j = 0; j < kWidth; ++j) {
      for (int64_t d = first; d < last; ++d) {
        panel[d * kWidth + j] = __builtin_bit_cast(uint32_t, vectors[j * dim + d]);
      }
    }
  }
}

/// Eight hits side by side hide the latency of each one's chain of sums.
inline void rescore_in_float(const float* rows, const float* columns, int64_t dim, ProductHit* hits, int32_t n_hits) {
  constexpr int32_t kTogether = 8;
  for (int32_t first = 0; first < n_hits; first += kTogether) {
    const int32_t n = n_hits - first < kTogether ? n_hits - first : kTogether;
    const float* row[kTogether];
    const float* column[kTogether];
    float sums[kTogether] = {};
    for (int32_t h = 0; h < kTogether; ++h) {
      const ProductHit& hit = hits[first + (h < n ? h : 0)];
      row[h] = rows + hit.row * dim;
      column[h] = columns + hit.column * dim;
    }
    for (int64_t d = 0; d < dim; ++d) {
#pragma GCC unroll 8
      for (int32_t h = 0; h < kTogether; ++h) sums[h] = __builtin_fmaf(row[h][d], column[h][d], sums[h]);
    }
    for (int32_t h = 0; h < n; ++h) hits[first + h].product = sums[h];
  }
}

inline void keep_products(const float*, const float*, int64_t, ProductHit*, int32_t) {}

inline void no_residuals(const float*, int64_t count, int64_t, float* residuals) {
  for (int64_t j = 0; j < count; ++j) residuals[j] = 0.0f;
}

}  // namespace
}  // namespace sheaf
