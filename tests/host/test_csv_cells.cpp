#include "host/report/csv_cells.hpp"

#include <gtest/gtest.h>

namespace sheaf::report {
namespace {

TEST(CsvCells, QuoteWhatCsvNeedsQuoted) {
  const CsvCells cells(true);
  EXPECT_EQ(cells.text("tea"), "tea");
  EXPECT_EQ(cells.text("tea, green"), "\"tea, green\"");
  EXPECT_EQ(cells.text("12\" plate"), "\"12\"\" plate\"");
  EXPECT_EQ(cells.text("two\nlines"), "\"two\nlines\"");
  EXPECT_EQ(cells.text(""), "");
}

TEST(CsvCells, GuardWhatASpreadsheetWouldRun) {
  const CsvCells cells(true), plain(false);
  for (const std::string text : {"=1+1", "+SUM(A1)", "-cmd|x", "@name", "\tx", "=cmd, x"}) {
    EXPECT_NE(cells.text(text).find('\''), std::string::npos) << text;
    EXPECT_EQ(plain.text(text).find('\''), std::string::npos) << text;
  }
  EXPECT_EQ(cells.text("=cmd, x"), "\"'=cmd, x\"");
  // Numbers are ids as often as not, and no formula.
  for (const std::string text : {"-5", "+4.5e3", "a=b", "5-3"}) EXPECT_EQ(cells.text(text), text);
  EXPECT_EQ(cells.list({"=a", "b"}), "'=a; b");
}

TEST(CsvCells, ListsCanBeSplitAgain) {
  const CsvCells cells(true);
  EXPECT_EQ(cells.list({"a", "b c", "d"}), "a; b c; d");
  EXPECT_EQ(cells.list({}), "");
  // The cell before CSV's own quotes: "x; y"; 12"; b  with each odd element in quotes of its own.
  EXPECT_EQ(cells.list({"x; y", "b"}), "\"\"\"x; y\"\"; b\"");
  EXPECT_EQ(cells.list({"12\"", "b"}), "\"\"\"12\"\"\"\"\"\"; b\"");
  EXPECT_EQ(cells.list({" a", ""}), "\"\"\" a\"\"; \"\"\"\"\"");
}

}  // namespace
}  // namespace sheaf::report
