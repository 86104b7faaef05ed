#pragma once
/// The transactions as typed columns, before any cleaning. Part of the importer.

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "host/data/encode.hpp"
#include "host/data/import.hpp"
#include "host/data/source.hpp"
#include "kernels/core/context.hpp"

namespace sheaf::data {

class Rows {
 public:
  /// Reads and types all rows. DataError for the first malformed row unless the configuration drops such rows.
  Rows(const std::vector<std::filesystem::path>& paths, const ImportConfig& config, const Context& context);

  int64_t size() const noexcept { return source.size(); }
  bool is_malformed(int64_t row) const { return issues_[static_cast<size_t>(row)] != 0; }
  /// What is wrong with a malformed row: "<file> line 3: column 'Quantity': '1.2.3' is not a number".
  std::string issue_message(int64_t row) const;
  /// The setting that would make a row's malformed number good; empty if there is none.
  std::string number_advice(int64_t row) const;
  /// Whether a row is malformed because its time has another format.
  bool has_wrong_time(int64_t row) const;
  /// Which of the formats read the row's time, and whether the text names its zone.
  size_t time_format(int64_t row) const {
    return static_cast<size_t>(time_format_[static_cast<size_t>(row)] & kFormat);
  }
  bool has_offset(int64_t row) const { return (time_format_[static_cast<size_t>(row)] & kOffset) != 0; }
  /// A field as it was read; empty if it is missing, or if the configuration names no such column.
  std::string_view text(const std::string& column, int64_t row) const;

  Source source;
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
  void parse_values(const ImportConfig& config, const Context& context);
  void encode(const ImportConfig& config, const Context& context);
  void encode_users(const ImportConfig& config);

  ImportConfig::Timestamp timestamp_config_;
  static constexpr uint8_t kOffset = 0x80, kFormat = 0x7f;
  std::vector<uint8_t> time_format_;  // [size] the format, and kOffset
  text::NumberFormat number_format_;
  std::vector<uint16_t> issues_;        // [size] 0, or what (high byte) is wrong with which column (low byte)
  std::deque<std::string> made_names_;  // of users and baskets that the file does not name
};

}  // namespace sheaf::data
