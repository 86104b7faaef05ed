// Rows of text in every dialect. The first three bytes choose it.

#include "host/text/csv.hpp"
#include "tests/fuzz/driver.hpp"

using namespace sheaf;

namespace {

text::CsvOptions options_of(std::string_view choice) {
  constexpr const char* kDelimiters[] = {"", ",", ";", "\t", "::", "|", " ", "a"};
  constexpr const char* kEncodings[] = {"utf-8", "cp1252", "utf-16le", "gbk"};
  constexpr const char* kThousands[] = {"", ".", " ", "’"};
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(choice[i]); };
  text::CsvOptions options;
  options.format = static_cast<text::RowFormat>(byte(0) % 3);
  options.delimiter = kDelimiters[byte(0) / 4 % 8];
  options.header = byte(0) < 0x80;
  options.comment = byte(1) % 2 == 0 ? "" : "#";
  options.text.encoding = kEncodings[byte(1) / 2 % 4];
  options.number = {byte(2) % 2 == 0 ? '.' : ',', kThousands[byte(2) / 2 % 4]};
  options.max_columns = 64;
  options.max_line_bytes = 1024;
  return options;
}

void read(std::string_view bytes) {
  const text::CsvOptions options = options_of(bytes.substr(0, 3));
  const text::CsvFile file(fuzz::as_file(bytes.substr(3)), options);
  static const Context context(Device{}, ContextOptions{0, 1, false});
  std::vector<int64_t> positions;
  for (size_t c = 0; c < file.header().size(); ++c) positions.push_back(static_cast<int64_t>(c));
  const text::CsvColumns columns = file.parse(positions, context);
  for (int64_t row = 0; row < file.n_rows(); ++row) {
    const auto at = static_cast<size_t>(row);
    if (columns.n_fields[at] != std::ssize(positions)) {
      (void)file.width_message(row, columns.n_fields[at]);
      continue;
    }
    std::vector<std::string_view> fields;
    std::deque<std::string> unquoted;
    if (file.fields(row, fields, unquoted) < std::ssize(positions)) fuzz::fail("a row has two widths");
    for (size_t c = 0; c < positions.size(); ++c) {
      const std::string_view value = columns.values[c][at];
      if (fields[c] != value) fuzz::fail("a row has two readings");
      double number = 0.0;
      if (text::parse_number(value, number, options.number) != text::NumberStatus::ok) {
        (void)text::number_advice(value.substr(0, 100), options.number);
      }
    }
  }
  (void)file.column("user");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  return fuzz::expect_error_or_none([&] { read(fuzz::as_text(data, size)); });
}
