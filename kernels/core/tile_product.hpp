#pragma once
/// Products of small matrices with sums in registers, for any vector type. Templates for translation units that are
/// compiled for a newer instruction set than the rest; Vector is a type of that unit alone (lanes_avx2.hpp).
///
/// Vector is a struct with: Floats, kLanes, kVectors (of a product, side by side), kRows, zero, load, store, broadcast,
/// multiply_add, transpose.
///
/// A panel holds kLanes rows of a matrix, transposed: element c of row j at [c * kLanes + j]. Panels follow each other.

#include <cstdint>

namespace sheaf {

/// c[r, x] = or += sum over u of a[r * a_row + u * a_step] * b[u * b_step + x / width * b_vector + x % width]
/// for r < rows of the kernel and x < n_vectors * width. c[r, x] is c[r * c_row + x]. The terms are added to c or to
/// zero one after another, so with fused multiply-adds the bits do not depend on the width.
struct TileProduct {
  const float* a;
  int64_t a_row, a_step;
  const float* b;
  int64_t b_step, b_vector;
  int64_t n_terms;
  float* c;
  int64_t c_row;
  int64_t n_vectors;
  bool adds;
};

namespace detail {

template <class Vector, int kVectors>
inline void multiply_vectors(const TileProduct& p, int64_t first) {
  constexpr int kRows = Vector::kRows;
  using Floats = typename Vector::Floats;
  Floats sums[kRows][kVectors];
  float* c = p.c + first * Vector::kLanes;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = p.adds ? Vector::load(c + r * p.c_row + v * Vector::kLanes) : Vector::zero();
    }
  }
  const float* a = p.a;
  const float* b = p.b + first * p.b_vector;
  for (int64_t u = 0; u < p.n_terms; ++u) {
    Floats columns[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) columns[v] = Vector::load(b + v * p.b_vector);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Floats row = Vector::broadcast(a[r * p.a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] = Vector::multiply_add(row, columns[v], sums[r][v]);
    }
    a += p.a_step;
    b += p.b_step;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) Vector::store(c + r * p.c_row + v * Vector::kLanes, sums[r][v]);
  }
}

}  // namespace detail

/// Takes as many vectors side by side as fit, and the rest in even parts, because a single vector would wait for its
/// own sums.
template <class Vector>
void multiply_tile(const TileProduct& p) {
  int64_t first = 0;
  while (first < p.n_vectors) {
    const int64_t left = p.n_vectors - first;
    if constexpr (Vector::kVectors >= 3) {
      if (left == 3 || left >= 5) {
        detail::multiply_vectors<Vector, 3>(p, first);
        first += 3;
        continue;
      }
    }
    if (left >= 2) {
      detail::multiply_vectors<Vector, 2>(p, first);
      first += 2;
    } else {
      detail::multiply_vectors<Vector, 1>(p, first);
      first += 1;
    }
  }
}

/// Packs n rows of dim floats, `stride` apart, into panels, with zeros after the last row.
template <class Vector>
void pack_panels(const float* rows, int64_t stride, int64_t n, int64_t dim, float* panels) {
  constexpr int kLanes = Vector::kLanes;
  for (int64_t first = 0; first < n; first += kLanes) {
    const int64_t n_here = n - first < kLanes ? n - first : kLanes;
    const float* from = rows + first * stride;
    int64_t c = 0;
    if (n_here == kLanes) {
      for (; c + kLanes <= dim; c += kLanes) {
        typename Vector::Floats square[kLanes];
#pragma GCC unroll 16
        for (int j = 0; j < kLanes; ++j) square[j] = Vector::load(from + j * stride + c);
        Vector::transpose(square);
#pragma GCC unroll 16
        for (int u = 0; u < kLanes; ++u) Vector::store(panels + (c + u) * kLanes, square[u]);
      }
    }
    for (; c < dim; ++c) {
      for (int64_t j = 0; j < kLanes; ++j) panels[c * kLanes + j] = j < n_here ? from[j * stride + c] : 0.0f;
    }
    panels += dim * kLanes;
  }
}

}  // namespace sheaf
