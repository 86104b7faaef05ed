#pragma once
/// The text of SumRows for any vector type. Translation units that are compiled for a newer instruction set than the rest include this
/// and nothing else of the project that holds code: an inline function compiled there might be the copy that the linker keeps for all.
///
/// Vector is a struct with: Floats, kLanes, kMostVectors (sums that fit its registers), kHasMasks (of a row's last, partial vector), and for
/// each element E (a struct with Storage): zero(), broadcast(float), multiply_add(a, b, c), multiply(a, b), load<E>(pointer),
/// load_some<E>(pointer, n), store(pointer, v), store_some(pointer, v, n).

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

constexpr int64_t kRowsAhead = 24;  // a bag of 20 then fetches its successor's rows while it still adds its own
constexpr int64_t kLineBytes = 64;

template <class Vector, class Element, int kVectors, bool kHasTail>
int64_t sum_rows(const BagOfRows& bag) {
  using Storage = typename Element::Storage;
  constexpr int kLanes = Vector::kLanes;
  constexpr int kWhole = kHasTail ? kVectors - 1 : kVectors;
  constexpr int64_t kLines = (kVectors * kLanes * static_cast<int64_t>(sizeof(Storage)) + kLineBytes - 1) / kLineBytes;
  const auto* rows = static_cast<const Storage*>(bag.rows);
  const int64_t dim = bag.dim;
  const int n_tail = static_cast<int>(dim - kWhole * kLanes);
  int64_t fault = -1;
  typename Vector::Floats sum[kVectors];
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; ++v) sum[v] = Vector::zero();
  for (int64_t e = bag.begin; e < bag.end; ++e) {
    if (e + kRowsAhead < bag.n_ids) {
      const int64_t ahead = bag.ids[e + kRowsAhead];
      if (static_cast<uint64_t>(ahead) < static_cast<uint64_t>(bag.n_rows)) {
        const char* row = reinterpret_cast<const char*>(rows + ahead * dim);
#pragma GCC unroll 16
        for (int64_t line = 0; line < kLines; ++line) __builtin_prefetch(row + line * kLineBytes);
      }
    }
    const int64_t id = bag.ids[e];
    if (static_cast<uint64_t>(id) >= static_cast<uint64_t>(bag.n_rows)) [[unlikely]] {
      if (fault < 0) fault = e;
      continue;
    }
    float weight = bag.weights ? bag.weights[e] : 1.0f;
    if (bag.scales) weight *= bag.scales[id];
    const typename Vector::Floats weights = Vector::broadcast(weight);
    const Storage* row = rows + id * dim;
#pragma GCC unroll 16
    for (int v = 0; v < kWhole; ++v) {
      sum[v] = Vector::multiply_add(weights, Vector::template load<Element>(row + v * kLanes), sum[v]);
    }
    if constexpr (kHasTail) {
      const auto last = Vector::template load_some<Element>(row + kWhole * kLanes, n_tail);
      sum[kWhole] = Vector::multiply_add(weights, last, sum[kWhole]);
    }
  }
  const typename Vector::Floats scale = Vector::broadcast(bag.scale);
#pragma GCC unroll 16
  for (int v = 0; v < kWhole; ++v) Vector::store(bag.out + v * kLanes, Vector::multiply(scale, sum[v]));
  if constexpr (kHasTail) Vector::store_some(bag.out + kWhole * kLanes, Vector::multiply(scale, sum[kWhole]), n_tail);
  return fault;
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
