#pragma once
/// The code of a TileKernel for any vector type. Some translation units are compiled for a newer instruction set than
/// the rest. Such a unit includes this file, its lanes of kernels/core, and no other code of the project, because the
/// linker might keep an inline function compiled there as the copy for all.
///
/// Vector is a struct with what kernels/core/exponential.hpp and tile_product.hpp ask for and: add, subtract,
/// first(x, n, rest) (the first n lanes of x, then `rest`), largest, sum.

#include <cstdint>

#include "kernels/attention/attention_tile.hpp"
#include "kernels/core/exponential.hpp"
#include "kernels/core/tile_product.hpp"

namespace sheaf::attention::cpu {
namespace {

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
constexpr TileKernel make_tile_kernel(const char* name) {
  return {name,
          Vector::kLanes,
          Vector::kRows,
          pack_panels<Vector>,
          multiply_tile<Vector>,
          forward_row<Vector>,
          backward_row<Vector>};
}

}  // namespace
}  // namespace sheaf::attention::cpu
