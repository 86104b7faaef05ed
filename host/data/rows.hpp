#pragma once
/// The transactions file as typed columns, before any cleaning. Part of the importer.

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "host/data/encode.hpp"
#include "host/data/import.hpp"
#include "host/text/csv.hpp"
#include "kernels/core/context.hpp"

namespace sheaf::data {

class Rows {
 public:
  /// Reads and types all rows. DataError for the first malformed row unless the configuration drops such rows.
  Rows(const std::filesystem::path& path, const ImportConfig& config, const Context& context);

  int64_t size() const noexcept { return file.n_rows(); }
  bool is_malformed(int64_t row) const { return issues_[static_cast<size_t>(row)] != 0; }
  /// What is wrong with a malformed row: "<file> line 3: column 'Quantity': '1.2.3' is not a number".
  std::string issue_message(int64_t row) const;
  /// The setting that would make a row's malformed number good; empty if there is none.
  std::string number_advice(int64_t row) const;
  /// Whether a row is malformed because its time has another format.
  bool has_wrong_time(int64_t row) const;
  /// A field as it stands in the file; empty if the configuration names no such column.
  std::string_view text(const std::string& column, int64_t row) const;

  text::CsvFile file;
  StringEncoder users, baskets, items, names, categories;
  // [size]; the values of a malformed row mean nothing.
  std::vector<int32_t> user;      // own code of the basket where no user is given
  std::vector<uint8_t> has_user;  // whether the file names a user
  std::vector<int32_t> basket, item, name, category;
  std::vector<int64_t> timestamp;
  std::vector<double> quantity;
  std::vector<double> paid;      // as the file says: unit price or amount of the line
  std::vector<double> discount;  // of the line
  std::vector<uint8_t> given_split;

 private:
  struct Column {
    std::string name;
    size_t index;  // into parsed_.values
  };
  /// The column's place among those parsed; it is parsed once however often it is named.
  size_t index_of(const std::string& column) const;
  void parse_values(const ImportConfig& config, const Context& context);
  void encode(const ImportConfig& config, const Context& context);
  void encode_users(const ImportConfig& config);

  ImportConfig::Timestamp timestamp_config_;
  text::NumberFormat number_format_;
  std::vector<Column> columns_;
  text::CsvColumns parsed_;
  std::vector<uint16_t> issues_;        // [size] 0, or what (high byte) is wrong with which column (low byte)
  std::deque<std::string> made_names_;  // of users and baskets that the file does not name
};

}  // namespace sheaf::data
