#pragma once
/// The transactions files as one table: the rows of all files one after another, their columns found by name in each.
/// With the layout "baskets" a line is a basket, and each of its items is a row. Part of the importer.

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "host/data/import.hpp"
#include "host/data/values.hpp"
#include "host/text/csv.hpp"
#include "kernels/core/context.hpp"

namespace sheaf::data {

/// What the layout "baskets" calls its columns: the items of a line, and the line as a basket.
inline constexpr const char* kItemOfLine = "items of the line";
inline constexpr const char* kBasketOfLine = "line";

class Source {
 public:
  /// Reads `columns` (names, or numbers from 1 without a header) of all files. DataError as of CsvFile, and for a file
  /// that lacks a column.
  Source(const std::vector<std::filesystem::path>& paths, const ImportConfig& config, std::vector<std::string> columns,
         const Context& context);
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  int64_t size() const noexcept { return first_row_.back(); }
  /// Position of one of `columns`.
  size_t column(const std::string& name) const;
  const std::string& name(size_t column) const { return columns_[column]; }
  /// Values of a column, [size]; empty views where they are missing.
  const std::vector<std::string_view>& values(size_t column) const { return values_[column]; }
  /// A value as it stands in the file.
  std::string written(size_t column, int64_t row) const;
  /// The row's line without its end.
  std::string_view raw(int64_t row) const;
  /// False for a row with more or fewer fields than its header, or with text after a closing quote.
  bool has_right_width(int64_t row) const {
    return wrong_width_.empty() || wrong_width_[static_cast<size_t>(row)] == 0;
  }
  /// "<file> line 7: 3 fields, expected 8"
  std::string width_message(int64_t row) const;

  /// Line of its file, from 1.
  int64_t line(int64_t row) const;
  /// "<file> line 7", with the whole path
  std::string place(int64_t row) const;
  /// "line 7"; "march.csv line 7" where there are several files
  std::string short_place(int64_t row) const;
  /// The line with `value`, and the file's name where there are several.
  ImportReport::Example example(int64_t row, std::string value) const;

  /// [size] whether the row repeats an earlier one exactly: its whole line, in a file with the same header. With the
  /// layout "baskets": an item that its line already has; also a whole line, if the lines name their baskets.
  std::vector<uint8_t> find_duplicates() const;
  /// Adds the missing and the padded values to the report.
  void report_values(ImportReport& report) const;

 private:
  size_t file_of(int64_t row) const;
  int64_t record_of(int64_t row) const;
  int64_t position(const text::CsvFile& file, const std::string& column) const;
  void read_rows(const text::CsvFile& file, const Context& context);
  void read_baskets(const text::CsvFile& file);

  std::vector<std::string> columns_, ignored_;
  bool header_, baskets_, names_baskets_;
  ValueReader reader_;
  std::deque<text::CsvFile> files_;
  std::vector<int64_t> first_row_{0};                  // [n_files + 1]
  std::vector<int64_t> record_;                        // [size] of a row's file; only with the layout "baskets"
  std::vector<uint8_t> wrong_width_;                   // [size], or empty if all are right
  std::vector<std::vector<std::string_view>> values_;  // [n_columns][size]
  std::deque<std::deque<std::string>> made_;           // texts that no file holds as they are
  int64_t n_lines_ = 0;                                // that are baskets
  std::vector<ColumnValues> found_;                    // [n_columns]
};

}  // namespace sheaf::data
