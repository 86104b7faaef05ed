#pragma once
/// The loops of als_system.hpp for any vector type, for translation units that are compiled for a newer instruction set
/// than the rest. Vector is a type of that unit alone (core/lanes_avx2.hpp); its kLanes and kRows divide kSystemLanes.

#include "kernels/core/tile_product.hpp"
#include "kernels/sparse/als_system.hpp"

namespace sheaf::sparse::cpu {
namespace {

constexpr int64_t kPivots = 4;        // whose rows are taken off the others together
constexpr int64_t kMostPivots = 256;  // of a system

// Element x of term u is at terms[u * step + x / kLanes * vector + x % kLanes].
template <class Vector>
void multiply_als_terms(const AlsSystem& s, const float* terms, int64_t step, int64_t vector, int64_t n_terms,
                        bool adds) {
  constexpr int64_t kLanes = Vector::kLanes;
  for (int64_t row = 0; row < s.size; row += Vector::kRows) {
    const int64_t column = row / kSystemLanes * kSystemLanes;
    multiply_tile<Vector>({.a = terms + row / kLanes * vector + row % kLanes,
                           .a_row = 1,
                           .a_step = step,
                           .b = terms + column / kLanes * vector,
                           .b_step = step,
                           .b_vector = vector,
                           .n_terms = n_terms,
                           .c = s.a + row * s.stride + column,
                           .c_row = s.stride,
                           .n_vectors = (s.size - column + kLanes - 1) / kLanes,
                           .adds = adds});
  }
}

template <class Vector>
void add_als_terms(const AlsSystem& s, const float* terms, int64_t n_terms, bool adds) {
  const int64_t width = (s.size + kSystemLanes - 1) / kSystemLanes * kSystemLanes;
  multiply_als_terms<Vector>(s, terms, width, Vector::kLanes, n_terms, adds);
}

template <class Vector>
void multiply_als_rows(const AlsSystem& s, const float* rows, int64_t dim, float* panels) {
  pack_panels<Vector>(rows, dim, s.size, dim, panels);
  multiply_als_terms<Vector>(s, panels, Vector::kLanes, dim * Vector::kLanes, dim, false);
}

// R^T R = a with rows of R in place; what stands before the diagonal goes along with its vector and does not count.
template <class Vector>
void solve_als_system(const AlsSystem& s, float* solution) {
  using Floats = typename Vector::Floats;
  constexpr int64_t kLanes = Vector::kLanes;
  const int64_t m = s.size, width = s.stride;
  float inverses[kMostPivots];  // of the diagonal of R
  for (int64_t p = 0; p < m; p += kPivots) {
    const int64_t block = m - p < kPivots ? m - p : kPivots;
    for (int64_t q = p; q < p + block; ++q) {
      float* own = s.a + q * width;
      for (int64_t t = p; t < q; ++t) {
        const float* pivots = s.a + t * width;
        const Floats factor = Vector::broadcast(-pivots[q]);
        for (int64_t c = p / kLanes * kLanes; c < width; c += kLanes) {
          Vector::store(own + c, Vector::multiply_add(factor, Vector::load(pivots + c), Vector::load(own + c)));
        }
      }
      inverses[q] = 1.0f / __builtin_sqrtf(own[q]);
      const Floats scale = Vector::broadcast(inverses[q]);
      for (int64_t c = p / kLanes * kLanes; c < width; c += kLanes) {
        Vector::store(own + c, Vector::multiply(scale, Vector::load(own + c)));
      }
    }
    if (block < kPivots) break;
    const float* pivots = s.a + p * width;
    for (int64_t r = p + kPivots; r < m; ++r) {
      float* own = s.a + r * width;
      const Floats factor0 = Vector::broadcast(-pivots[r]), factor1 = Vector::broadcast(-pivots[width + r]);
      const Floats factor2 = Vector::broadcast(-pivots[2 * width + r]),
                   factor3 = Vector::broadcast(-pivots[3 * width + r]);
      for (int64_t c = r / kLanes * kLanes; c < width; c += kLanes) {
        const float* from = pivots + c;
        Floats left = Vector::multiply_add(factor0, Vector::load(from), Vector::load(own + c));
        left = Vector::multiply_add(factor1, Vector::load(from + width), left);
        left = Vector::multiply_add(factor2, Vector::load(from + 2 * width), left);
        Vector::store(own + c, Vector::multiply_add(factor3, Vector::load(from + 3 * width), left));
      }
    }
  }
  // Places that have no value yet are 0, so whole vectors can be taken. First the rows beyond the last whole block,
  // then the blocks: their four sums do not wait for each other.
  const int64_t n_found = (m + kSystemLanes - 1) / kSystemLanes * kSystemLanes;
  for (int64_t c = 0; c < n_found; c += kLanes) Vector::store(solution + c, Vector::zero());
  for (int64_t end = m; end > 0;) {
    const int64_t p = (end - 1) / kPivots * kPivots, block = end - p;
    float known[kPivots] = {};
    const float* rows = s.a + p * width;
    // kSystemLanes sums of each row, whatever the width of a vector; rows beyond m are there and do not count.
    constexpr int64_t kParts = kSystemLanes / kLanes;
    Floats sums[kPivots][kParts];
#pragma GCC unroll 4
    for (int64_t q = 0; q < kPivots; ++q) {
#pragma GCC unroll 4
      for (int64_t part = 0; part < kParts; ++part) sums[q][part] = Vector::zero();
    }
    for (int64_t c = p / kSystemLanes * kSystemLanes; c < n_found; c += kSystemLanes) {
#pragma GCC unroll 4
      for (int64_t part = 0; part < kParts; ++part) {
        const Floats found = Vector::load(solution + c + part * kLanes);
        const float* from = rows + c + part * kLanes;
#pragma GCC unroll 4
        for (int64_t q = 0; q < kPivots; ++q) {
          sums[q][part] = Vector::multiply_add(Vector::load(from + q * width), found, sums[q][part]);
        }
      }
    }
#pragma GCC unroll 4
    for (int64_t q = 0; q < kPivots; ++q) {
#pragma GCC unroll 4
      for (int64_t half = kParts / 2; half > 0; half /= 2) {
        for (int64_t part = 0; part < half; ++part) {
          sums[q][part] = Vector::add(sums[q][part], sums[q][part + half]);
        }
      }
      known[q] = Vector::sum(sums[q][0]);
    }
    for (int64_t q = block - 1; q >= 0; --q) {
      const float* row = rows + q * width;
      float left = row[m] - known[q];
      for (int64_t t = q + 1; t < block; ++t) left -= row[p + t] * solution[p + t];
      solution[p + q] = left * inverses[p + q];
    }
    end = p;
  }
}

template <class Vector>
constexpr AlsSystemLoops make_als_system(const char* name) {
  static_assert(kSystemLanes % Vector::kLanes == 0 && kSystemLanes % Vector::kRows == 0);
  return {name, add_als_terms<Vector>, multiply_als_rows<Vector>, solve_als_system<Vector>};
}

}  // namespace
}  // namespace sheaf::sparse::cpu
