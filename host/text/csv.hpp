#pragma once
/// Rows of text, the whole file in memory. Delimited text: RFC 4180 quoting (embedded delimiters, line ends, doubled
/// quotes), any delimiter or blanks, comment lines, a first line `sep=;` (Excel), a delimiter at the end of each line,
/// columns without a name. JSON lines: the keys are the columns. Fields are views of the text. Blank lines are skipped.
/// read_text.hpp says which files it takes.

#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/text/number.hpp"
#include "host/text/read_text.hpp"
#include "kernels/core/context.hpp"

namespace sheaf::text {

enum class RowFormat { delimited, whitespace, json_lines };

struct CsvOptions {
  RowFormat format = RowFormat::delimited;
  std::string delimiter = {};  // one or more characters; empty: what a first line sep=; says, else a comma
  bool header = true;          // else the first line is a row, and columns are called "1", "2", ..
  std::string comment = {};    // lines that begin with it are left out; empty: none are
  NumberFormat number = {};
  TextOptions text = {};
  int64_t max_line_bytes = int64_t{1} << 20;
  int64_t max_columns = 10'000;
};

/// Chosen columns of all rows. Views are of the CsvFile's text, or of `unquoted` where a doubled quote had to be
/// removed.
struct CsvColumns {
  std::vector<std::vector<std::string_view>> values;  // [n_chosen][n_rows]; empty views in a row with too few fields
  std::vector<int32_t> n_fields;                      // [n_rows] as found; below 0: a row that cannot be read
  std::vector<std::deque<std::string>> unquoted;      // a piece for each chunk of rows
};

class CsvFile {
 public:
  /// DataError for a missing or empty file, one that cannot be unpacked, text of another encoding, a quote that is
  /// never closed, a line or a header beyond its limit, a header with a repeated name or without any.
  explicit CsvFile(const std::filesystem::path& path, CsvOptions options = {});
  CsvFile(const CsvFile&) = delete;
  CsvFile& operator=(const CsvFile&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  const std::vector<std::string>& header() const noexcept { return header_; }
  int64_t n_rows() const noexcept { return static_cast<int64_t>(records_.size()); }
  /// Line of the file (from 1) on which the row begins.
  int64_t line(int64_t row) const { return records_[static_cast<size_t>(row)].line; }
  /// The row's text without its line end.
  std::string_view raw(int64_t row) const { return text_of(records_[static_cast<size_t>(row)]); }

  /// Whether the header has this name.
  bool has_column(std::string_view name) const;
  /// Position of a column; DataError that says what kind of file this seems to be (another delimiter, no header, JSON),
  /// or names the columns there are and the nearest.
  int64_t column(std::string_view name) const;
  /// Parses the columns at `positions` for all rows on the context's threads. Rows of a wrong width are only noted in
  /// n_fields.
  CsvColumns parse(const std::vector<int64_t>& positions, const Context& context) const;

  /// The fields of one row, [their number]; below 0 for a row that cannot be read. `unquoted` keeps what a doubled
  /// quote changes, and the values of JSON lines, which stand in the order of the header.
  int32_t fields(int64_t row, std::vector<std::string_view>& fields, std::deque<std::string>& unquoted) const;

  /// "<file> line 7: 3 fields, expected 8"
  std::string width_message(int64_t row, int32_t found) const;

 private:
  struct Record {
    int64_t begin, end;  // offsets into text_
    int64_t line;
  };
  std::string_view text_of(const Record& record) const;
  size_t take_separator_line();
  void split_records(size_t begin);
  void read_header();
  void read_keys();
  void check_header() const;
  /// What the file seems to be separated by in place of the delimiter ("": by blanks): such that the record has a field
  /// `wanted`, or `n_wanted` fields, or several where the header has one.
  std::optional<std::string_view> likely_delimiter(std::string_view record, std::string_view wanted,
                                                   size_t n_wanted) const;

  std::filesystem::path path_;
  CsvOptions options_;
  std::string text_;
  std::vector<Record> records_;
  Record header_record_{0, 0, 1};
  std::vector<std::string> header_;
  bool ends_with_delimiter_ = false;  // a row may have one empty field more
};

}  // namespace sheaf::text
