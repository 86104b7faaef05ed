#pragma once
/// The code of SumRows for any vector type. Some translation units are compiled for a newer instruction set than the
/// rest. Such a unit includes this file and no other code of the project, because the linker might keep an inline
/// function compiled there as the copy for all.
///
/// Vector is a struct with: Floats, kLanes, kMostVectors (sums that fit its registers), kHasMasks
/// (of a row's last, partial vector), and for each element E (a struct with Storage): zero(), broadcast(float),
/// multiply_add(a, b, c), multiply(a, b), add(a, b), load<E>(pointer), load_some<E>(pointer, n), store(pointer, v),
/// store_some(pointer, v, n).

#include <cstdint>
#include <utility>

#include "kernels/embedding/row_sum.hpp"

namespace sheaf::embedding::cpu {
namespace {

struct F32 {
  using Storage = float;
};
struct F16 {
  using Storage = uint16_t;
};
struct Bf16 {
  using Storage = uint16_t;
};
struct I8 {
  using Storage = int8_t;
};

constexpr int64_t kLineBytes = 64;

// Without weights a multiply-add gives the same sum. A plain add is 6 % faster.
template <class Vector, class Element, int kVectors, bool kHasTail, bool kIsWeighted>
int64_t sum_bags(const BagsOfRows& bags) {
  using Storage = typename Element::Storage;
  using Floats = typename Vector::Floats;
  constexpr int kLanes = Vector::kLanes;
  constexpr int kWhole = kHasTail ? kVectors - 1 : kVectors;
  constexpr int64_t kLines = (kVectors * kLanes * static_cast<int64_t>(sizeof(Storage)) + kLineBytes - 1) / kLineBytes;
  const auto* rows = static_cast<const Storage*>(bags.rows);
  const int32_t* ids = bags.ids;
  const int64_t dim = kHasTail ? bags.dim : kVectors * kLanes;
  const int n_tail = static_cast<int>(dim - kWhole * kLanes);
  const auto n_rows = static_cast<uint64_t>(bags.n_rows);
  int64_t fault = -1;
  for (int64_t b = bags.begin; b < bags.end; ++b) {
    const int64_t begin = bags.offsets ? bags.offsets[b] - bags.first_entry : b;
    const int64_t end = bags.offsets ? bags.offsets[b + 1] - bags.first_entry : b + 1;
    Floats sum[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) sum[v] = Vector::zero();
    for (int64_t e = begin; e < end; ++e) {
      if (e + bags.rows_ahead < bags.n_ids) {
        const int64_t ahead = ids[e + bags.rows_ahead];
        if (static_cast<uint64_t>(ahead) < n_rows) {
          const char* row = reinterpret_cast<const char*>(rows + ahead * dim);
#pragma GCC unroll 16
          for (int64_t line = 0; line < kLines; ++line) __builtin_prefetch(row + line * kLineBytes);
        }
      }
      const int64_t id = ids[e];
      if (static_cast<uint64_t>(id) >= n_rows) [[unlikely]] {
        if (fault < 0) fault = e;
        continue;
      }
      float weight = 1.0f;
      if constexpr (kIsWeighted) {
        if (bags.weights) weight = bags.weights[e];
        if (bags.scales) weight *= bags.scales[id];
      }
      const Floats weights = Vector::broadcast(weight);
      const auto add = [&](Floats value, Floats to) {
        return kIsWeighted ? Vector::multiply_add(weights, value, to) : Vector::add(value, to);
      };
      const Storage* row = rows + id * dim;
#pragma GCC unroll 16
      for (int v = 0; v < kWhole; ++v) sum[v] = add(Vector::template load<Element>(row + v * kLanes), sum[v]);
      if constexpr (kHasTail) {
        sum[kWhole] = add(Vector::template load_some<Element>(row + kWhole * kLanes, n_tail), sum[kWhole]);
      }
    }
    const Floats scale = Vector::broadcast(bags.is_mean && end > begin ? 1.0f / static_cast<float>(end - begin) : 1.0f);
    float* out = bags.out + b * dim;
#pragma GCC unroll 16
    for (int v = 0; v < kWhole; ++v) Vector::store(out + v * kLanes, Vector::multiply(scale, sum[v]));
    if constexpr (kHasTail) Vector::store_some(out + kWhole * kLanes, Vector::multiply(scale, sum[kWhole]), n_tail);
  }
  return fault;
}

template <class Vector, class Element, int kVectors, bool kHasTail>
int64_t sum_rows(const BagsOfRows& bags) {
  return bags.weights || bags.scales ? sum_bags<Vector, Element, kVectors, kHasTail, true>(bags)
                                     : sum_bags<Vector, Element, kVectors, kHasTail, false>(bags);
}

template <class Vector, class Element, int... kIndex>
SumRows choose_width(int64_t dim, std::integer_sequence<int, kIndex...>) {
  static constexpr SumRows kEven[] = {sum_rows<Vector, Element, kIndex + 1, false>...};
  const int64_t n_vectors = (dim + Vector::kLanes - 1) / Vector::kLanes;
  if (n_vectors > Vector::kMostVectors) return nullptr;
  if (dim % Vector::kLanes == 0) return kEven[n_vectors - 1];
  if constexpr (Vector::kHasMasks) {
    static constexpr SumRows kUneven[] = {sum_rows<Vector, Element, kIndex + 1, true>...};
    return kUneven[n_vectors - 1];
  }
  return nullptr;
}

template <class Vector>
SumRows choose_sum(RowElement element, int64_t dim) {
  const auto widths = std::make_integer_sequence<int, Vector::kMostVectors>{};
  switch (element) {
    case RowElement::f32: return choose_width<Vector, F32>(dim, widths);
    case RowElement::f16: return choose_width<Vector, F16>(dim, widths);
    case RowElement::bf16: return choose_width<Vector, Bf16>(dim, widths);
    case RowElement::i8: return choose_width<Vector, I8>(dim, widths);
  }
  return nullptr;
}

}  // namespace
}  // namespace sheaf::embedding::cpu
