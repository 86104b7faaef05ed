#include "kernels/embedding/table.hpp"

#include <algorithm>
#include <vector>

#include "kernels/core/check.hpp"

namespace sheaf::embedding {

int64_t bytes_of(TableType type) {
  switch (type) {
    case TableType::f32: return 4;
    case TableType::f16:
    case TableType::bf16: return 2;
    case TableType::i8: return 1;
  }
  return 0;
}

void clear_fault(Context& context, uint64_t* fault) { context.fill_bytes(fault, 0xff, sizeof(*fault)); }

void raise_fault(Context& context, uint64_t* fault, const Tables& tables, const Bags& bags) {
  uint64_t place = kNoFault;
  context.copy_to_host(&place, fault, sizeof(place));
  if (place == kNoFault) return;
  clear_fault(context, fault);
  auto at = static_cast<int64_t>(place);
  if (at >= bags.ids.size) {
    at -= bags.ids.size;
    int32_t entity = 0;
    context.copy_to_host(&entity, bags.entities + at, sizeof(entity));
    throw DataError("embedding: entity " + std::to_string(entity) + " of bag " + std::to_string(at) +
                        " is outside the " + std::to_string(bags.n_entities) + " entities",
                    "entities count from 0");
  }
  int32_t id = 0;
  context.copy_to_host(&id, bags.ids.data + at, sizeof(id));
  int64_t owner = at;  // the bag, or the entity
  if (bags.offsets) {
    const int64_t n_owners = bags.entities ? bags.n_entities : bags.n_bags;
    std::vector<int64_t> offsets(static_cast<size_t>(n_owners) + 1);
    context.copy_to_host(offsets.data(), bags.offsets, offsets.size() * sizeof(int64_t));
    owner = std::upper_bound(offsets.begin(), offsets.end(), at + bags.first_entry) - offsets.begin() - 1;
  }
  const int64_t table = bags.entities ? 0 : owner / (bags.n_bags / tables.n_tables);
  std::vector<int64_t> rows{0, tables.n_rows};
  if (tables.first_row) context.copy_to_host(rows.data(), tables.first_row + table, 2 * sizeof(int64_t));
  throw DataError("embedding: id " + std::to_string(id) + " at position " + std::to_string(at + bags.first_entry) +
                      (bags.entities ? " (entity " : " (bag ") + std::to_string(owner) + ", table " +
                      std::to_string(table) + ") is outside the table's " + std::to_string(rows[1] - rows[0]) + " rows",
                  "ids count from 0 and must be below the number of rows");
}

void check_tables(const char* op, const Tables& tables, const Bags& bags) {
  check_argument(tables.dim >= 1, op, "dim is " + std::to_string(tables.dim) + ", not 1 or more");
  check_argument(tables.n_rows >= 0 && tables.n_rows < (int64_t{1} << 32) - 1, op,
                 "the tables hold at most 2^32 - 2 rows");
  check_argument(tables.n_tables >= 1 && (tables.n_tables == 1 || tables.first_row), op,
                 "several tables need first_row");
  check_argument(
      bags.n_bags >= 0 && bags.n_bags % tables.n_tables == 0, op,
      std::to_string(bags.n_bags) + " bags cannot be shared out among " + std::to_string(tables.n_tables) + " tables");
  check_argument(bags.offsets || bags.n_bags == bags.ids.size, op, "without offsets every id is a bag of its own");
  check_argument(!bags.entities || (bags.offsets && tables.n_tables == 1 && bags.n_entities >= 0), op,
                 "entities need offsets, and one table");
  check_argument(
      bags.n_columns == 0 || tables.n_tables > 1 || bags.n_columns == tables.n_rows, op,
      "the bags name " + std::to_string(bags.n_columns) + " rows, the table has " + std::to_string(tables.n_rows));
  check_argument((tables.type == TableType::i8) == (tables.scales != nullptr), op, "scales go with i8 tables");
  if (bags.n_bags == 0) return;
  check_argument((tables.data || tables.n_rows == 0) && (bags.ids.data || bags.ids.empty()), op, "null view");
}

void check_slots(const char* op, const Bags& bags) {
  constexpr int64_t kMost = (int64_t{1} << 31) - 1;
  if (bags.entities) {
    check_argument(bags.max_bag >= 1, op, "max_bag must be at least 1");
    check_argument(bags.n_bags == 0 || bags.max_bag <= kMost / bags.n_bags, op,
                   "bags times max_bag must be below 2^31");
  } else {
    check_argument(bags.ids.size <= kMost, op, "at most 2^31 - 1 entries a call");
  }
}

int64_t expected_entries(const Bags& bags) {
  if (!bags.entities) return bags.ids.size;
  return bags.n_entities > 0 ? bags.n_bags * ((bags.ids.size + bags.n_entities - 1) / bags.n_entities) : 0;
}

int64_t index_bytes(const Bags& bags) {
  const int64_t of_entries = expected_entries(bags) * (bags.weights ? 8 : 4);
  if (bags.entities) return of_entries + bags.n_bags * (4 + 16);
  return of_entries + (bags.offsets ? 8 * (bags.n_bags + 1) : 0);
}

}  // namespace sheaf::embedding
