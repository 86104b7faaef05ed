#include <algorithm>
#include <atomic>
#include <cstring>

#include "kernels/core/parallel.hpp"
#include "kernels/embedding/table_bag.hpp"

namespace sheaf::embedding::cpu {
namespace {

constexpr int64_t kPrefetchAhead =
    16;  // rows; a bag of 20 then starts its successor's rows while it still adds its own
constexpr int64_t kLineBytes = 64;

void note_fault(uint64_t* fault, int64_t place) {
  std::atomic_ref<uint64_t> word(*fault);
  uint64_t lowest = word.load(std::memory_order_relaxed);
  while (static_cast<uint64_t>(place) < lowest &&
         !word.compare_exchange_weak(lowest, static_cast<uint64_t>(place), std::memory_order_relaxed)) {
  }
}

template <class T>
void add_row(float weight, const T* row, float* __restrict sum, int64_t dim) {
#pragma omp simd
  for (int64_t c = 0; c < dim; ++c) sum[c] += weight * to_float(row[c]);
}

// Eight floats in a register; written out, since the compiler does not keep an array of 64 sums in registers by itself.
using Vector = float __attribute__((vector_size(32)));

Vector load(const float* from) {
  Vector v;
  std::memcpy(&v, from, sizeof(v));
  return v;
}

// Asks for the row of the entry that comes kPrefetchAhead later, in this bag or the next.
template <class T>
void prefetch_row(const TableBagArgs& args, const TableRange& range, int64_t e, int64_t dim) {
  if (e + kPrefetchAhead >= args.bags.ids.size) return;
  const auto ahead = static_cast<uint64_t>(static_cast<int64_t>(args.bags.ids[e + kPrefetchAhead]));
  if (ahead >= static_cast<uint64_t>(range.n_rows)) return;
  const T* row = static_cast<const T*>(args.tables.data) + (range.first + static_cast<int64_t>(ahead)) * dim;
  for (int64_t c = 0; c < dim; c += kLineBytes / static_cast<int64_t>(sizeof(T))) __builtin_prefetch(row + c);
}

// Rows of kDim floats. Every loop over the sum is unrolled: one that is not would put it into memory.
template <int kDim>
void sum_bag_of_width(const TableBagArgs& args, const TableRange& range, BagRange entries, float scale, float* out) {
  constexpr int kVectors = kDim / 8;
  const float* table = static_cast<const float*>(args.tables.data);
  Vector sum[kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) sum[v] = Vector{};
  for (int64_t e = entries.begin; e < entries.end; ++e) {
    prefetch_row<float>(args, range, e, kDim);
    const int64_t id = args.bags.ids[e];
    if (id < 0 || id >= range.n_rows) {
      note_fault(args.fault, e);
      continue;
    }
    const float* row = table + (range.first + id) * kDim;
    const float weight = args.bags.weights ? args.bags.weights[e] : 1.0f;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[v] += weight * load(row + 8 * v);
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const Vector scaled = scale * sum[v];
    std::memcpy(out + 8 * v, &scaled, sizeof(Vector));
  }
}

template <class T>
void sum_bag(const TableBagArgs& args, const TableRange& range, BagRange entries, float scale, float* out) {
  const int64_t dim = args.tables.dim;
  const T* table = static_cast<const T*>(args.tables.data);
  std::fill_n(out, dim, 0.0f);
  for (int64_t e = entries.begin; e < entries.end; ++e) {
    prefetch_row<T>(args, range, e, dim);
    const int64_t id = args.bags.ids[e];
    if (id < 0 || id >= range.n_rows) {
      note_fault(args.fault, e);
      continue;
    }
    const int64_t row = range.first + id;
    const float weight =
        (args.bags.weights ? args.bags.weights[e] : 1.0f) * (args.tables.scales ? args.tables.scales[row] : 1.0f);
    add_row(weight, table + row * dim, out, dim);
  }
  if (scale != 1.0f) {
    for (int64_t c = 0; c < dim; ++c) out[c] *= scale;
  }
}

template <class T>
void max_bag(const TableBagArgs& args, const TableRange& range, BagRange entries, float* out, int32_t* winners) {
  const int64_t dim = args.tables.dim;
  const T* table = static_cast<const T*>(args.tables.data);
  std::fill_n(out, dim, 0.0f);
  if (winners) std::fill_n(winners, dim, -1);
  bool first = true;
  for (int64_t e = entries.begin; e < entries.end; ++e) {
    const int64_t id = args.bags.ids[e];
    if (id < 0 || id >= range.n_rows) {
      note_fault(args.fault, e);
      continue;
    }
    const int64_t row = range.first + id;
    const float scale = args.tables.scales ? args.tables.scales[row] : 1.0f;
    for (int64_t c = 0; c < dim; ++c) {
      const float value = scale * to_float(table[row * dim + c]);
      if (!first && !(value > out[c]) && !(value != value && out[c] == out[c])) continue;
      out[c] = value;
      if (winners) winners[c] = static_cast<int32_t>(e - entries.begin);
    }
    first = false;
  }
}

template <class T>
void one_bag(const TableBagArgs& args, int64_t b) {
  const BagRange entries = bag_range(args.bags, b);
  const TableRange range = table_range(args.tables, args.bags, b);
  float* out = args.out.row(b);
  if (args.pooling == Pooling::max) {
    max_bag<T>(args, range, entries, out, args.winners.data ? args.winners.row(b) : nullptr);
    return;
  }
  const bool divides = args.pooling == Pooling::mean && entries.end > entries.begin;
  const float scale = divides ? 1.0f / static_cast<float>(entries.end - entries.begin) : 1.0f;
  if constexpr (std::is_same_v<T, float>) {
    if (args.tables.dim == 64) return sum_bag_of_width<64>(args, range, entries, scale, out);
    if (args.tables.dim == 32) return sum_bag_of_width<32>(args, range, entries, scale, out);
  }
  sum_bag<T>(args, range, entries, scale, out);
}

}  // namespace

void table_bag(Context& context, const TableBagArgs& args) {
  constexpr int64_t kGrain = 64;
  with_element(args.tables.type, [&]<class T>(T) {
    parallel_for(context, args.bags.n_bags, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) one_bag<T>(args, b);
    });
  });
}

}  // namespace sheaf::embedding::cpu
