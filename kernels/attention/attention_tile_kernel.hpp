#pragma once
/// The code of a TileKernel for any vector type. Some translation units are compiled for a newer instruction set than
/// the rest. Such a unit includes this file and no other code of the project, because the linker might keep an inline
/// function compiled there as the copy for all.
///
/// Vector is a struct with what kernels/core/exponential.hpp asks for and: kLanes, kVectors (of a product, side by
/// side), kRows, zero, load, store, add, subtract, first(x, n, rest) (the first n lanes of x, then `rest`), largest,
/// sum, transpose.

#include <cstdint>

#include "kernels/attention/attention_tile.hpp"
#include "kernels/core/exponential.hpp"

namespace sheaf::attention::cpu {
namespace {

template <class Vector, int kVectors>
inline void multiply_vectors(const Product& p, int64_t first) {
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

/// Takes as many vectors side by side as fit, and the rest in even parts, because a single vector would wait for its
/// own sums.
template <class Vector>
void multiply(const Product& p) {
  int64_t first = 0;
  while (first < p.n_vectors) {
    const int64_t left = p.n_vectors - first;
    if constexpr (Vector::kVectors >= 3) {
      if (left == 3 || left >= 5) {
        multiply_vectors<Vector, 3>(p, first);
        first += 3;
        continue;
      }
    }
    if (left >= 2) {
      multiply_vectors<Vector, 2>(p, first);
      first += 2;
    } else {
      multiply_vectors<Vector, 1>(p, first);
      first += 1;
    }
  }
}

template <class Vector>
inline typename Vector::Floats score_at(const float* x, const float* bias, const float* hidden, int64_t j) {
  typename Vector::Floats score = Vector::load(x + j);
  if (bias != nullptr) score = Vector::add(score, Vector::load(bias + j));
  if (hidden != nullptr) score = Vector::add(score, Vector::load(hidden + j));
  return score;
}

template <class Vector>
inline void fill_zeros(float* x, int64_t first, int64_t n) {
  for (int64_t j = first; j < n; j += Vector::kLanes) Vector::store(x + j, Vector::zero());
}

/// Lanes of the vector at j that belong to the first n elements.
template <class Vector>
inline int lanes_at(int64_t j, int64_t n) {
  return n - j < Vector::kLanes ? static_cast<int>(n - j) : Vector::kLanes;
}

template <class Vector>
void forward_row(ForwardRow& row) {
  constexpr int kLanes = Vector::kLanes;
  using Floats = typename Vector::Floats;
  const Floats none = Vector::broadcast(-__builtin_inff());
  Floats most = Vector::broadcast(row.largest);
  for (int64_t j = 0; j < row.n; j += kLanes) {
    const Floats x = Vector::first(score_at<Vector>(row.x, row.bias, row.hidden, j), lanes_at<Vector>(j, row.n), none);
    Vector::store(row.x + j, x);
    most = Vector::maximum(x, most);
  }
  const float largest = Vector::largest(most);
  // Where nothing is seen, the largest is -infinity, and so is every score.
  const Floats shift = Vector::broadcast(largest == -__builtin_inff() ? 0.0f : largest);
  Floats total = Vector::zero();
  int64_t j = 0;
  for (; j < row.n; j += kLanes) {
    const Floats p = exponential<Vector>(Vector::subtract(Vector::load(row.x + j), shift));
    Vector::store(row.x + j, p);
    total = Vector::add(total, p);
  }
  fill_zeros<Vector>(row.x, j, row.n_filled);
  row.largest = largest;
  row.total += Vector::sum(total);
}

template <class Vector>
void backward_row(const BackwardRow& row) {
  constexpr int kLanes = Vector::kLanes;
  using Floats = typename Vector::Floats;
  // exp(x - infinity) is 0, as it should be where nothing is seen.
  const Floats shift = Vector::broadcast(row.log_sum_exp == -__builtin_inff() ? __builtin_inff() : row.log_sum_exp);
  const Floats delta = Vector::broadcast(row.delta);
  int64_t j = 0;
  for (; j < row.n; j += kLanes) {
    const int n_lanes = lanes_at<Vector>(j, row.n);
    const Floats x = score_at<Vector>(row.x, row.bias, row.hidden, j);
    const Floats p = Vector::first(exponential<Vector>(Vector::subtract(x, shift)), n_lanes, Vector::zero());
    Floats d_p = Vector::first(Vector::load(row.d + j), n_lanes, Vector::zero());
    Floats kept = p;
    if (row.keep != nullptr) {
      const Floats keep = Vector::load(row.keep + j);
      d_p = Vector::multiply(d_p, keep);
      kept = Vector::multiply(p, keep);
    }
    const Floats d_x = Vector::multiply(p, Vector::subtract(d_p, delta));
    Vector::store(row.x + j, kept);
    Vector::store(row.d + j, d_x);
    if (row.d_bias != nullptr) Vector::store(row.d_bias + j, Vector::add(Vector::load(row.d_bias + j), d_x));
  }
  fill_zeros<Vector>(row.x, j, row.n_filled);
  fill_zeros<Vector>(row.d, j, row.n_filled);
}

template <class Vector>
void pack(const float* rows, int64_t stride, int64_t n, int64_t dim, float* panels) {
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

template <class Vector>
constexpr TileKernel make_tile_kernel(const char* name) {
  return {
      name, Vector::kLanes, Vector::kRows, pack<Vector>, multiply<Vector>, forward_row<Vector>, backward_row<Vector>};
}

}  // namespace
}  // namespace sheaf::attention::cpu
