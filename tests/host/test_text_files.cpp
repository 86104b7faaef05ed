// Files as people have them: encodings, packed files, dialects of delimited text, JSON lines, numbers; wrong ones are
// named, and files made to fill the memory are refused.

#include <gtest/gtest.h>
#include <lzma.h>
#include <zip.h>
#include <zlib.h>
#include <zstd.h>

#include <chrono>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/data/shown.hpp"
#include "host/text/csv.hpp"
#include "host/text/encoding.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/temp_folder.hpp"

namespace sheaf::text {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;
using test::TempFolder;
using test::write_bytes;
using Table = std::vector<std::vector<std::string>>;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// One file in a folder of its own.
class TextFile {
 public:
  explicit TextFile(const std::string& bytes) { write_bytes(path(), bytes); }
  fs::path path() const { return folder_.path() / "file"; }

 private:
  TempFolder folder_;
};

/// "what | hint" of the error of `f`.
template <class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const DataError& error) {
    return std::string(error.what()) + " | " + error.hint();
  }
  return "no error";
}

std::string text_of(const std::string& bytes, const TextOptions& options = {}) {
  return read_text(TextFile(bytes).path(), options);
}

std::string text_error(const std::string& bytes, const TextOptions& options = {}) {
  return message_of([&] { (void)text_of(bytes, options); });
}

/// The header, then the rows; a row that cannot be read is its width alone.
Table table_of(const std::string& bytes, const CsvOptions& options = {}) {
  const TextFile text(bytes);
  const CsvFile file(text.path(), options);
  const Context context(Device{}, ContextOptions{0, 1, false});
  std::vector<int64_t> positions(file.header().size());
  for (size_t c = 0; c < positions.size(); ++c) positions[c] = static_cast<int64_t>(c);
  const CsvColumns columns = file.parse(positions, context);
  Table table{file.header()};
  for (size_t row = 0; row < columns.n_fields.size(); ++row) {
    std::vector<std::string>& fields = table.emplace_back();
    if (columns.n_fields[row] != std::ssize(file.header())) {
      fields.push_back(std::to_string(columns.n_fields[row]));
      continue;
    }
    for (const auto& values : columns.values) fields.emplace_back(values[row]);
  }
  return table;
}

std::string table_error(const std::string& bytes, const CsvOptions& options = {}) {
  return message_of([&] { (void)table_of(bytes, options); });
}

std::string column_error(const std::string& bytes, const std::string& column, const CsvOptions& options = {}) {
  return message_of([&] {
    const TextFile text(bytes);
    (void)CsvFile(text.path(), options).column(column);
  });
}

std::string utf16(const std::string& ascii, bool little) {
  std::string out;
  for (const char c : ascii) out += little ? std::string{c, '\0'} : std::string{'\0', c};
  return out;
}

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0'), in = bytes;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
  return out;
}

std::string xz(const std::string& bytes) {
  std::string out(lzma_stream_buffer_bound(bytes.size()), '\0');
  size_t used = 0;
  EXPECT_EQ(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const uint8_t*>(bytes.data()),
                                    bytes.size(), reinterpret_cast<uint8_t*>(out.data()), &used, out.size()),
            LZMA_OK);
  out.resize(used);
  return out;
}

struct Entry {
  std::string name, bytes;
};

std::string zip(const std::vector<Entry>& entries, const char* password = nullptr) {
  const TempFolder folder;
  const fs::path path = folder.path() / "t.zip";
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE, nullptr);
  for (const Entry& entry : entries) {
    if (entry.name.ends_with('/')) {
      EXPECT_GE(zip_dir_add(archive, entry.name.c_str(), 0), 0);
      continue;
    }
    zip_source_t* source = zip_source_buffer(archive, entry.bytes.data(), entry.bytes.size(), 0);
    const zip_int64_t at = zip_file_add(archive, entry.name.c_str(), source, 0);
    EXPECT_GE(at, 0);
    if (password != nullptr) {
      zip_file_set_encryption(archive, static_cast<zip_uint64_t>(at), ZIP_EM_AES_256, password);
    }
  }
  EXPECT_EQ(zip_close(archive), 0);
  return test::read_bytes(path);
}

TEST(TextFiles, ByteOrderMarksOfAnyUnicode) {
  const std::string text = "u,i\n1,2\n";
  EXPECT_EQ(text_of("\xef\xbb\xbf" + text), text);
  EXPECT_EQ(text_of("\xff\xfe" + utf16(text, true)), text);
  EXPECT_EQ(text_of("\xfe\xff" + utf16(text, false)), text);
  EXPECT_EQ(text_of("\xff\xfe\0\0a\0\0\0"s), "a");
  EXPECT_EQ(text_of("\0\0\xfe\xff\0\0\0a"s), "a");
  EXPECT_EQ(text_of("\xff\xfe\xac\x20"), "€");
  EXPECT_EQ(text_of(gzip("\xff\xfe" + utf16(text, true))), text);
  EXPECT_TRUE(
      has(text_error("\xff\xfe" + utf16("a\nb", true) + "c"), "line 2: byte 0x63 at 6 of the file is not UTF-16LE"));
}

TEST(TextFiles, Utf16WithoutAMarkIsKnownByItsZeros) {
  const std::string text = "u,i\n1,2\n";
  EXPECT_EQ(text_of(utf16(text, true)), text);
  EXPECT_EQ(text_of(utf16(text, false)), text);
  EXPECT_EQ(text_of("\x3a\x04\x30\x04,\0\n\0"s), "ка,\n");  // Cyrillic, whose upper byte is no zero
  EXPECT_EQ(text_of(utf16("a,b\n", true), {.encoding = "utf-16le"}), "a,b\n");
  const std::string error = table_error("u,i\n1,a\0b\n"s);
  EXPECT_TRUE(has(error, "line 2: a NUL byte")) << error;
  EXPECT_TRUE(has(error, "utf-16le")) << error;
}

TEST(TextFiles, EncodingsThatIconvKnows) {
  EXPECT_EQ(text_of("\x80 5", {.encoding = "cp1252"}), "€ 5");
  EXPECT_EQ(text_of("\x80 caf\xe9", {.encoding = "latin1"}), "€ café");  // as browsers read latin1
  EXPECT_EQ(text_of("\xa4", {.encoding = "iso-8859-15"}), "€");
  EXPECT_EQ(text_of("\xc1\xe8", {.encoding = "gbk"}), "凌");
  EXPECT_EQ(text_of("\xc3\xa9", {.encoding = "UTF8"}), "é");
  const std::string error = text_error("a\nb\x81", {.encoding = "cp1252"});
  EXPECT_TRUE(has(error, "line 2: byte 0x81 at 3 of the file is not cp1252")) << error;
  EXPECT_FALSE(is_encoding("cp9999"));
  EXPECT_FALSE(is_encoding(""));
  EXPECT_FALSE(is_encoding("cp1252//IGNORE"));
  EXPECT_TRUE(has(table_error("a\ncaf\xe9\n"), "encoding under [source], for example \"cp1252\""));
}

TEST(TextFiles, LineEndsOfOldMacs) {
  EXPECT_EQ(table_of("u,i\r1,2\r3,4\r"), (Table{{"u", "i"}, {"1", "2"}, {"3", "4"}}));
}

TEST(TextFiles, PackedFilesAreUnpacked) {
  std::string text = "u,i\n";
  for (int row = 0; row < 1000; ++row) text += std::to_string(row * row) + ",2\n";
  EXPECT_EQ(text_of(gzip(text)), text);
  EXPECT_EQ(text_of(gzip(text) + gzip("3,4\n")), text + "3,4\n");
  EXPECT_EQ(text_of(gzip(text) + std::string(511, '\0')), text);  // as tapes and some programs pad
  EXPECT_EQ(text_of(gzip(text) + std::string(3, '\0') + gzip("3,4\n") + std::string(9, '\0')), text + "3,4\n");
  EXPECT_EQ(text_of(zstd(text)), text);
  EXPECT_EQ(text_of(zstd(text) + zstd("3,4\n")), text + "3,4\n");
  EXPECT_EQ(text_of(xz(text)), text);
  EXPECT_EQ(text_of(xz(text) + xz("3,4\n")), text + "3,4\n");
  EXPECT_EQ(text_of(zip({{"a.csv", text}})), text);
  EXPECT_EQ(text_of(zip({{"data/", ""}, {"data/a.csv", text}, {"__MACOSX/data/._a.csv", "x"}, {".DS_Store", "x"}})),
            text);
  EXPECT_EQ(text_of(gzip("")), "");
  EXPECT_EQ(text_of(zstd("")), "");
}

TEST(TextFiles, BrokenPackedFilesAreNamed) {
  const std::string text = "u,i\n1,2\n3,4\n";
  const std::vector<std::pair<std::string, std::string>> packed{
      {"gzip", gzip(text)}, {"zstd", zstd(text)}, {"xz", xz(text)}, {"zip", zip({{"a.csv", text}})}};
  for (const auto& [format, bytes] : packed) {
    for (size_t length = 6; length < bytes.size(); ++length) {
      const std::string error = text_error(bytes.substr(0, length));
      ASSERT_TRUE(has(error, "broken " + format)) << format << " cut to " << length << ": " << error;
    }
  }
  EXPECT_TRUE(has(text_error(gzip(text) + "more"), "broken gzip"));
  EXPECT_TRUE(has(text_error(gzip(text).substr(0, 12)), "it ends too early"));
  EXPECT_TRUE(has(text_error(zstd(text).substr(0, 12)), "it ends too early"));
  EXPECT_TRUE(has(text_error(xz(text).substr(0, 30)), "it ends too early"));
}

TEST(TextFiles, ArchivesWithoutOneFileSayWhatTheyHold) {
  const std::string several = text_error(zip({{"a.csv", "1"}, {"b.csv", "2"}}));
  EXPECT_TRUE(has(several, "the archive holds 2 files: a.csv, b.csv | one is read")) << several;
  EXPECT_TRUE(has(several, "unzip -p")) << several;
  EXPECT_TRUE(has(text_error(zip({{"folder/", ""}})), "the archive holds 0 files"));
  EXPECT_TRUE(has(text_error(zip({{"a.csv", "1"}}, "secret")), "'a.csv' is locked with a password"));
  const std::string workbook = text_error(zip({{"[Content_Types].xml", "x"}, {"xl/workbook.xml", "x"}}));
  EXPECT_TRUE(has(workbook, "a workbook or a document")) << workbook;
  EXPECT_TRUE(has(workbook, "CSV UTF-8")) << workbook;
}

TEST(TextFiles, OtherFormatsAreNamedWithTheirCommand) {
  const std::vector<std::pair<std::string, std::string>> known{{"BZh91AY&SY\x01\x02", "bunzip2 -k FILE"},
                                                               {"7z\xbc\xaf\x27\x1c", "7z x FILE"},
                                                               {"Rar!\x1a\x07\x01", "unrar x FILE"},
                                                               {"\x04\x22\x4d\x18 ", "lz4 -d FILE"},
                                                               {"\x1f\x9d\x90", "uncompress FILE"},
                                                               {std::string(257, '\0') + "ustar", "tar -xf FILE"},
                                                               {gzip(std::string(257, '\0') + "ustar"), "tar -xf FILE"},
                                                               {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "CSV UTF-8"},
                                                               {"PAR1\x15", "DuckDB"},
                                                               {"SQLite format 3\0"s, "sqlite3"},
                                                               {"%PDF-1.7", "export"}};
  for (const auto& [bytes, command] : known) {
    const std::string error = text_error(bytes);
    EXPECT_TRUE(has(error, "gzip, zip, zstd and xz are read")) << error;
    EXPECT_TRUE(has(error, command)) << error;
  }
}

TEST(TextFiles, MoreThanAFileCanHoldIsRefused) {
  const std::string zeros(size_t{17} << 20, '\0');  // beyond the 16 MiB that any file may unpack to
  for (const std::string& bytes : {gzip(zeros), zstd(zeros), xz(zeros), zip({{"zeros", zeros}})}) {
    const std::string error = text_error(bytes);
    EXPECT_TRUE(has(error, "unpack to more than 16777216, over 200 times as many")) << error;
    EXPECT_TRUE(has(error, "max_expansion under [source]")) << error;
  }
  EXPECT_EQ(text_of(gzip(zeros), {.max_expansion = 2000}).size(), zeros.size());
}

TEST(Dialects, ExcelSaysItsDelimiter) {
  const Table expected{{"u", "i"}, {"1", "2"}};
  for (const char* first : {"sep=;\n", "sep=;\r\n", "\"sep=;\"\n", "SEP=;\n", "\xef\xbb\xbfsep=;\n"}) {
    EXPECT_EQ(table_of(first + "u;i\n1;2\n"s), expected) << first;
  }
  EXPECT_EQ(table_of("sep=\t\nu\ti\n1\t2\n"), expected);
  EXPECT_EQ(table_of("sep=;\nu|i\n1|2\n", {.delimiter = "|"}), expected);  // what is asked for counts
  const TextFile text("sep=;\nu;i\n1;2\n");
  EXPECT_EQ(CsvFile(text.path()).line(0), 3);
}

TEST(Dialects, DelimitersOfSeveralCharactersAndBlanks) {
  const Table expected{{"u", "i"}, {"1", "a b:c"}};
  EXPECT_EQ(table_of("u::i\n1::a b:c\n", {.delimiter = "::"}), expected);
  EXPECT_EQ(table_of("u::i\n1::\"x::y\"\n", {.delimiter = "::"}), (Table{{"u", "i"}, {"1", "x::y"}}));
  EXPECT_EQ(table_of("u::i\n1::\"x\ny\"\n", {.delimiter = "::"}), (Table{{"u", "i"}, {"1", "x\ny"}}));
  EXPECT_EQ(table_of("1::2\n3::4\n", {.delimiter = "::", .header = false}),
            (Table{{"1", "2"}, {"1", "2"}, {"3", "4"}}));
  const CsvOptions blanks{.format = RowFormat::whitespace};
  EXPECT_EQ(table_of("u  i\n1\t 2\n  \n  3 4  \n", blanks), (Table{{"u", "i"}, {"1", "2"}, {"3", "4"}}));
  EXPECT_EQ(table_of("u i\n \"a b\"  2\n", blanks), (Table{{"u", "i"}, {"a b", "2"}}));
  EXPECT_EQ(table_of("u i\n1\n1 2 3\n", blanks), (Table{{"u", "i"}, {"1"}, {"3"}}));
}

TEST(Dialects, CommentLinesAreLeftOut) {
  const CsvOptions hash{.comment = "#"};
  EXPECT_EQ(table_of("# made by \"us\nu,i\n1,2\n#3,4\n5,#6\n", hash), (Table{{"u", "i"}, {"1", "2"}, {"5", "#6"}}));
  const TextFile text("#\nu,i\n#\n1,2\n");
  EXPECT_EQ(CsvFile(text.path(), hash).line(0), 4);
  EXPECT_EQ(table_of("u,i\n#1,2\n"), (Table{{"u", "i"}, {"#1", "2"}}));  // without the setting, a row
  const std::string error = column_error("# made by us\nu,i\n1,2\n", "u");
  EXPECT_TRUE(has(error, "the first line is '# made by us' | if it is a comment, set comment = \"#\"")) << error;
}

TEST(Dialects, ColumnsWithoutANameAndDelimitersAtTheEnd) {
  EXPECT_EQ(table_of(",u,i\n0,1,2\n"), (Table{{"", "u", "i"}, {"0", "1", "2"}}));
  const Table expected{{"u", "i"}, {"1", "2"}, {"3", "4"}};
  EXPECT_EQ(table_of("u,i,\n1,2,\n3,4,\n"), expected);
  EXPECT_EQ(table_of("u,i,\n1,2\n3,4\n"), expected);
  EXPECT_EQ(table_of("u,i\n1,2,\n3,4,\n"), expected);
  // A field too many stays a fault where it holds something, or where the file does not end lines so.
  EXPECT_EQ(table_of("u,i,\n1,2,\n3,4,5\n"), (Table{{"u", "i"}, {"1", "2"}, {"3"}}));
  EXPECT_EQ(table_of("u,i\n1,2\n3,4,\n"), (Table{{"u", "i"}, {"1", "2"}, {"3"}}));
  EXPECT_EQ(table_of("u,i\n1,2,\n3,4,,\n"), (Table{{"u", "i"}, {"1", "2"}, {"4"}}));
  EXPECT_EQ(table_of("1,\n3,4\n", {.header = false}), (Table{{"1", "2"}, {"1", ""}, {"3", "4"}}));
  EXPECT_TRUE(has(table_error(",,\n1,2,3\n"), "line 1: the header names no column"));
}

TEST(Dialects, JsonLines) {
  const CsvOptions options{.format = RowFormat::json_lines};
  EXPECT_EQ(table_of("{\"u\": \"é\\n\", \"p\": 2.50, \"n\": 12345678901234567890123}\n\n"
                     "{\"p\": null, \"u\": 7, \"t\": true}\r\n",
                     options),
            (Table{{"u", "p", "n", "t"}, {"é\n", "2.50", "12345678901234567890123", ""}, {"7", "", "", "true"}}));
  // What is no object, has a key twice, or a list where a value is used.
  EXPECT_EQ(
      table_of("{\"u\": 1}\n[1]\n3\n{\"u\": 1, \"u\": 2}\n{\"u\": [1]}\n{\"u\": 1\n{\"u\": \"\\u0000\"}\n", options),
      (Table{{"u"}, {"1"}, {"-2"}, {"-2"}, {"-2"}, {"-3"}, {"-2"}, {"-2"}}));
  const TextFile text("{\"u\": 1, \"list\": [1, {\"u\": 2}]}\n{\"u\": {}}\n");
  const CsvFile file(text.path(), options);
  const Context context(Device{}, ContextOptions{0, 1, false});
  EXPECT_EQ(file.parse({0}, context).n_fields, (std::vector<int32_t>{2, -3}));  // `list` is not used
  std::vector<std::string_view> fields;
  std::deque<std::string> made;
  EXPECT_EQ(file.fields(0, fields, made), 2);
  const CsvColumns twice = file.parse({0, 0}, context);
  EXPECT_EQ(twice.values[1][0], "1");
  EXPECT_EQ(fields, (std::vector<std::string_view>{"1", ""}));
  EXPECT_TRUE(has(file.width_message(1, -3), "line 2: a column that is used holds a list or an object"));
  const std::string list = table_error("[\n{\"u\": 1},\n", options);
  EXPECT_TRUE(has(list, "line 1: '[' is not a JSON object")) << list;
  EXPECT_TRUE(has(list, "jq -c")) << list;
}

TEST(Messages, AnotherDelimiterIsNamed) {
  const auto named = [](const std::string& bytes, const std::string& delimiter, const std::string& setting) {
    const std::string error = column_error(bytes, "u");
    EXPECT_TRUE(has(error, "line 1: no column 'u'; the file seems to be separated by " + delimiter)) << error;
    EXPECT_TRUE(has(error, "set " + setting + " under [source]")) << error;
  };
  named("u;i;p\n1;2;3,5\n", "';'", "delimiter = \";\"");
  named("u\ti\n1\t2\n", "a tab", "delimiter = \"\\t\"");
  named("u|i\n1|2\n", "'|'", "delimiter = \"|\"");
  named("u::i\n1::2\n", "'::'", "delimiter = \"::\"");
  named("u i\n1 2\n", "blanks", "format = \"whitespace\"");
  named("user;item\n1;2\n", "';'", "delimiter = \";\"");  // the column has another name, too
  named("p,q;u\n1,2;3\n", "';'", "delimiter = \";\"");
  const std::string comma = column_error("u,i\n", "u", {.delimiter = ";"});
  EXPECT_TRUE(has(comma, "separated by ','")) << comma;
  EXPECT_TRUE(has(column_error("name\n", "u"), "it has: name"));
  EXPECT_TRUE(has(column_error("1;2\n3;4\n", "2", {.header = false}), "separated by ';'"));
}

TEST(Messages, WhatIsNoTableIsNamed) {
  EXPECT_TRUE(has(column_error("{\"u\": 1}\n", "u"), "seems to be JSON | set format = \"jsonl\""));
  EXPECT_TRUE(has(column_error("[{\"u\": 1}]\n", "u"), "jq -c '.[]'"));
  EXPECT_TRUE(has(column_error("<!DOCTYPE html>\n", "u"), "HTML"));
  EXPECT_TRUE(has(column_error("17,i4,2.5\n18,i5,1\n", "u"), "set header = false under [source]"));
}

TEST(Messages, AreShortWhateverTheFileHolds) {
  constexpr size_t kLong = size_t{2} << 20, kMost = 2000;
  const std::string huge(kLong, 'x');
  EXPECT_LT(column_error(huge + ",i\n", "u", {.max_line_bytes = 4 << 20}).size(), kMost);
  EXPECT_LT(table_error(huge + "\n").size(), kMost);
  EXPECT_TRUE(has(table_error("a\n" + huge + "\n"), "line 2: the row has 2097152 bytes, more than 1048576"));
  std::string header;
  for (int c = 0; c < 9000; ++c) header += (c > 0 ? ",column " : "column ") + std::to_string(c);
  const std::string error = column_error(header + "\n", "u");
  EXPECT_LT(error.size(), kMost);
  EXPECT_TRUE(has(error, "and 8980 more")) << error;
  EXPECT_LT(table_error(huge + "," + huge + "\n", {.max_line_bytes = 8 << 20}).size(), kMost);  // a name twice
}

TEST(Messages, ShowNoByteThatATerminalObeys) {
  EXPECT_EQ(shown("a\0b\x1b[31m\n"s), "a\\x00b\\x1b[31m\\x0a");
  EXPECT_EQ(shown("\xc2\x85\x80\xff"), "\\xc2\\x85\\x80\\xff");
  EXPECT_EQ(shown("café €"), "café €");
  EXPECT_EQ(shown("ééééé", 3), "ééé…");
  EXPECT_EQ(shown("ééé", 3), "ééé");
  EXPECT_EQ(shown_list(std::vector<std::string>{"a", "b\n"}), "a, b\\x0a");
}

TEST(Limits, ColumnsAndLinesAreBounded) {
  const std::string commas(300'000, ',');
  EXPECT_TRUE(has(table_error(commas + "\n"), "line 1: the line has 300001 columns, more than 10000"));
  EXPECT_TRUE(has(table_error("u,i\n" + std::string(2'000'000, ',')), "line 2: the row has 2000000 bytes"));
  EXPECT_TRUE(
      has(table_error("u,i\n1,\"2\n" + std::string(2'000'000, 'x') + "\"\n"), "a quote that is closed much later"));
  EXPECT_EQ(table_of("u,i\n" + commas + "\n"), (Table{{"u", "i"}, {"300001"}}));
  std::string keys = "{";
  for (int k = 0; k < 10'001; ++k) keys += (k > 0 ? ",\"k" : "\"k") + std::to_string(k) + "\":1";
  EXPECT_TRUE(
      has(table_error(keys + "}\n", {.format = RowFormat::json_lines}), "line 1: more than 10000 different keys"));
}

/// Names are looked up in a table, not in one another: the time of a wide header grows with its width alone.
TEST(Limits, WideHeadersAreReadInLinearTime) {
  const auto seconds = [](int columns) {
    std::string header;
    for (int c = 0; c < columns; ++c) header += (c > 0 ? ",c" : "c") + std::to_string(c);
    const TextFile text(header + "\n");
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(std::ssize(CsvFile(text.path(), {.max_line_bytes = 8 << 20, .max_columns = 1'000'000}).header()),
              columns);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  EXPECT_LT(seconds(400'000), 5.0);  // 0.1 s; a comparison of each with each takes minutes
}

TEST(NumberFormats, DecimalCommasAndThousands) {
  const auto number = [](std::string_view text, const NumberFormat& format) {
    double value = 0.0;
    return parse_number(text, value, format) == NumberStatus::ok ? value : -1.0;
  };
  const NumberFormat german{',', "."}, french{',', " "}, english{'.', ","}, swiss{'.', "'"}, comma{',', ""};
  EXPECT_EQ(number("12,50", comma), 12.5);
  EXPECT_EQ(number("-0,5", comma), -0.5);
  EXPECT_EQ(number("1.234.567,5", german), 1234567.5);
  EXPECT_EQ(number("1234,5", german), 1234.5);
  EXPECT_EQ(number("1 234,5", french), 1234.5);
  EXPECT_EQ(number("1\u00a0234,5", french), 1234.5);
  EXPECT_EQ(number("1\u202f234,5", french), 1234.5);
  EXPECT_EQ(number("1,234,567.5", english), 1234567.5);
  EXPECT_EQ(number("12,34,567", english), 1234567.0);  // lakh
  EXPECT_EQ(number("1'234.5", swiss), 1234.5);
  EXPECT_EQ(number("1,5e3", comma), 1500.0);
  EXPECT_EQ(number(" 7 ", german), 7.0);
  for (const char* bad :
       {"12.50", "1.23,4", "1.2345", "1..234", ".234", "1.234.", "1,234.5", "1,2,3", "1234.567", "1.234.56"}) {
    EXPECT_EQ(number(bad, german), -1.0) << bad;
  }
  EXPECT_EQ(number("12.50", comma), -1.0);  // not 12.5, not 1250: the file says how it writes numbers
  double value = 1.0;
  EXPECT_EQ(parse_number("1e-400", value), NumberStatus::ok);
  EXPECT_EQ(value, 0.0);
  EXPECT_EQ(parse_number("9223372036854775807", value), NumberStatus::ok);
}

TEST(NumberFormats, AdviceNamesTheSetting) {
  EXPECT_EQ(number_advice("12,50", {}), "under [source] set decimal = \",\" if it is 12.5");
  EXPECT_EQ(number_advice("1,234", {}),
            "under [source] set thousands = \",\" if it is 1234, or decimal = \",\" if it is 1.234");
  EXPECT_EQ(number_advice("1.234,56", {}), "under [source] set decimal = \",\" and thousands = \".\" if it is 1234.56");
  EXPECT_EQ(number_advice("12.5", {',', ""}), "under [source] set decimal = \".\" if it is 12.5");
  EXPECT_EQ(number_advice("abc", {}), "");
}

}  // namespace
}  // namespace sheaf::text
