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
  const auto at = static_cast<int64_t>(place);
  int32_t id = 0;
  context.copy_to_host(&id, bags.ids.data + at, sizeof(id));
  int64_t bag = at;
  if (bags.offsets) {
    std::vector<int64_t> offsets(static_cast<size_t>(bags.n_bags) + 1);
    context.copy_to_host(offsets.data(), bags.offsets, offsets.size() * sizeof(int64_t));
    bag = std::upper_bound(offsets.begin(), offsets.end(), at + bags.first_entry) - offsets.begin() - 1;
  }
  const int64_t table = bag / (bags.n_bags / tables.n_tables);
  std::vector<int64_t> rows{0, tables.n_rows};
  if (tables.first_row) context.copy_to_host(rows.data(), tables.first_row + table, 2 * sizeof(int64_t));
  throw DataError("embedding: id " + std::to_string(id) + " at position " + std::to_string(at + bags.first_entry) +
                      " (bag " + std::to_string(bag) + ", table " + std::to_string(table) +
                      ") is outside the table's " + std::to_string(rows[1] - rows[0]) + " rows",
                  "ids count from 0 and must be below the number of rows");
}

void check_tables(const char* op, const Tables& tables, const Bags& bags, const uint64_t* fault) {
  constexpr int64_t kMaxDim = 1024;
  check_argument(tables.dim >= 1 && tables.dim <= kMaxDim, op,
                 "dim is " + std::to_string(tables.dim) + ", not 1 to 1024");
  check_argument(tables.n_rows >= 0 && tables.n_rows < (int64_t{1} << 32) - 1, op,
                 "the tables hold at most 2^32 - 2 rows");
  check_argument(tables.n_tables >= 1 && (tables.n_tables == 1 || tables.first_row), op,
                 "several tables need first_row");
  check_argument(
      bags.n_bags >= 0 && bags.n_bags % tables.n_tables == 0, op,
      std::to_string(bags.n_bags) + " bags cannot be shared out among " + std::to_string(tables.n_tables) + " tables");
  check_argument(bags.offsets || bags.n_bags == bags.ids.size, op, "without offsets every id is a bag of its own");
  check_argument((tables.type == TableType::i8) == (tables.scales != nullptr), op, "scales go with i8 tables");
  if (bags.n_bags == 0) return;
  check_argument(fault != nullptr && (tables.data || tables.n_rows == 0) && (bags.ids.data || bags.ids.empty()), op,
                 "null view");
}

}  // namespace sheaf::embedding
