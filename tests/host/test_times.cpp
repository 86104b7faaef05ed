// Times that cannot be what they say: refused or shown.

#include <chrono>
#include <nlohmann/json.hpp>

#include "host/data/import.hpp"
#include "host/data/times.hpp"
#include "host/data/timestamp.hpp"
#include "kernels/core/error.hpp"
#include "tests/host/program_test.hpp"

namespace sheaf {
namespace {

int64_t this_year() {
  const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  return static_cast<int>(std::chrono::year_month_day(today).year());
}

struct Row {
  std::string user, basket, time;
};

class TimesTest : public ProgramTest {
 protected:
  /// The import's text; its message if it fails.
  std::string import_text(const std::vector<Row>& rows, const std::string& format, const std::string& more = "",
                          int code = 0) const {
    std::string csv = "u,b,i,t\n";
    for (size_t r = 0; r < rows.size(); ++r) {
      csv += rows[r].user + "," + rows[r].basket + ",i" + std::to_string(r) + "," + rows[r].time + "\n";
    }
    write_bytes(home() / "rows.csv", csv);
    std::string toml =
        "[columns]\nuser = \"u\"\nbasket = \"b\"\nitem = \"i\"\ntimestamp = \"t\"\n[timestamp]\nformat = \"" + format +
        "\"\n" + more;
    if (!has(more, "[split]")) toml += "[split]\nvalidation_days = 0\ntest_days = 0\n";
    write_bytes(home() / "rows.toml", toml);
    const Finished done = run({"import", "rows.csv", "--config", "rows.toml", "--out", "data", "--quiet"});
    EXPECT_EQ(done.code, code) << done.out << done.err;
    return code == 0 ? done.out : done.err;
  }
  /// One row a user and basket.
  static std::vector<Row> at(const std::vector<std::string>& times) {
    std::vector<Row> rows;
    for (const std::string& time : times) {
      const std::string n = std::to_string(rows.size());
      rows.push_back({"u" + n, "b" + n, time});
    }
    return rows;
  }
  /// `days` days of `first` and after, as %Y-%m-%d, a row a day.
  static std::vector<Row> days_from(const std::string& first, int days) {
    int64_t seconds = 0;
    EXPECT_TRUE(data::parse_timestamp(first, "%Y-%m-%d", seconds));
    std::vector<std::string> times;
    for (int day = 0; day < days; ++day) times.push_back(data::time_text(seconds + int64_t{86400} * day));
    return at(times);
  }
  static void expect_parts(const std::string& text, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) EXPECT_TRUE(has(text, part)) << "expected: " << part << "\nfound: " << text;
  }
  static std::string warnings_of(const std::string& text) {
    const size_t at = text.find("warning: ");
    return at == std::string::npos ? "" : text.substr(at);
  }
};

TEST_F(TimesTest, ATimeAsText) {
  EXPECT_EQ(data::time_text(0), "1970-01-01");
  EXPECT_EQ(data::time_text(1709210096), "2024-02-29 12:34:56");
  EXPECT_EQ(data::time_text(-1), "1969-12-31 23:59:59");
  EXPECT_EQ(data::time_text(253402300799), "9999-12-31 23:59:59");
  EXPECT_EQ(data::time_text(253402300800), "about the year 10000");
  EXPECT_EQ(data::time_text(-62167219200), "0000-01-01");
  EXPECT_TRUE(data::time_text(std::numeric_limits<int64_t>::min()).starts_with("about the year -292277"));
  EXPECT_EQ(data::start_of_year(1970), 0);
  EXPECT_EQ(data::start_of_year(2024), 1704067200);
}

TEST_F(TimesTest, YearsThatCannotBeAreRefusedWithTheLikelyUnit) {
  const std::string years = ": the years 1900 to " + std::to_string(this_year() + 1) + " are expected";
  const auto refused = [&](const std::string& time, const std::string& format, const std::string& message) {
    const std::string good = format == "%s" ? "1704067200" : "2024-01-01";
    expect_parts(import_text(at({good, time}), format, "", 3), {"rows.csv line 3: column 't': " + message});
  };
  refused("1704067200000", "%s",
          "'1704067200000' is about the year 55969" + years + "; as milliseconds since 1970 it is 2024-01-01");
  refused("1704067200000000", "%s",
          "'1704067200000000' is about the year 54001709" + years + "; as microseconds since 1970 it is 2024-01-01");
  refused("1704067200000000000", "%s", "'1704067200000000000' is about the year 53999741868");
  refused("-9223372036854775808", "%s", "'-9223372036854775808' is about the year -292277");
  refused("9999-12-31", "%Y-%m-%d", "'9999-12-31'" + years + "\n");
  refused("0001-01-01", "%Y-%m-%d", "'0001-01-01'" + years + "\n");
  refused("1899-12-31", "%Y-%m-%d", "'1899-12-31'" + years + "\n");
  const std::string late = std::to_string(this_year() + 2) + "-01-01";
  refused(late, "%Y-%m-%d", "'" + late + "'" + years);
  // The format is wrong, and what the text is can be told.
  refused("1704067200", "%Y-%m-%d",
          "'1704067200' does not match the format of [timestamp]; as seconds since 1970 it is 2024-01-01");
  refused("45292", "%Y-%m-%d",
          "'45292' does not match the format of [timestamp]; as Excel serial days it is 2024-01-01");
  refused("20240131", "%Y-%m-%d",
          "'20240131' does not match the format of [timestamp]; with the format '%Y%m%d' it is 2024-01-31");
  refused("2024-01-31 10:00:00", "%Y-%m-%d",
          "'2024-01-31 10:00:00' does not match the format of [timestamp]; with the format '%Y-%m-%d %H:%M:%S' it is "
          "2024-01-31 10:00:00");
  expect_parts(import_text(at({"01/02/2024", "01/31/2024"}), "%d/%m/%Y", "", 3),
               {"line 3: column 't': '01/31/2024' does not match", "with the format '%m/%d/%Y' it is 2024-01-31"});
  expect_parts(import_text(at({"1704067200000"}), "%s", "", 3),
               {"first_year and last_year under [timestamp] allow other years", "malformed = \"drop\""});
  // The last year that is expected, and the first.
  import_text(at({"1900-01-01", std::to_string(this_year() + 1) + "-12-31"}), "%Y-%m-%d");
}

TEST_F(TimesTest, SettingsAllowOtherYears) {
  expect_parts(import_text(at({"1850-05-01", "2999-12-31"}), "%Y-%m-%d", "first_year = 1850\nlast_year = 2999\n"),
               {"from 1850-05-01 to 2999-12-31"});
  expect_parts(import_text(at({"1850-05-01"}), "%Y-%m-%d", "first_year = 1851\n", 3), {"the years 1851 to "});
  expect_parts(import_text(at({"2024-05-01"}), "%Y-%m-%d", "last_year = 2023\n", 3), {"the years 1900 to 2023"});
  expect_parts(import_text(at({"2024-05-01"}), "%Y-%m-%d", "first_year = 2024\nlast_year = 2023\n", 2),
               {"line 8: timestamp.first_year: expected years in order, not 2024 to 2023"});
  expect_parts(import_text(at({"2024-05-01"}), "%Y-%m-%d", "last_year = 20240\n", 2),
               {"line 8: timestamp.last_year: expected a year from 0 to 9999"});
  // A sentinel is left out like every row that cannot be read; the message says what it was if nothing is left.
  expect_parts(import_text(at({"2024-05-01", "9999-12-31"}), "%Y-%m-%d", "[clean]\nmalformed = \"drop\"\n"),
               {"2 rows read, 1 kept", "from 2024-05-01 to 2024-05-01"});
  expect_parts(import_text(at({"1704067200000"}), "%s", "[clean]\nmalformed = \"drop\"\n", 3),
               {"no rows are left of 1 read (dropped: malformed 1)", "as milliseconds since 1970 it is 2024-01-01"});
}

TEST_F(TimesTest, DaysThatAreReadAsSecondsAreRefused) {
  expect_parts(import_text(at({"45292", "45300"}), "%s", "", 3),
               {"rows.csv line 2: column 't': as seconds since 1970 '45292' is 1970-01-01 12:34:52",
                "as Excel serial days it is 2024-01-01", "first_year = 1970"});
  expect_parts(import_text(at({"19723", "19700"}), "%s", "", 3), {"line 3", "as days since 1970 it is 2023-12-09"});
  expect_parts(import_text(at({"20240101", "20231231"}), "%s", "", 3), {"with the format '%Y%m%d' it is 2023-12-31"});
  import_text(at({"45292", "45300"}), "%s", "first_year = 1970\n");
  import_text(at({"45292", "1704067200"}), "%s");
  import_text(at({"20240101", "20249999"}), "%s");
}

TEST_F(TimesTest, TheImportShowsTimesAndBorders) {
  const std::string text = import_text(days_from("2024-03-01", 60), "%Y-%m-%d",
                                       "[split]\nkind = \"temporal\"\nvalidation_days = 12\ntest_days = 15\n");
  expect_parts(text, {"60 baskets, from 2024-03-01 to 2024-04-29\n",
                      "part        rows  baskets  first       last        baskets that begin",
                      "train         33       33  2024-03-01  2024-04-02  until 2024-04-02",
                      "validation    12       12  2024-04-03  2024-04-14  after 2024-04-02",
                      "test          15       15  2024-04-15  2024-04-29  after 2024-04-14"});
  EXPECT_EQ(warnings_of(text), "");
  const nlohmann::json json = nlohmann::json::parse(
      must_run({"import", "rows.csv", "--config", "rows.toml", "--out", "data", "--quiet", "--json"}).out);
  EXPECT_EQ(json["parts"]["validation"], (nlohmann::json{{"rows", 12},
                                                         {"baskets", 12},
                                                         {"first_timestamp", 1712102400},
                                                         {"last_timestamp", 1713052800},
                                                         {"after_timestamp", 1712016000}}));
  EXPECT_EQ(json["warnings"], nlohmann::json::array());
  expect_parts(
      import_text(at({"2024-03-01", "2024-03-10"}), "%Y-%m-%d", "[split]\ntest_days = 28\n", 3),
      {"no rows are left to train on of 2 read (dropped: none); the rows are from 2024-03-01 to 2024-03-10, and "
       "train would end with 2024-01-14"});
  // A last day that is no row's own decides alone what the test is.
  std::vector<Row> rows = days_from("2024-03-01", 60);
  rows.push_back({"u", "b", "2025-02-01"});
  const std::string shifted = import_text(rows, "%Y-%m-%d", "[split]\nvalidation_days = 28\ntest_days = 28\n");
  expect_parts(shifted, {"warning: validation is empty: 0 rows in 0 of 61 baskets; check the times above and [split]",
                         "warning: test is almost empty: 1 row in 1 of 61 baskets; check"});
  EXPECT_FALSE(has(shifted, "nothing was bought")) << "less than a year";
  expect_parts(import_text(days_from("2024-03-01", 60), "%Y-%m-%d", "[split]\ntest_days = 50\nvalidation_days = 0\n"),
               {"warning: train has only 16.7 % of the rows"});
}

TEST_F(TimesTest, APartIsAlmostEmptyBesideManyBaskets) {
  std::vector<std::string> times;
  for (int day = 1; day <= 28; ++day) {
    times.insert(times.end(), 200, std::string("2024-02-") + (day < 10 ? "0" : "") + std::to_string(day));
  }
  times.insert(times.end(), 11, "2024-03-02");  // of 5,611: fewer than one in 500, which would be 12
  const std::string split = "[split]\nvalidation_days = 0\ntest_days = 1\n";
  const std::string few = "warning: test is almost empty: 11 rows in 11 of 5611 baskets";
  expect_parts(import_text(at(times), "%Y-%m-%d", split), {few});
  times.emplace_back("2024-03-02");
  EXPECT_EQ(warnings_of(import_text(at(times), "%Y-%m-%d", split)), "");
}

TEST_F(TimesTest, TimesThatAreFarFromTheOthersAreShown) {
  std::vector<Row> rows = days_from("2024-03-01", 60);
  rows.insert(rows.begin() + 7, {"u", "b", "2000-01-01"});
  expect_parts(
      import_text(rows, "%Y-%m-%d"),
      {"nothing was bought between 2000-01-01 and 2024-03-01: check the times of the 1 row before it (line 9)"});
  rows[7].time = std::to_string(this_year() + 1) + "-12-31";
  expect_parts(import_text(rows, "%Y-%m-%d"),
               {"of a time to come: 1 row, the first of " + rows[7].time + " (line 9)", "the 1 row after it (line 9)"});
  expect_parts(import_text(days_from("1999-03-01", 60), "%Y-%m-%d"),
               {"most rows are older than ten years: half of them are of 1999-03-30 or before"});
}

TEST_F(TimesTest, DaysThatMayBeMonthsAreShown) {
  const std::string doubt = "no day of a month is above 12, so day and month may be exchanged";
  const std::vector<Row> rows = at({"01/02/2024", "01/05/2024", "01/07/2024", "02/02/2024"});
  expect_parts(import_text(rows, "%d/%m/%Y"),
               {doubt + ": with the format '%m/%d/%Y' the 4 days are from 2024-01-02 to 2024-02-02"});
  EXPECT_FALSE(has(import_text(at({"01/02/2024", "01/05/2024", "01/07/2024", "13/07/2024"}), "%d/%m/%Y"), doubt));
  EXPECT_FALSE(has(import_text(at({"01/02/2024", "01/05/2024", "02/02/2024"}), "%d/%m/%Y"), doubt)) << "too few";
  EXPECT_FALSE(has(import_text(at({"2024-01-02", "2024-01-05", "2024-01-07"}), "%Y-%m-%d"), doubt));
  expect_parts(
      import_text(at({"01/02/2024", "01/15/2024", "01/16/2024"}), "%d/%m/%Y", "[clean]\nmalformed = \"drop\"\n"),
      {"left out as malformed, with a time of the format '%m/%d/%Y' and not '%d/%m/%Y': 2 rows, such as "
       "'01/15/2024' (line 3)"});
}

TEST_F(TimesTest, ReceiptNumbersThatComeBackAreShown) {
  std::vector<Row> rows = days_from("2024-03-01", 60);
  const std::string split = "[split]\nvalidation_days = 12\ntest_days = 15\n";
  EXPECT_EQ(warnings_of(import_text(rows, "%Y-%m-%d", split)), "");
  rows[59].user = "u3";  // one user, the number of 56 days before
  rows[59].basket = "b3";
  const std::string again = import_text(rows, "%Y-%m-%d", split);
  expect_parts(again,
               {"over more than one day: 1 of 59 baskets; the longest is 'b3' of user 'u3', 2024-03-04 (line 5) to "
                "2024-04-29 (line 61). In an earlier part than their time, because a basket is never cut: 1 row. "
                "If receipt numbers start again, put the day into the number, or leave columns.basket out"});
  EXPECT_FALSE(has(again, "different users"));
  rows[59].user = "another";
  const std::string shared = import_text(rows, "%Y-%m-%d", split);
  expect_parts(shared,
               {"used by different users on different days: 1 basket id; 'b3' of user 'u3' on 2024-03-04 (line 5), "
                "and 'b3' of user 'another' on 2024-04-29 (line 61)"});
  EXPECT_FALSE(has(shared, "over more than one day"));
  // A receipt over midnight is one, and two people may share one.
  rows[59] = {"u58", "b58", rows[59].time};
  rows[30].basket = "b31";
  EXPECT_EQ(warnings_of(import_text(rows, "%Y-%m-%d", split)), "");
}

TEST_F(TimesTest, ADateOfTheClockIsNotSaved) {
  const std::string text = import_text(days_from("1999-03-01", 60), "%Y-%m-%d");
  EXPECT_NE(warnings_of(text), "");
  EXPECT_FALSE(has(read("data/manifest.json"), "older than ten years"));
}

}  // namespace
}  // namespace sheaf
