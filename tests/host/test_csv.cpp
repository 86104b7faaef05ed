#include "host/text/csv.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "host/data/timestamp.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/temp_folder.hpp"

namespace sheaf::text {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;
using test::write_bytes;
using Table = std::vector<std::vector<std::string>>;  // rows of fields, as wide as the header

void write_gzip(const fs::path& path, const std::string& bytes, const char* mode = "wb") {
  gzFile file = gzopen(path.c_str(), mode);
  ASSERT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())), static_cast<int>(bytes.size()));
  gzclose(file);
}

Table table_of(const CsvFile& file, int n_threads = 1) {
  const Context context(Device{}, ContextOptions{0, n_threads, false});
  std::vector<int64_t> positions(file.header().size());
  for (size_t c = 0; c < positions.size(); ++c) positions[c] = static_cast<int64_t>(c);
  const CsvColumns columns = file.parse(positions, context);
  Table table(static_cast<size_t>(file.n_rows()));
  for (size_t row = 0; row < table.size(); ++row) {
    for (const auto& values : columns.values) table[row].emplace_back(values[row]);
  }
  return table;
}

/// A file of this content, parsed.
Table parse(const std::string& bytes, CsvOptions options = {}) {
  const TempFolder folder;
  write_bytes(folder.path() / "t.csv", bytes);
  return table_of(CsvFile(folder.path() / "t.csv", options));
}

std::string error_of(const std::string& bytes, CsvOptions options = {}) {
  const TempFolder folder;
  write_bytes(folder.path() / "t.csv", bytes);
  try {
    const CsvFile file(folder.path() / "t.csv", options);
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Csv, PlainRows) {
  const Table expected{{"1", "2"}, {"", "4"}};
  EXPECT_EQ(parse("a,b\n1,2\n,4\n"), expected);
  EXPECT_EQ(parse("a,b\n1,2\n,4"), expected);
  EXPECT_EQ(parse("a,b\r\n1,2\r\n,4\r\n"), expected);
  EXPECT_EQ(parse("\xef\xbb\xbf"
                  "a,b\n\n1,2\n\r\n,4\n\n"),
            expected);
  EXPECT_EQ(parse("a\tb\n1\t2\n\t4\n", {.delimiter = "\t"}), expected);
  EXPECT_TRUE(parse("a,b\n").empty());
}

TEST(Csv, QuotedFields) {
  EXPECT_EQ(parse("a,b\n\"x,y\",\"two\nlines\"\n"), (Table{{"x,y", "two\nlines"}}));
  EXPECT_EQ(parse("a,b\n\"7\"\" single\",\"\"\n"), (Table{{"7\" single", ""}}));
  EXPECT_EQ(parse("a,b\n\"\"\"\",\"\"\"\"\"\"\r\n"), (Table{{"\"", "\"\""}}));
  EXPECT_EQ(parse("a,b\n\"x\",\"y\"\r\n"), (Table{{"x", "y"}}));
  EXPECT_EQ(parse("a,b\n5\" pipe,x\"y\n"), (Table{{"5\" pipe", "x\"y"}}));  // not at the front: only a character
  EXPECT_EQ(parse("\"a, b\",c\n1,2\n"), (Table{{"1", "2"}}));
}

TEST(Csv, LinesCountThoseOfTheFile) {
  const TempFolder folder;
  write_bytes(folder.path() / "t.csv", "a,b\n\n1,\"x\ny\"\n2,z\n\n\n3,w");
  const CsvFile file(folder.path() / "t.csv");
  ASSERT_EQ(file.n_rows(), 3);
  EXPECT_EQ(file.line(0), 3);
  EXPECT_EQ(file.line(1), 5);
  EXPECT_EQ(file.line(2), 8);
  EXPECT_EQ(file.raw(0), "1,\"x\ny\"");
}

TEST(Csv, RandomTablesRoundTrip) {
  std::mt19937 random(11);
  const std::string alphabet = "ab,\"\n\r \xc3\xa9";
  for (int round = 0; round < 300; ++round) {
    Table table(1 + random() % 6, std::vector<std::string>(1 + random() % 4 + 1));
    const size_t width = table[0].size();
    std::string text;
    for (size_t c = 0; c < width; ++c) text += (c > 0 ? ",h" : "h") + std::to_string(c);
    text += "\n";
    for (auto& row : table) {
      row.resize(width);
      for (size_t c = 0; c < width; ++c) {
        for (size_t n = random() % 6; n > 0; --n) row[c] += alphabet[random() % 7];
        const bool quote = row[c].find_first_of(",\"\n\r") != std::string::npos || random() % 4 == 0;
        std::string doubled;
        for (const char letter : row[c]) doubled += letter == '"' ? std::string("\"\"") : std::string(1, letter);
        text += (c > 0 ? "," : "") + (quote ? "\"" + doubled + "\"" : row[c]);
      }
      text += random() % 2 == 0 ? "\n" : "\r\n";
    }
    ASSERT_EQ(parse(text), table) << text;
  }
}

TEST(Csv, ThreadsDoNotMatter) {
  const TempFolder folder;
  std::string text = "id,name\n";
  for (int row = 0; row < 20'000; ++row) text += std::to_string(row) + ",\"n\"\"" + std::to_string(row * 7) + "\"\n";
  write_bytes(folder.path() / "t.csv", text);
  const CsvFile file(folder.path() / "t.csv");
  const Table one = table_of(file, 1);
  EXPECT_EQ(one[19'999], (std::vector<std::string>{"19999", "n\"139993"}));
  EXPECT_EQ(table_of(file, 2), one);
  EXPECT_EQ(table_of(file, 3), one);
}

TEST(Csv, GzipIsInflated) {
  const TempFolder folder;
  std::string text = "a,b\n";
  for (int row = 0; row < 100'000; ++row) text += "1,2\n";
  write_gzip(folder.path() / "t.csv.gz", text);
  EXPECT_EQ(CsvFile(folder.path() / "t.csv.gz").n_rows(), 100'000);
  write_gzip(folder.path() / "t.csv.gz", "3,4\n", "ab");  // a second member
  EXPECT_EQ(table_of(CsvFile(folder.path() / "t.csv.gz")).back(), (std::vector<std::string>{"3", "4"}));
}

TEST(Csv, BrokenGzipIsNamed) {
  const TempFolder folder;
  const fs::path path = folder.path() / "t.csv.gz";
  write_gzip(path, "a,b\n1,2\n3,4\n5,6\n");
  const std::string good = test::read_bytes(path);
  const auto message = [&](const std::string& bytes) -> std::string {
    write_bytes(path, bytes);
    try {
      const CsvFile file(path);
    } catch (const DataError& error) {
      return error.what();
    }
    return "no error";
  };
  for (size_t length = 2; length < good.size(); ++length) {
    const std::string found = message(good.substr(0, length));
    ASSERT_TRUE(has(found, path.string() + ": broken gzip")) << length << ": " << found;
    ASSERT_TRUE(has(found, "it ends too early")) << length << ": " << found;
  }
  std::string flipped = good;
  flipped[good.size() - 6] = static_cast<char>(flipped[good.size() - 6] ^ 1);  // in the checksum
  EXPECT_TRUE(has(message(flipped), "incorrect data check")) << message(flipped);
}

TEST(Csv, Latin1BecomesUtf8) {
  EXPECT_EQ(parse("a,b\ncaf\xe9,\xa3\n", {.text = {.encoding = "latin1"}}), (Table{{"caf\xc3\xa9", "\xc2\xa3"}}));
  EXPECT_EQ(parse("a,b\ncaf\xc3\xa9,\xe2\x82\xac\n"), (Table{{"caf\xc3\xa9", "\xe2\x82\xac"}}));
  EXPECT_TRUE(has(error_of("a,b\n1,2\n12345678,caf\xe9\n"), "line 3: byte 0xe9 is not UTF-8"));
  for (const char* bad : {"\x80", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xff"}) {
    EXPECT_TRUE(has(error_of(std::string("a\n") + bad), "is not UTF-8"));
  }
}

TEST(Csv, FilesThatCannotBeRead) {
  EXPECT_TRUE(has(error_of(""), "the file is empty"));
  EXPECT_TRUE(has(error_of("\n\r\n"), "the file is empty"));
  EXPECT_TRUE(has(error_of("a,b\n1,2\n3,\"x\n5,6\n"), "line 3: a quoted field is never closed"));
  EXPECT_TRUE(has(error_of("a,b,a\n"), "line 1: the header has a repeated column name 'a'"));
  const TempFolder folder;
  const auto message = [](const fs::path& path) -> std::string {
    try {
      const CsvFile file(path);
    } catch (const DataError& error) {
      return error.what();
    }
    return "no error";
  };
  const fs::path missing = folder.path() / "missing.csv";
  EXPECT_EQ(message(missing), "cannot read " + missing.string() + ": No such file or directory");
  EXPECT_TRUE(has(message(folder.path()), "Is a directory"));
}

TEST(Csv, UnknownColumnsNameTheNearest) {
  const TempFolder folder;
  write_bytes(folder.path() / "t.csv", "CustomerID,Quantity\n");
  const CsvFile file(folder.path() / "t.csv");
  EXPECT_EQ(file.column("Quantity"), 1);
  try {
    (void)file.column("Quantiy");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_TRUE(has(error.what(), "no column 'Quantiy'; it has: CustomerID, Quantity")) << error.what();
    EXPECT_EQ(error.hint(), "did you mean 'Quantity'?");
  }
}

TEST(Csv, RowsOfTheWrongWidthAreNoted) {
  const TempFolder folder;
  write_bytes(folder.path() / "t.csv", "a,b\n1\n1,2\n1,2,3\n\"x\"y,2\n");
  const CsvFile file(folder.path() / "t.csv");
  const Context context(Device{}, ContextOptions{0, 1, false});
  const CsvColumns columns = file.parse({1}, context);
  EXPECT_EQ(columns.n_fields, (std::vector<int32_t>{1, 2, 3, -1}));
  EXPECT_EQ(columns.values[0][0], "");
  EXPECT_TRUE(has(file.width_message(0, 1), "t.csv line 2: 1 fields, expected 2"));
  EXPECT_TRUE(has(file.width_message(3, -1), "t.csv line 5: text after a closing quote"));
}

TEST(Numbers, WholeFieldsOnly) {
  const auto number = [](std::string_view text) {
    double value = 0.0;
    return parse_number(text, value) == NumberStatus::ok ? value : std::nan("");
  };
  EXPECT_EQ(number("1.25"), 1.25);
  EXPECT_EQ(number(" -3e2 "), -300.0);
  EXPECT_EQ(number("+4"), 4.0);
  EXPECT_EQ(number("0.1"), 0.1);
  const auto status = [](std::string_view text) {
    double value = 0.0;
    return parse_number(text, value);
  };
  for (const char* bad : {"1.2.3", "1,5", "abc", "1 2", "$3", "0x10", "+-3", "--3", "+", "."}) {
    EXPECT_EQ(status(bad), NumberStatus::malformed) << bad;
  }
  for (const char* bad : {"nan", "NaN", "inf", "-inf", "Infinity", "1e999"}) {
    EXPECT_EQ(status(bad), NumberStatus::not_finite) << bad;
  }
  EXPECT_EQ(status(""), NumberStatus::empty);
  EXPECT_EQ(status("  "), NumberStatus::empty);
}

TEST(Timestamps, KnownMoments) {
  const auto seconds = [](std::string_view text, std::string_view format) {
    int64_t value = 0;
    return data::parse_timestamp(text, format, value) ? value : int64_t{-1};
  };
  EXPECT_EQ(seconds("1970-01-01 00:00:00", "%Y-%m-%d %H:%M:%S"), 0);
  EXPECT_EQ(seconds("2010-12-01 08:26:00", "%Y-%m-%d %H:%M:%S"), 1291191960);
  EXPECT_EQ(seconds("2000-02-29", "%Y-%m-%d"), 951782400);
  EXPECT_EQ(seconds("1/2/11 8:05", "%d/%m/%y %H:%M"), 1296547500);
  EXPECT_EQ(seconds("31.12.99", "%d.%m.%y"), 946598400);
  EXPECT_EQ(seconds("20110201T0805", "%Y%m%dT%H%M"), 1296547500);
  EXPECT_EQ(seconds("1296547500", "%s"), 1296547500);
  EXPECT_EQ(seconds("50%2011-02-01", "50%%%Y-%m-%d"), 1296518400);
  for (const char* bad :
       {"2001-02-29", "2001-13-01", "2001-00-01", "2001-01-32", "2001-01", "2001-01-01x", "01-01-01", ""}) {
    EXPECT_EQ(seconds(bad, "%Y-%m-%d"), -1) << bad;
  }
  EXPECT_EQ(seconds("24:00 2001-01-01", "%H:%M %Y-%m-%d"), -1);
  EXPECT_EQ(seconds("23:60 2001-01-01", "%H:%M %Y-%m-%d"), -1);
}

TEST(Timestamps, FormatsAreChecked) {
  EXPECT_EQ(data::timestamp_format_problem("%Y-%m-%d"), "");
  EXPECT_EQ(data::timestamp_format_problem("%s"), "");
  EXPECT_TRUE(has(data::timestamp_format_problem("%Y-%q-%d"), "%q is not one of"));
  EXPECT_TRUE(has(data::timestamp_format_problem("%H:%M"), "needs"));
  EXPECT_TRUE(has(data::timestamp_format_problem("%Y-%m-%d %"), "ends with %"));
}

}  // namespace
}  // namespace sheaf::text
