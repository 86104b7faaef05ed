#pragma once
/// What table_bag and table_update share: tables one after another in one storage, bags over them, and the word in
/// which the device records the first id that is out of range.

#include <cstdint>

#include "kernels/core/context.hpp"
#include "kernels/core/half.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::embedding {

enum class TableType { f32, f16, bf16, i8 };
enum class Pooling { sum, mean, max };

int64_t bytes_of(TableType type);

/// n_tables tables of one width and type, in one storage: row r of table t is row first_row[t] + r of the storage.
struct Tables {
  void* data = nullptr;           // [n_rows, dim] of `type`, rows of all tables
  const float* scales = nullptr;  // [n_rows] f32 for i8: an element is worth scale * integer; else null
  /// [n_tables + 1] on the device, ascending, first_row[n_tables] == n_rows; null for one table
  const int64_t* first_row = nullptr;
  TableType type = TableType::f32;
  int64_t n_rows = 0;
  int64_t dim = 0;  // 1 to 1024
  int64_t n_tables = 1;
};

/// Bags by table: bag b belongs to table b / (n_bags / n_tables) and holds the entries [offsets[b], offsets[b + 1]).
/// Entry e is at ids[e - first_entry]. So a part of a larger array, with offsets beyond 2^31, needs no copy.
struct Bags {
  VectorView<const int32_t> ids;   // [n_entries] row within the bag's table
  const float* weights = nullptr;  // [n_entries] per sample, or null for 1
  /// [n_bags + 1] on the device, offsets[0] == first_entry, offsets[n_bags] == first_entry + n_entries. Null: one bag
  /// for each entry.
  const int64_t* offsets = nullptr;
  int64_t n_bags = 0;
  int64_t first_entry = 0;
};

/// One word on the device: the lowest entry whose id was out of range, or kNoFault. Ops lower it and leave such an
/// entry out (as if its weight were 0). Nothing else happens until raise_fault is called.
constexpr uint64_t kNoFault = ~uint64_t{0};

void clear_fault(Context& context, uint64_t* fault);
/// Waits for the device. Throws DataError with the position, the value and the table if an id was out of range. The
/// word is cleared, and the context can be used further.
void raise_fault(Context& context, uint64_t* fault, const Tables& tables, const Bags& bags);

/// Throws UsageError if the shapes do not fit. For the ops' .cpp files.
void check_tables(const char* op, const Tables& tables, const Bags& bags, const uint64_t* fault);

/// The entries of bag b as positions in ids.
struct BagRange {
  int64_t begin, end;
};
SHEAF_HD inline BagRange bag_range(const Bags& bags, int64_t b) {
  if (!bags.offsets) return {b, b + 1};
  return {bags.offsets[b] - bags.first_entry, bags.offsets[b + 1] - bags.first_entry};
}

/// The rows [first, first + n_rows) of the storage that bag b picks from.
struct TableRange {
  int64_t first, n_rows;
};
SHEAF_HD inline TableRange table_range(const Tables& tables, const Bags& bags, int64_t b) {
  if (!tables.first_row) return {0, tables.n_rows};
  const int64_t t = b / (bags.n_bags / tables.n_tables);
  return {tables.first_row[t], tables.first_row[t + 1] - tables.first_row[t]};
}

/// use(T{}) with the element type of the table.
template <class Use>
void with_element(TableType type, const Use& use) {
  switch (type) {
    case TableType::f32: return use(float{});
    case TableType::f16: return use(Half{});
    case TableType::bf16: return use(BFloat16{});
    case TableType::i8: return use(int8_t{});
  }
}

}  // namespace sheaf::embedding
