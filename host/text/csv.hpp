#pragma once
/// Delimited text, the whole file in memory: RFC 4180 quoting (embedded delimiters, line ends, doubled quotes), LF or
/// CRLF, a UTF-8 byte order mark, plain or gzip. Fields are views of the text. Blank lines are skipped.

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/core/context.hpp"

namespace sheaf::text {

enum class Encoding { utf8, latin1 };

struct CsvOptions {
  char delimiter = ',';
  Encoding encoding = Encoding::utf8;
  bool header = true;  // else the first line is a row, and columns are called "1", "2", ..
};

/// Chosen columns of all rows. Views are of the CsvFile's text, or of `unquoted` where a doubled quote had to be
/// removed.
struct CsvColumns {
  std::vector<std::vector<std::string_view>> values;  // [n_chosen][n_rows]; empty views in a row with too few fields
  std::vector<int32_t> n_fields;                      // [n_rows] as found
  std::vector<std::deque<std::string>> unquoted;      // a piece for each chunk of rows
};

class CsvFile {
 public:
  /// DataError for a missing or empty file, broken gzip, a quote that is never closed, a header with an empty or
  /// repeated name.
  explicit CsvFile(const std::filesystem::path& path, CsvOptions options = {});
  CsvFile(const CsvFile&) = delete;
  CsvFile& operator=(const CsvFile&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  const std::vector<std::string>& header() const noexcept { return header_; }
  int64_t n_rows() const noexcept { return static_cast<int64_t>(records_.size()); }
  /// Line of the file (from 1) on which the row begins.
  int64_t line(int64_t row) const { return records_[static_cast<size_t>(row)].line; }
  /// The row's text without its line end.
  std::string_view raw(int64_t row) const;

  /// Position of a column; DataError that names the columns there are, and the nearest.
  int64_t column(std::string_view name) const;
  /// Parses the columns at `positions` for all rows on the context's threads. Rows of a wrong width are only noted in
  /// n_fields.
  CsvColumns parse(const std::vector<int64_t>& positions, const Context& context) const;

  /// The fields of one row, [their number]; -1 for text after a closing quote. `unquoted` keeps what a doubled quote
  /// changes.
  int32_t fields(int64_t row, std::vector<std::string_view>& fields, std::deque<std::string>& unquoted) const;

  /// "<file> line 7: 3 fields, expected 8"
  std::string width_message(int64_t row, int32_t found) const;

 private:
  struct Record {
    int64_t begin, end;  // offsets into text_
    int64_t line;
  };
  void split_records();
  void read_header();

  std::filesystem::path path_;
  CsvOptions options_;
  std::string text_;
  std::vector<Record> records_;
  std::vector<std::string> header_;
};

enum class NumberStatus : uint8_t { ok, empty, malformed, not_finite };

/// A whole field as a number: surrounding blanks are allowed, anything else that is left over is malformed.
NumberStatus parse_number(std::string_view text, double& value);

/// Without blanks (spaces and tabs) at either end.
std::string_view trim(std::string_view text);

/// File contents as they are, inflated if they begin with the gzip magic. DataError with the path and the reason.
std::string read_text(const std::filesystem::path& path);

}  // namespace sheaf::text
