// One shop in every form that people keep files in: each gives the same data set. Wrong files end with one message, a
// documented code, and nothing written.

#include <cerrno>

#include "engine/io/file_io.hpp"
#include "host/cli/workspace.hpp"
#include "host/config/config.hpp"
#include "host/problems/problem_file.hpp"
#include "host/problems/utility_file.hpp"
#include "kernels/core/error.hpp"
#include "tests/host/program_test.hpp"

namespace sheaf {
namespace {

using namespace std::string_literals;

constexpr const char* kBom = "\xef\xbb\xbf";

std::string utf16(const std::string& ascii) {
  std::string out = "\xff\xfe";
  for (const char c : ascii) out += {c, '\0'};
  return out;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

using Fields = std::vector<std::string>;

/// The header, then user, basket, item, day and whole price of each line.
std::vector<Fields> small_shop() {
  std::vector<Fields> rows{{"u", "b", "i", "t", "p"}};
  for (int row = 0; row < 60; ++row) {
    rows.push_back({"u" + std::to_string(row % 7), "b" + std::to_string(row / 3), "i" + std::to_string(row * row % 11),
                    "2024-01-" + std::to_string(10 + row / 3), std::to_string(row + 1)});
  }
  return rows;
}

std::string small_shop(const std::string& delimiter, const std::string& decimal = ".") {
  std::string text;
  for (const Fields& row : small_shop()) {
    for (const std::string& field : row) text += (&field == &row.front() ? "" : delimiter) + field;
    text += row[4] == "p" ? "\n" : decimal + "50\n";
  }
  return text;
}

std::string small_shop_as_json_lines() {
  std::string text;
  for (const Fields& row : small_shop()) {
    if (row[4] == "p") continue;
    text += "{\"p\": " + row[4] + ".50, \"u\": \"" + row[0] + "\", \"b\": \"" + row[1] +
            "\", \"tags\": [1], \"i\": \"" + row[2] + "\", \"t\": \"" + row[3] + "\"}\n";
  }
  return text;
}

constexpr const char* kColumns = R"([columns]
user = "u"
basket = "b"
item = "i"
timestamp = "t"
price = "p"
[timestamp]
format = "%Y-%m-%d"
[split]
validation_days = 0
test_days = 5
)";

class TextProgramTest : public ProgramTest {
 protected:
  /// The data set that the importer makes of these bytes with these lines of [source].
  std::string imported(const std::string& bytes, const std::string& source = "") {
    fs::remove_all(home() / "data");
    write_bytes(home() / "t.csv", bytes);
    write_bytes(home() / "t.toml", "[source]\n" + source + kColumns);
    const Finished finished = run({"import", "t.csv", "--config", "t.toml", "--out", "data"});
    EXPECT_EQ(finished.code, 0) << finished.err;
    return finished.code == 0 ? read("data/prepared.safetensors") : finished.err;
  }
  /// What is said of bytes that cannot be imported; the code is that of bad data.
  std::string refused(const std::string& bytes, const std::string& source = "") {
    write_bytes(home() / "t.csv", bytes);
    write_bytes(home() / "t.toml", "[source]\n" + source + kColumns);
    const Finished finished = run({"import", "t.csv", "--config", "t.toml", "--out", "data"});
    EXPECT_EQ(finished.code, 3) << finished.err;
    EXPECT_EQ(finished.out, "");
    EXPECT_FALSE(fs::exists(home() / "data"));
    return finished.err;
  }
};

TEST_F(TextProgramTest, EveryFormOfAFileGivesTheSameData) {
  const std::string plain = small_shop(","), expected = imported(plain);
  ASSERT_GT(expected.size(), 1000u);
  EXPECT_EQ(imported(kBom + plain), expected);
  EXPECT_EQ(imported(utf16(plain)), expected);
  EXPECT_EQ(imported(utf16(plain).substr(2)), expected);
  EXPECT_EQ(imported("sep=;\n" + small_shop(";")), expected);
  EXPECT_EQ(imported(small_shop("::"), "delimiter = \"::\"\n"), expected);
  EXPECT_EQ(imported(small_shop("  "), "format = \"whitespace\"\n"), expected);
  EXPECT_EQ(imported(small_shop("\t"), "format = \"tsv\"\n"), expected);
  EXPECT_EQ(imported("# of us\n" + plain, "comment = \"#\"\n"), expected);
  EXPECT_EQ(imported(replaced(plain, "\n", ",\n")), expected);
  EXPECT_EQ(imported(replaced("\n" + plain.substr(0, plain.size() - 1), "\n", "\n0,").substr(1) + "\n"), expected);
  EXPECT_EQ(imported(replaced(plain, "\n", "\r")), expected);
  EXPECT_EQ(imported(small_shop(";", ","), "delimiter = \";\"\ndecimal = \",\"\n"), expected);
  EXPECT_EQ(imported(small_shop_as_json_lines(), "format = \"jsonl\"\n"), expected);
}

TEST_F(TextProgramTest, WrongFilesEndWithOneMessage) {
  const std::string semicolons = refused(small_shop(";"));
  EXPECT_TRUE(has(semicolons, "separated by ';'")) << semicolons;
  EXPECT_TRUE(has(semicolons, "delimiter = \";\"")) << semicolons;
  EXPECT_TRUE(has(refused("BZh91AY&SY\x01"), "bunzip2"));
  EXPECT_TRUE(has(refused("u,b,i,t,p\nu1,b1,i\0,2024-01-01,1\n"s), "line 2: a NUL byte"));
  EXPECT_TRUE(has(refused("u,b,i,t,p\nu1,b1,caf\xe9,2024-01-01,1\n"), "cp1252"));
  const std::string huge = refused("u,b,i,t,p\nu1,b1,i1,2024-01-01," + std::string(1'000'000, '9') + "x\n");
  EXPECT_TRUE(has(huge, "line 2: column 'p': '9999")) << huge.substr(0, 1000);
  EXPECT_LT(huge.size(), 1000u);
}

TEST_F(TextProgramTest, ANumberOfAnotherCountryNamesTheSetting) {
  const std::string comma = refused(small_shop(";", ","), "delimiter = \";\"\n");
  EXPECT_TRUE(has(comma, "line 2: column 'p': '1,50' is not a number")) << comma;
  EXPECT_TRUE(has(comma, "set decimal = \",\"")) << comma;
  EXPECT_FALSE(has(comma, "drop")) << comma;
  // Dropping every such row ends with the same advice.
  write_bytes(home() / "t.toml",
              "[source]\ndelimiter = \";\"\n" + std::string(kColumns) + "[clean]\nmalformed = \"drop\"\n");
  const Finished dropped = run({"import", "t.csv", "--config", "t.toml", "--out", "data"});
  EXPECT_EQ(dropped.code, 3);
  EXPECT_TRUE(has(dropped.err, "set decimal = \",\"")) << dropped.err;
}

TEST_F(TextProgramTest, TheSideTableIsWrittenAsTheFile) {
  write_bytes(home() / "t.csv", small_shop(";", ","));
  std::string table = "id;weight\n";
  for (int item = 0; item < 11; ++item) table += "i" + std::to_string(item) + ";" + std::to_string(item) + ",25\n";
  write_bytes(home() / "items.csv", table);
  const std::string items = "[items]\nfile = \"items.csv\"\nkey = \"id\"\nnumeric = [\"weight\"]\n";
  write_bytes(home() / "t.toml", "[source]\ndelimiter = \";\"\ndecimal = \",\"\n" + std::string(kColumns) + items);
  must_run({"import", "t.csv", "--config", "t.toml", "--out", "data"});
  write_bytes(home() / "t.csv", small_shop(";"));
  write_bytes(home() / "t.toml", "[source]\ndelimiter = \";\"\n" + std::string(kColumns) + items);
  expect_failure({"import", "t.csv", "--config", "t.toml", "--out", "other"}, 3,
                 "items.csv line 2: column 'weight': '0,25' is not a finite number\n"
                 "  under [source] set decimal = \",\"");
}

TEST_F(TextProgramTest, SettingsOfTheSourceAreChecked) {
  const auto refused_setting = [&](const std::string& source, const std::string& what) {
    write_bytes(home() / "t.csv", small_shop(","));
    write_bytes(home() / "t.toml", "[source]\n" + source + "\n" + kColumns);
    const Finished finished = run({"import", "t.csv", "--config", "t.toml", "--out", "data"});
    EXPECT_EQ(finished.code, 2) << source << finished.err;
    EXPECT_TRUE(has(finished.err, "t.toml line ")) << finished.err;
    EXPECT_TRUE(has(finished.err, what)) << finished.err;
  };
  refused_setting("delimiter = \"\"", "source.delimiter: expected characters that are no quote");
  refused_setting("delimiter = '\"'", "source.delimiter");
  refused_setting("comment = \"\\n\"", "source.comment");
  refused_setting("encoding = \"cp9999\"", "source.encoding: expected an encoding that iconv knows");
  refused_setting("format = \"whitespace\"\ndelimiter = \";\"", "source.delimiter: expected no delimiter");
  refused_setting("format = \"jsonl\"\nheader = false", "source.header");
  refused_setting("format = \"xlsx\"", "source.format: expected one of csv, tsv, whitespace, jsonl");
  refused_setting("decimal = \";\"", "source.decimal: expected \".\" or \",\"");
  refused_setting("thousands = \".\"", "source.thousands");
  refused_setting("thousands = \"x\"", "source.thousands: expected one of");
  refused_setting("max_columns = 0", "source.max_columns: expected an integer of at least 1");
  refused_setting("max_line_bytes = 3000000000", "source.max_line_bytes: expected at most 2147483647");
  refused_setting("max_expansion = 0", "source.max_expansion");
}

/// A shop of Excel saves every file with a byte order mark, or as UTF-16.
TEST_F(TextProgramTest, EveryTextFileMayBeginWithAMark) {
  const auto both = [](const std::string& text) { return std::vector<std::string>{kBom + text, utf16(text)}; };
  const auto in = [&](const std::string& bytes) {
    write_bytes(home() / "file", bytes);
    return home() / "file";
  };
  for (const std::string& bytes : both("linear = [1, 2]\n")) {
    EXPECT_EQ(problems::read_problem(in(bytes), problems::ProblemFormat::toml, false).problem.n, 2);
  }
  for (const std::string& bytes : both("2\n1 2\n8\n0\n16\n5 3\n")) {
    EXPECT_EQ(problems::read_problem(in(bytes), problems::ProblemFormat::qkp, false).problem.n, 2);
  }
  for (const std::string& bytes : both("2 1\n1 2 4\n")) {
    EXPECT_EQ(problems::read_problem(in(bytes), problems::ProblemFormat::qubo, false).problem.n, 2);
  }
  for (const std::string& bytes : both("[[objective]]\nlinear = [1, 2]\n")) {
    EXPECT_EQ(problems::read_pareto(in(bytes)).rules.n, 2);
  }
  for (const std::string& bytes : both("1 2:3:1 2\n")) {
    EXPECT_EQ(problems::read_utility(in(bytes)).ids.size(), 2u);
  }
  for (const std::string& bytes : both("[run]\nseed = 7\n")) EXPECT_EQ(config::load_config(in(bytes)).run.seed, 7);
  for (const std::string& bytes : both("u1\r\n u2\r\n")) {
    EXPECT_EQ(cli::read_ids(in(bytes)), (std::vector<cli::IdOfLine>{{"u1", 1}, {"u2", 2}}));
  }
  const std::string expected = imported(small_shop(","));
  for (const std::string& bytes : both("[source]\n" + std::string(kColumns))) {
    in(bytes);
    must_run({"import", "t.csv", "--config", "file", "--out", "data"});
    EXPECT_EQ(read("data/prepared.safetensors"), expected);
  }
  for (const std::string& bytes : both("bundle,item\nx,i0\nx,i1\n")) {
    in(bytes);
    must_run({"complete", "data", "--file", "file"});
  }
}

TEST(ReadErrors, SayWhatToDoAboutAnInput) {
  const auto hint = [](int code) {
    errno = code;
    try {
      io::throw_cannot_read("in.csv");
    } catch (const DataError& error) {
      return std::string(error.what()) + " | " + error.hint();
    }
  };
  EXPECT_EQ(hint(EACCES),
            "cannot read in.csv: Permission denied | you may not read it: ask its owner, or chmod +r; or name another "
            "file");
  EXPECT_TRUE(has(hint(EISDIR), "name a file in this folder"));
  EXPECT_TRUE(has(hint(ENOENT), "there is no such file"));
  for (const int code : {EACCES, EPERM, EROFS, EIO, ENOENT}) EXPECT_FALSE(has(hint(code), "write")) << code;
}

TEST(WholeNumbers, MayBeLargerThanADoubleHoldsExactly) {
  config::Config config;
  config.set("search.budget=9223372036854775807");
  EXPECT_EQ(config.search.budget, 9223372036854775807.0);
  config.set("discount.uplift=1000");
  EXPECT_EQ(config.discount.uplift, 1000.0);
  EXPECT_THROW(config.set("discount.uplift=9223372036854775807"), UsageError);  // was "auto"
}

}  // namespace
}  // namespace sheaf
