#pragma once
/// The side table of items. Part of the importer.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "host/data/encode.hpp"
#include "host/data/import.hpp"
#include "host/data/values.hpp"
#include "host/text/csv.hpp"
#include "kernels/core/context.hpp"

namespace sheaf::data {

class ItemTable {
 public:
  /// DataError for a row of the wrong width, a missing or repeated key. Values are read as those of the transactions.
  ItemTable(const std::filesystem::path& path, const ImportConfig& config, const Context& context);

  /// Row of an item; -1 if the table does not have it.
  int64_t find(std::string_view item_id) const { return keys_.find(item_id); }
  /// Of all rows, in their order.
  const std::vector<std::string_view>& keys() const { return keys_.strings(); }
  std::string_view value(const std::string& column, int64_t row) const;
  /// The columns of [items].name, joined by single spaces, empty ones left out.
  std::string name(int64_t row) const;
  /// A column of [items].numeric; NaN where the field is empty. DataError with the line for anything that is not a
  /// finite number.
  double number(const std::string& column, int64_t row) const;
  /// Adds the missing and the padded values to the report.
  void report_values(ImportReport& report) const;

 private:
  text::CsvFile file_;
  text::NumberFormat number_format_;
  std::vector<std::string> columns_, name_columns_;
  text::CsvColumns parsed_;
  StringEncoder keys_;
  ValueReader reader_;
  std::vector<ColumnValues> found_;  // [n columns]
};

}  // namespace sheaf::data
