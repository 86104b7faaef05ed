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
  int64_t dim = 0;  // 1 or more
  int64_t n_tables = 1;
};

/// Bags of entries. Entry e is at ids[e - first_entry], so a part of a larger array, with offsets beyond 2^31, needs no
/// copy. There are three ways to say which entries a bag holds:
///   neither   (no offsets, no entities) entry b alone: a lookup
///   offsets   bag b holds the entries [offsets[b], offsets[b + 1])
///   entities  bag b holds the entries [offsets[i], offsets[i + 1]) with i = entities[b]. Entities may share entries
///             and be named many times, so the number of entries of all bags is known to the device alone. Where room
///             for them is needed, bag b has the slots b * max_bag + j, one for the j-th entry of the bag.
/// Without entities a slot is a place in ids.
///
/// With several tables, bag b belongs to table b / (n_bags / n_tables). Entities name rows of one table only.
struct Bags {
  VectorView<const int32_t> ids;   // [n_entries] row within the bag's table
  const float* weights = nullptr;  // [n_entries] per sample, or null for 1
  /// On the device, ascending, the first is first_entry and the last first_entry + n_entries: [n_bags + 1], with
  /// entities [n_entities + 1].
  const int64_t* offsets = nullptr;
  int64_t n_bags = 0;
  int64_t first_entry = 0;
  const int32_t* entities = nullptr;  // [n_bags] on the device, in [0, n_entities)
  int64_t n_entities = 0;
  /// With entities, for table_sort and table_update: 1 or more. Entries of a bag beyond max_bag have no slot and are
  /// left out.
  int64_t max_bag = 0;
  /// The number of rows that the ids were made for, 0 if the caller does not know: UsageError if the one table has
  /// another.
  int64_t n_columns = 0;
};

/// Bag b is the row ids[b] of a table: a lookup.
inline Bags lookup(VectorView<const int32_t> ids) { return {.ids = ids, .n_bags = ids.size}; }

/// Bag b is row b of `bags` [n_bags, n_rows of the table]: its columns with its values as weights.
inline Bags bags_of(const CsrView& bags) {
  return {.ids = {bags.columns, bags.nnz},
          .weights = bags.values,
          .offsets = bags.row_offsets,
          .n_bags = bags.n_rows,
          .n_columns = bags.n_columns};
}

/// Bag b is row entities[b] of `bags` [n_entities, n_rows of the table], none of which is longer than max_bag.
/// table_bag does not need max_bag.
inline Bags bags_of(const CsrView& bags, VectorView<const int32_t> entities, int64_t max_bag = 0) {
  Bags named = bags_of(bags);
  named.n_bags = entities.size;
  named.entities = entities.data;
  named.n_entities = bags.n_rows;
  named.max_bag = max_bag;
  return named;
}

/// One f32 table.
inline Tables table_of(MatrixView<float> rows) { return {.data = rows.data, .n_rows = rows.rows, .dim = rows.cols}; }
/// The same for table_bag and table_sort, which only read.
inline Tables table_to_read(MatrixView<const float> rows) {
  return {.data = const_cast<float*>(rows.data), .n_rows = rows.rows, .dim = rows.cols};
}

/// One word on the device: kNoFault, or the lowest place that was out of range. That is the place of an id in ids, or
/// n_entries + b for bag b whose entity is out of range. Ops lower it. They leave such an entry out (as if its weight
/// were 0), and such a bag is empty. Nothing else happens until raise_fault is called. Ops take null where the caller
/// has proven its ids: wrong ones are left out all the same, and not recorded.
constexpr uint64_t kNoFault = ~uint64_t{0};

void clear_fault(Context& context, uint64_t* fault);
/// Waits for the device. Throws DataError with the position, the value and the table if an id or an entity was out of
/// range. The word is cleared, and the context can be used further.
void raise_fault(Context& context, uint64_t* fault, const Tables& tables, const Bags& bags);

/// Throws UsageError if the shapes do not fit. For the ops' .cpp files.
void check_tables(const char* op, const Tables& tables, const Bags& bags);
/// The same for the slots: max_bag, and 2^31 - 1 slots at most.
void check_slots(const char* op, const Bags& bags);

/// For the ops' costs: the entries of all bags, each of the mean size where entities name them; and the bytes that say
/// which they are, with their weights.
int64_t expected_entries(const Bags& bags);
int64_t index_bytes(const Bags& bags);

SHEAF_HD inline int64_t n_slots(const Bags& bags) { return bags.entities ? bags.n_bags * bags.max_bag : bags.ids.size; }

/// Bag b has an entity out of range.
SHEAF_HD inline bool lacks_entity(const Bags& bags, int64_t b) {
  return bags.entities &&
         static_cast<uint64_t>(static_cast<int64_t>(bags.entities[b])) >= static_cast<uint64_t>(bags.n_entities);
}

/// The entries of bag b as places in ids.
struct BagRange {
  int64_t begin, end;
};
/// Of the entity i, or where no entities name the bags of bag i.
SHEAF_HD inline BagRange range_of(const Bags& bags, int64_t i) {
  if (!bags.offsets) return {i, i + 1};
  return {bags.offsets[i] - bags.first_entry, bags.offsets[i + 1] - bags.first_entry};
}
SHEAF_HD inline BagRange bag_range(const Bags& bags, int64_t b) {
  if (!bags.entities) return range_of(bags, b);
  return lacks_entity(bags, b) ? BagRange{0, 0} : range_of(bags, bags.entities[b]);
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
