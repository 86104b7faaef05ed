#pragma once
/// The code of a ProbabilityKernel for a vector type of a translation unit that is compiled for a newer instruction set
/// than the rest. Such a unit includes this file and no other code of the project (see
/// kernels/core/product_scan_kernel.hpp).
///
/// Lanes is the Vector of kernels/core/exponential.hpp and has also: kLanes, kVectors (a tile's width in vectors),
/// kRows (users that are multiplied together), zero, load, add, minimum(a, b) (b if one is NaN), reciprocal, Sums (a
/// vector of doubles for each lane), load_sums, store_sums, add_to_sums.

#include <cstdint>

#include "kernels/core/exponential.hpp"
#include "kernels/dense/mean_probability_tile.hpp"

namespace sheaf::dense::cpu {
namespace {

/// 1 / (1 + e^x), at most 3 units in the last place off, or 2^-126.
template <class Lanes>
inline typename Lanes::Floats sigmoid_of_negative(typename Lanes::Floats x) {
  constexpr float kMostExponent = 87.5f;  // beyond, the result is no normal number
  const auto e = ::sheaf::detail::split_exponential<Lanes>(Lanes::minimum(Lanes::broadcast(kMostExponent), x));
  const auto power = Lanes::multiply_add(e.above, e.power, e.power);
  return Lanes::reciprocal(Lanes::add(Lanes::broadcast(1.0f), power));
}

template <class Lanes>
void add_probabilities(const ProbabilityTile& tile) {
  constexpr int kRows = Lanes::kRows, kVectors = Lanes::kVectors, kLanes = Lanes::kLanes;
  for (int64_t first = 0; first < tile.n_users; first += kRows) {
    const int n = tile.n_users - first < kRows ? static_cast<int>(tile.n_users - first) : kRows;
    const float* rows[kRows];
    for (int r = 0; r < kRows; ++r) rows[r] = tile.users + (first + (r < n ? r : 0)) * tile.dim;
    typename Lanes::Floats scores[kRows][kVectors];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) scores[r][v] = Lanes::zero();
    }
    const float* packed = tile.packed;
    for (int64_t c = 0; c < tile.dim; ++c) {
      typename Lanes::Floats columns[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) columns[v] = Lanes::load(packed + v * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const typename Lanes::Floats row = Lanes::broadcast(rows[r][c]);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) scores[r][v] = Lanes::multiply_add(row, columns[v], scores[r][v]);
      }
      packed += kVectors * kLanes;
    }
    const typename Lanes::Floats slope = Lanes::broadcast(-tile.slope), offset = Lanes::broadcast(-tile.offset);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const typename Lanes::Floats of_item = Lanes::load(tile.item_bias + v * kLanes);
      typename Lanes::Sums sums = Lanes::load_sums(tile.sums + v * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        if (r >= n) continue;
        const typename Lanes::Floats own = Lanes::broadcast(tile.user_bias[first + r] + tile.bias);
        const typename Lanes::Floats logit = Lanes::add(Lanes::add(scores[r][v], own), of_item);
        Lanes::add_to_sums(sums, sigmoid_of_negative<Lanes>(Lanes::multiply_add(slope, logit, offset)));
      }
      Lanes::store_sums(tile.sums + v * kLanes, sums);
    }
  }
}

}  // namespace
}  // namespace sheaf::dense::cpu
