#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "kernels/core/parallel.hpp"
#include "kernels/embedding/fault_cpu.hpp"
#include "kernels/embedding/row_sum.hpp"
#include "kernels/embedding/table_bag.hpp"

namespace sheaf::embedding::cpu {
namespace {

constexpr int64_t kPrefetchAhead =
    16;  // rows; a bag of 20 then starts its successor's rows while it still adds its own
// The same for SumRows, also beyond a bag's end. At the goal shape on an EPYC (README.md), 24 is slower cold and for
// uniform ids, 64 is slower warm. For bags of few rows, where more time goes into each, 16 is faster than 40.
constexpr int64_t kRowsAhead = 40, kFewRowsAhead = 16, kFewRows = 4;
constexpr int64_t kLineBytes = 64;
constexpr int64_t kPrefetchBytes = 512;
constexpr int64_t kPieceBags = 256;
constexpr int64_t kPieceEntries = 1024;
constexpr int64_t kCopied = 4;  // ids that are copied at once

template <class T>
void add_row(float weight, const T* row, float* __restrict sum, int64_t dim) {
#pragma omp simd
  for (int64_t c = 0; c < dim; ++c) sum[c] = __builtin_fmaf(weight, to_float(row[c]), sum[c]);
}

// Asks for the row of the entry that comes kPrefetchAhead later, in this bag or the next.
template <class T>
void prefetch_row(const TableBagArgs& args, const TableRange& range, int64_t e, int64_t dim) {
  if (e + kPrefetchAhead >= args.bags.ids.size) return;
  const auto ahead = static_cast<uint64_t>(static_cast<int64_t>(args.bags.ids[e + kPrefetchAhead]));
  if (ahead >= static_cast<uint64_t>(range.n_rows)) return;
  const T* row = static_cast<const T*>(args.tables.data) + (range.first + static_cast<int64_t>(ahead)) * dim;
  const int64_t most = kPrefetchBytes / static_cast<int64_t>(sizeof(T));  // the processor itself goes on from there
  const int64_t n = std::min(dim, most);
  for (int64_t c = 0; c < n; c += kLineBytes / static_cast<int64_t>(sizeof(T))) __builtin_prefetch(row + c);
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

RowElement element_of(TableType type) {
  switch (type) {
    case TableType::f32: return RowElement::f32;
    case TableType::f16: return RowElement::f16;
    case TableType::bf16: return RowElement::bf16;
    case TableType::i8: return RowElement::i8;
  }
  return RowElement::f32;
}

/// The fastest that this machine runs, or the one that SHEAF_ROW_SUM=avx512|avx2|portable names (for tests); null:
/// sum_bag().
SumRows choose_sum_rows(const Tables& tables) {
#if defined(__x86_64__)
  const char* wanted = std::getenv("SHEAF_ROW_SUM");
  const auto is_wanted = [&](const RowSums& sums) {
    return wanted == nullptr || *wanted == '\0' || std::strcmp(wanted, sums.name) == 0;
  };
  __builtin_cpu_init();
  const bool has_avx512 =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  const bool has_avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  for (const auto& [usable, sums] : {std::pair{has_avx512, &kAvx512RowSums}, std::pair{has_avx2, &kAvx2RowSums}}) {
    if (!usable || !is_wanted(*sums)) continue;
    if (const SumRows sum = sums->choose(element_of(tables.type), tables.dim)) return sum;
  }
#endif
  return nullptr;
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
  sum_bag<T>(args, range, entries, scale, out);
}

// Bags [begin, end), table by table.
template <class T>
void sum_bags(const TableBagArgs& args, SumRows sum_rows, int64_t begin, int64_t end) {
  const Tables& tables = args.tables;
  const Bags& bags = args.bags;
  const int64_t bags_a_table = bags.n_bags / tables.n_tables;
  const int64_t rows_ahead = bags.ids.size <= kFewRows * bags.n_bags ? kFewRowsAhead : kRowsAhead;
  for (int64_t b = begin, last; b < end; b = last) {
    last = std::min(end, (b / bags_a_table + 1) * bags_a_table);
    const TableRange range = table_range(tables, bags, b);
    const T* rows = static_cast<const T*>(tables.data) + range.first * tables.dim;
    const float* scales = tables.scales ? tables.scales + range.first : nullptr;
    const int64_t fault =
        sum_rows({rows, scales, bags.ids.data, bags.weights, bags.offsets, bags.first_entry, range.n_rows, tables.dim,
                  bags.ids.size, b, last, rows_ahead, args.pooling == Pooling::mean, args.out.data});
    if (fault >= 0) note_fault(args.fault, fault);
  }
}

// Entities lie anywhere: their bags are asked for ahead, first the offsets, then the ids.
void prefetch_bag(const Bags& bags, int64_t b) {
  constexpr int64_t kOffsetsAhead = 48, kIdsAhead = 24;
  if (b + kOffsetsAhead < bags.n_bags && !lacks_entity(bags, b + kOffsetsAhead)) {
    __builtin_prefetch(bags.offsets + bags.entities[b + kOffsetsAhead]);
  }
  if (b + kIdsAhead < bags.n_bags && !lacks_entity(bags, b + kIdsAhead)) {
    __builtin_prefetch(bags.ids.data + bags.offsets[bags.entities[b + kIdsAhead]] - bags.first_entry);
  }
}

// Elements of a table of width 1, such as biases: nothing to vectorize, and no entities to write out.
template <class T>
void scalar_bags(const TableBagArgs& args, int64_t begin, int64_t end) {
  const Tables& tables = args.tables;
  const Bags& bags = args.bags;
  const T* table = static_cast<const T*>(tables.data);
  for (int64_t b = begin; b < end; ++b) {
    if (bags.entities) prefetch_bag(bags, b);
    const TableRange range = table_range(tables, bags, b);
    const BagRange entries = bag_range(bags, b);
    if (lacks_entity(bags, b)) note_fault(args.fault, bags.ids.size + b);
    float sum = 0.0f;
    for (int64_t e = entries.begin; e < entries.end; ++e) {
      const int64_t id = bags.ids[e];
      if (id < 0 || id >= range.n_rows) [[unlikely]] {
        note_fault(args.fault, e);
        continue;
      }
      const int64_t row = range.first + id;
      const float weight = (bags.weights ? bags.weights[e] : 1.0f) * (tables.scales ? tables.scales[row] : 1.0f);
      sum = __builtin_fmaf(weight, to_float(table[row]), sum);
    }
    const bool divides = args.pooling == Pooling::mean && entries.end > entries.begin;
    args.out.data[b] = divides ? sum * (1.0f / static_cast<float>(entries.end - entries.begin)) : sum;
  }
}

// Bags [begin, end) of the call, whose bags have no entities.
template <class T>
void pool_bags(const TableBagArgs& args, SumRows sum_rows, int64_t begin, int64_t end) {
  if (sum_rows) return sum_bags<T>(args, sum_rows, begin, end);
  for (int64_t b = begin; b < end; ++b) one_bag<T>(args, b);
}

// The wrong ids of bags [begin, end), which are named by entities.
void note_wrong_ids(const TableBagArgs& args, int64_t begin, int64_t end) {
  for (int64_t b = begin; b < end; ++b) {
    const BagRange entries = bag_range(args.bags, b);
    for (int64_t e = entries.begin; e < entries.end; ++e) {
      if (args.bags.ids[e] < 0 || args.bags.ids[e] >= args.tables.n_rows) note_fault(args.fault, e);
    }
  }
}

// Calls use(part, n) for the bags [begin, end), n bags at a time, written out one after another: rows of the bags to
// come are then known ahead, and use() needs to know nothing of entities. A bag beyond kPieceEntries stays where it is.
template <class Use>
void for_each_piece(const TableBagArgs& args, int64_t begin, int64_t end, const Use& use) {
  int32_t ids[kPieceEntries + kCopied];
  float weights[kPieceEntries];
  int64_t offsets[kPieceBags + 1];
  const Bags& bags = args.bags;
  for (int64_t first = begin, b = begin; b < end; first = b) {
    int64_t n_entries = 0;
    offsets[0] = 0;
    BagRange range{0, 0};
    for (; b < end && b - first < kPieceBags; ++b) {
      prefetch_bag(bags, b);
      range = bag_range(bags, b);
      const int64_t size = range.end - range.begin;
      if (size > kPieceEntries - n_entries) break;
      if (lacks_entity(bags, b)) note_fault(args.fault, bags.ids.size + b);
      if (size <= kCopied && range.begin + kCopied <= bags.ids.size) {
        std::copy_n(bags.ids.data + range.begin, kCopied, ids + n_entries);  // too many, without a loop
      } else {
        std::copy_n(bags.ids.data + range.begin, size, ids + n_entries);
      }
      if (bags.weights) std::copy_n(bags.weights + range.begin, size, weights + n_entries);
      n_entries += size;
      offsets[b - first + 1] = n_entries;
    }
    TableBagArgs part = args;
    part.bags = {.ids = {ids, n_entries}, .weights = bags.weights ? weights : nullptr, .offsets = offsets};
    if (b == first) {
      offsets[1] = range.end - range.begin;
      part.bags.ids = bags.ids.subview(range.begin, offsets[1]);
      part.bags.weights = bags.weights ? bags.weights + range.begin : nullptr;
      ++b;
    }
    part.bags.n_bags = b - first;
    part.out = args.out.row_block(first, part.bags.n_bags);
    if (args.winners.data) part.winners = args.winners.row_block(first, part.bags.n_bags);
    uint64_t fault = kNoFault;
    part.fault = &fault;
    use(part, part.bags.n_bags);
    if (fault != kNoFault) note_wrong_ids(args, first, b);
  }
}

}  // namespace

void table_bag(Context& context, const TableBagArgs& args) {
  constexpr int64_t kGrain = 64, kScalarGrain = 1024;
  const bool has_entities = args.bags.entities != nullptr;
  const bool is_scalar = args.tables.dim == 1 && args.pooling != Pooling::max;
  const SumRows sum_rows = args.pooling == Pooling::max || is_scalar ? nullptr : choose_sum_rows(args.tables);
  const int64_t grain = is_scalar ? kScalarGrain : has_entities ? kPieceBags : kGrain;
  with_element(args.tables.type, [&]<class T>(T) {
    parallel_for(context, args.bags.n_bags, grain, [&](int64_t begin, int64_t end) {
      if (is_scalar) return scalar_bags<T>(args, begin, end);
      if (!has_entities) return pool_bags<T>(args, sum_rows, begin, end);
      for_each_piece(args, begin, end,
                     [&](const TableBagArgs& part, int64_t n) { pool_bags<T>(part, sum_rows, 0, n); });
    });
  });
}

}  // namespace sheaf::embedding::cpu
