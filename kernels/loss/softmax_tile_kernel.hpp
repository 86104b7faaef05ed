#pragma once
/// The code of a SoftmaxTile for any vector type. Some translation units are compiled for a newer instruction set than
/// the rest. Such a unit includes this file, its lanes of kernels/core, and no other code of the project, because the
/// linker might keep an inline function compiled there as the copy for all.

#include <cstdint>

#include "kernels/core/exponential.hpp"
#include "kernels/core/tile_product.hpp"
#include "kernels/loss/softmax_tile.hpp"

namespace sheaf::loss::cpu {
namespace {

/// The sum of kSumLanes lanes in vectors: halves are added until one lane is left.
template <class Vector>
inline float sum_of(typename Vector::Floats (&sums)[kSumLanes / Vector::kLanes]) {
  constexpr int kVectors = kSumLanes / Vector::kLanes;
#pragma GCC unroll 4
  for (int half = kVectors / 2; half > 0; half /= 2) {
#pragma GCC unroll 4
    for (int v = 0; v < half; ++v) sums[v] = Vector::add(sums[v], sums[v + half]);
  }
  return Vector::sum(sums[0]);
}

template <class Vector>
inline typename Vector::Floats score_at(const float* x, const float* bias, int64_t j) {
  return Vector::add(Vector::load(x + j), Vector::load(bias + j));
}

template <class Vector>
void exponentials(const SoftmaxRows& rows, float* largest, float* totals) {
  constexpr int kVectors = kSumLanes / Vector::kLanes;
  using Floats = typename Vector::Floats;
  for (int64_t r = 0; r < rows.n_rows; ++r) {
    float* x = rows.x + r * rows.stride;
    Floats most[kVectors], sums[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      most[v] = Vector::broadcast(largest[r]);
      sums[v] = Vector::zero();
    }
    for (int64_t j = 0; j < rows.n_items; j += kSumLanes) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        most[v] = Vector::maximum(score_at<Vector>(x, rows.bias, j + v * Vector::kLanes), most[v]);
      }
    }
#pragma GCC unroll 4
    for (int v = 1; v < kVectors; ++v) most[0] = Vector::maximum(most[v], most[0]);
    largest[r] = Vector::largest(most[0]);
    const Floats shift = Vector::broadcast(largest[r] == -__builtin_inff() ? 0.0f : largest[r]);
    for (int64_t j = 0; j < rows.n_items; j += kSumLanes) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const int64_t at = j + v * Vector::kLanes;
        const Floats e = exponential<Vector>(Vector::subtract(score_at<Vector>(x, rows.bias, at), shift));
        Vector::store(x + at, e);
        sums[v] = Vector::add(sums[v], e);
      }
    }
    totals[r] = sum_of<Vector>(sums);
  }
}

template <class Vector>
void probabilities(const SoftmaxRows& rows, const float* largest, const float* factor) {
  using Floats = typename Vector::Floats;
  for (int64_t r = 0; r < rows.n_rows; ++r) {
    float* x = rows.x + r * rows.stride;
    const Floats shift = Vector::broadcast(largest[r]), scale = Vector::broadcast(factor[r]);
    for (int64_t j = 0; j < rows.n_items; j += Vector::kLanes) {
      const Floats e = exponential<Vector>(Vector::subtract(score_at<Vector>(x, rows.bias, j), shift));
      Vector::store(x + j, Vector::multiply(scale, e));
    }
  }
}

// kSumLanes columns at a time, so that several sums are under way.
template <class Vector>
void add_rows(const float* x, int64_t stride, int64_t n_rows, int64_t n_items, float* sums) {
  constexpr int kVectors = kSumLanes / Vector::kLanes;
  for (int64_t j = 0; j < n_items; j += kSumLanes) {
    typename Vector::Floats sum[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[v] = Vector::load(sums + j + v * Vector::kLanes);
    for (int64_t r = 0; r < n_rows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        sum[v] = Vector::add(sum[v], Vector::load(x + r * stride + j + v * Vector::kLanes));
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) Vector::store(sums + j + v * Vector::kLanes, sum[v]);
  }
}

template <class Vector>
constexpr SoftmaxTile make_softmax_tile(const char* name) {
  static_assert(kSumLanes % Vector::kLanes == 0 && kSumLanes % Vector::kRows == 0);
  return {name,
          Vector::kLanes,
          Vector::kRows,
          pack_panels<Vector>,
          multiply_tile<Vector>,
          exponentials<Vector>,
          probabilities<Vector>,
          add_rows<Vector>};
}

}  // namespace
}  // namespace sheaf::loss::cpu
