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
    return import_by(rows, "\"" + format + "\"", more, code);
  }
  std::string import_by(const std::vector<Row>& rows, const std::string& format, const std::string& more,
                        int code) const {
    std::string csv = "u,b,i,t\n";
    for (size_t r = 0; r < rows.size(); ++r) {
      csv += rows[r].user + "," + rows[r].basket + ",i" + std::to_string(r) + "," + rows[r].time + "\n";
    }
    write_bytes(home() / "rows.csv", csv);
    std::string toml =
        "[columns]\nuser = \"u\"\nbasket = \"b\"\nitem = \"i\"\ntimestamp = \"t\"\n[timestamp]\nformat = " + format +
        "\n" + more;
    if (!has(more, "[split]")) toml += "[split]\nvalidation_days = 0\ntest_days = 0\n";
    write_bytes(home() / "rows.toml", toml);
    const Finished done = run({"import", "rows.csv", "--config", "rows.toml", "--out", "data", "--quiet"});
    EXPECT_EQ(done.code, code) << done.out << done.err;
    return code == 0 ? done.out : done.err;
  }
  /// The same with a list of formats.
  std::string import_formats(const std::vector<Row>& rows, const std::vector<std::string>& formats,
                             const std::string& more = "", int code = 0) const {
    std::string list;
    for (const std::string& format : formats) list += (list.empty() ? "\"" : ", \"") + format + "\"";
    return import_by(rows, "[" + list + "]", more, code);
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
  /// But for the one that each basket has one item, as it is here.
  static std::string warnings_of(std::string text) {
    const size_t single = text.find("warning: no basket has two items");
    if (single != std::string::npos) text.erase(single, text.find('\n', single) + 1 - single);
    const size_t at = text.find("warning: ");
    return at == std::string::npos ? "" : text.substr(at);
  }
  static std::string read_by(const std::string& format, const std::string& text) {
    int64_t seconds = 0;
    return data::parse_timestamp(text, format, seconds) ? data::time_text(seconds) : "none";
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

TEST_F(TimesTest, PatternsReadWhatTheySay) {
  EXPECT_EQ(read_by("%m/%d/%Y %I:%M %p", "1/31/2024 6:05 PM"), "2024-01-31 18:05:00");
  EXPECT_EQ(read_by("%m/%d/%Y %I:%M:%S %p", "01/31/2024 12:00:01 am"), "2024-01-31 00:00:01");
  EXPECT_EQ(read_by("%m/%d/%Y %I:%M%p", "01/31/2024 12:00p.m."), "2024-01-31 12:00:00");
  EXPECT_EQ(read_by("%m/%d/%Y %I %p", "01/31/2024 13 PM"), "none");
  EXPECT_EQ(read_by("%m/%d/%Y %I %p", "01/31/2024 0 AM"), "none");
  EXPECT_EQ(read_by("%m/%d/%Y %I %p", "01/31/2024 1 XM"), "none");
  EXPECT_EQ(read_by("%d-%b-%y", "31-JAN-24"), "2024-01-31");
  EXPECT_EQ(read_by("%d %B %Y", "2 may 2024"), "2024-05-02");
  EXPECT_EQ(read_by("%b %d, %Y", "September 1, 2024"), "2024-09-01");
  EXPECT_EQ(read_by("%b %d, %Y", "Sept 1, 2024"), "2024-09-01");
  EXPECT_EQ(read_by("%b %d, %Y", "Sep 1, 2024"), "2024-09-01");
  EXPECT_EQ(read_by("%b %d, %Y", "Mai 1, 2024"), "none");
  EXPECT_EQ(read_by("%a %b %d %H:%M:%S %Y", "Wed Jan 31 18:05:00 2024"), "2024-01-31 18:05:00");
  EXPECT_EQ(read_by("%A, %d.%m.%Y", "Wednesday, 31.01.2024"), "2024-01-31");
  EXPECT_EQ(read_by("%Y-%m-%d %H:%M:%S.%f", "2024-01-31 18:05:00.999999999"), "2024-01-31 18:05:00");
  EXPECT_EQ(read_by("%Y-%m-%d %H:%M:%S.%f", "2024-01-31 18:05:00."), "none");
  EXPECT_EQ(read_by("%Y-%m-%d %H:%M:%S %z", "2024-01-31 00:30:00 +0100"), "2024-01-30 23:30:00");
  EXPECT_EQ(read_by("%Y-%m-%d %H:%M:%S%z", "2024-01-31 18:05:00-05:30"), "2024-01-31 23:35:00");
  EXPECT_EQ(read_by("%Y-%m-%d %H:%M:%S%z", "2024-01-31 18:05:00Z"), "2024-01-31 18:05:00");
  EXPECT_EQ(read_by("%Y-%m-%d %H:%M:%S %z", "2024-01-31 18:05:00 UTC"), "2024-01-31 18:05:00");
  EXPECT_EQ(read_by("%Y-%m-%d %H:%M:%S%z", "2024-01-31 18:05:00+15:00"), "none");
  EXPECT_EQ(read_by("%Y-%m-%d %H:%M:%S%z", "2024-01-31 18:05:00+01:60"), "none");
  EXPECT_EQ(read_by("%Y-%m-%d %H:%M:%S%z", "2024-01-31 18:05:00"), "none");
  EXPECT_EQ(read_by("%Y-%m-%d", "2023-02-29"), "none");
  EXPECT_EQ(read_by("t=%s", "t=1704067200"), "2024-01-01");
  EXPECT_EQ(read_by("%s", "1704067200.75"), "2024-01-01");
  EXPECT_EQ(read_by("%s", "1704067200,75"), "none");
  EXPECT_EQ(read_by("%s", "1.704E9"), "none");
}

TEST_F(TimesTest, WordsAreFormatsToo) {
  for (const char* text : {"2024-01-31T18:05:00", "2024-01-31 18:05", "20240131T180500Z", "2024-01-31T18:05:00.123Z",
                           "2024-01-31T18:05:00,5+00:00", "2024-01-31T19:05:00+01:00", "2024-01-31T13:05-0500",
                           "2024-01-31 18:05:00 UTC", "2024-01-31T20:05:00+02", "20240131T1805", "2024-01-31t18:05z"}) {
    EXPECT_EQ(read_by("iso8601", text), "2024-01-31 18:05:00") << text;
  }
  EXPECT_EQ(read_by("iso8601", "2024-01-31"), "2024-01-31");
  EXPECT_EQ(read_by("iso8601", "20240131"), "2024-01-31");
  for (const char* text : {"2024-1-31", "2024-01-31T", "2024-01-31T18:5", "2024-01-31T18:05:00.", "2024-01-31T24:00",
                           "2024-01-31T18:05:00+1", "2024-01-31T18:05:00 Berlin", "24-01-31", "2024-0131", ""}) {
    EXPECT_EQ(read_by("iso8601", text), "none") << text;
  }
  EXPECT_EQ(read_by("seconds", "1704067200"), "2024-01-01");
  EXPECT_EQ(read_by("milliseconds", "1704067200999"), "2024-01-01");
  EXPECT_EQ(read_by("milliseconds", "-1"), "1969-12-31 23:59:59");
  EXPECT_EQ(read_by("microseconds", "1704067200000001"), "2024-01-01");
  EXPECT_EQ(read_by("nanoseconds", "1704067199999999999"), "2023-12-31 23:59:59") << "more digits than a double has";
  EXPECT_EQ(read_by("days", "19753"), "2024-01-31");
  EXPECT_EQ(read_by("days", "19753.5"), "2024-01-31 12:00:00");
  EXPECT_EQ(read_by("excel", "45322.75"), "2024-01-31 18:00:00");
  EXPECT_EQ(read_by("excel", "45322.7534722222"), "2024-01-31 18:05:00") << "as Excel writes 18:05";
  EXPECT_EQ(read_by("excel", "1"), "1900-01-01");
  EXPECT_EQ(read_by("excel", "59"), "1900-02-28");
  EXPECT_EQ(read_by("excel", "60"), "none") << "Excel's 1900-02-29";
  EXPECT_EQ(read_by("excel", "61"), "1900-03-01");
  EXPECT_EQ(read_by("excel", "2958465"), "9999-12-31");
  EXPECT_EQ(read_by("excel", "2958466"), "none");
  EXPECT_EQ(read_by("excel", "0"), "none");
}

TEST_F(TimesTest, FormatsThatSayTooLittleAreRefused) {
  const auto problem = [](const std::string& format) { return data::timestamp_format_problem(format); };
  for (const char* format : {"%d %b %y", "%Y-%m-%dT%H:%M:%S.%f%z", "%A %d %B %Y %I %p", "%s", "t%s", "iso8601", "excel",
                             "days", "nanoseconds"}) {
    EXPECT_EQ(problem(format), "") << format;
  }
  EXPECT_TRUE(has(problem("%d %b"), "needs %s, or %Y"));
  EXPECT_TRUE(has(problem("%Y-%m-%d %I:%M"), "needs %I and %p together"));
  EXPECT_TRUE(has(problem("%Y-%m-%d %H:%M %p"), "needs %I and %p together"));
  EXPECT_TRUE(has(problem("%Y-%m-%d %H:%I %p"), "has %H and %I"));
  EXPECT_TRUE(has(problem("%Y %s"), "stands alone"));
  EXPECT_TRUE(has(problem("%s %Y"), "stands alone"));
  EXPECT_TRUE(has(problem("iso 8601"), "is none of iso8601, seconds"));
  EXPECT_TRUE(has(problem("%Y-%m-%d %Z"), "%Z is not one of"));
  EXPECT_TRUE(has(problem("%Y-%m-%"), "ends with %"));
}

TEST_F(TimesTest, SeveralFormatsAreTriedInTheirOrder) {
  const std::vector<Row> rows = at({"31/01/2024 18:05", "2024-02-03", "04/02/2024 09:00"});
  const std::string text = import_formats(rows, {"%d/%m/%Y %H:%M", "%Y-%m-%d"});
  expect_parts(text, {"from 2024-01-31 18:05:00 to 2024-02-04 09:00:00", "format of times  rows\n",
                      "%d/%m/%Y %H:%M      2\n", "%Y-%m-%d            1\n"});
  const nlohmann::json json = nlohmann::json::parse(
      must_run({"import", "rows.csv", "--config", "rows.toml", "--out", "data", "--quiet", "--json"}).out);
  EXPECT_EQ(json["time_formats"], (nlohmann::json{{"%d/%m/%Y %H:%M", 2}, {"%Y-%m-%d", 1}}));
  expect_parts(import_formats(at({"2024-02-03", "soon"}), {"%d/%m/%Y", "%Y-%m-%d"}, "", 3),
               {"line 3: column 't': 'soon' does not match the formats of [timestamp]"});
  expect_parts(import_formats(rows, {"%d/%m/%Y", "%Y-%q"}, "", 2), {"'%Y-%q' %q is not one of"});
  expect_parts(import_formats(rows, std::vector<std::string>(17, "%Y-%m-%d"), "", 2), {"expected at most 16 formats"});
  expect_parts(import_formats(rows, {}, "", 2), {"timestamp.format: expected a string or a list of strings"});
}

TEST_F(TimesTest, ATimeOfTwoFormatsIsMalformed) {
  const std::vector<std::string> formats{"%d/%m/%Y", "%m/%d/%Y"};
  expect_parts(import_formats(at({"31/01/2024", "01/31/2024", "03/03/2024", "01/02/2024"}), formats, "", 3),
               {"rows.csv line 5: column 't': '01/02/2024' is 2024-02-01 with the format '%d/%m/%Y', and 2024-01-02 "
                "with '%m/%d/%Y'",
                "keep the right one of the two formats"});
  const std::string text = import_formats(at({"31/01/2024", "01/31/2024", "03/03/2024", "01/02/2024"}), formats,
                                          "[clean]\nmalformed = \"drop\"\n");
  expect_parts(text, {"4 rows read, 3 kept", "%d/%m/%Y            2\n", "%m/%d/%Y            1\n"});
  // A year that is not expected decides, and so does a format that makes the same of it.
  expect_parts(import_formats(at({"20240131"}), {"%s", "%Y%m%d"}, "", 3),
               {"is 1970-08-23 06:15:31 with the format '%s'"});
  expect_parts(import_formats(at({"20240131"}), {"%s", "%Y%m%d"}, "first_year = 2000\n"), {"from 2024-01-31 to"});
  expect_parts(import_formats(at({"2024-01-31"}), {"%Y-%m-%d", "iso8601"}), {"from 2024-01-31 to"});
  expect_parts(import_formats(at({"9999-12-31"}), {"%d/%m/%Y", "%Y-%m-%d"}, "", 3),
               {"'9999-12-31': the years 1900 to"});
}

TEST_F(TimesTest, TheLikelyFormatIsNamed) {
  const auto means = [](const std::string& text, const std::string& format = "%Y-%m-%d %H:%M:%S") {
    return data::likely_meaning(text, {format});
  };
  EXPECT_EQ(means("2024-01-31T18:05:00.123+01:00"), "with the format 'iso8601' it is 2024-01-31 17:05:00");
  EXPECT_EQ(means("1/31/2024 6:05 PM"), "with the format '%m/%d/%Y %I:%M %p' it is 2024-01-31 18:05:00");
  EXPECT_EQ(means("01/02/2024"), "with the format '%d/%m/%Y' it is 2024-02-01, with '%m/%d/%Y' 2024-01-02");
  EXPECT_EQ(means("31-Jan-24"), "with the format '%d-%b-%y' it is 2024-01-31");
  EXPECT_EQ(means("31.1.2024 18:05"), "with the format '%d.%m.%Y %H:%M' it is 2024-01-31 18:05:00");
  EXPECT_EQ(means("45322.75"), "as Excel serial days it is 2024-01-31 18:00:00 (format = \"excel\")");
  EXPECT_EQ(means("1704067200000", "%s"), "as milliseconds since 1970 it is 2024-01-01 (format = \"milliseconds\")");
  EXPECT_EQ(means("1704067200", "milliseconds"), "as seconds since 1970 it is 2024-01-01 (format = \"seconds\")");
  EXPECT_EQ(means("soon"), "");
}

TEST_F(TimesTest, CountsOfAnotherUnitAreRefused) {
  expect_parts(import_text(at({"1704067200", "1704153600"}), "milliseconds", "", 3),
               {"as milliseconds since 1970 '1704067200' is 1970-01-20 17:21:07",
                "as seconds since 1970 it is 2024-01-01 (format = \"seconds\")", "first_year = 1970"});
  expect_parts(import_text(at({"19723", "19724"}), "excel", "", 3), {"as days since 1970 it is 2024-01-01"});
  import_text(at({"1704067200", "1704067200000"}), "milliseconds");
  expect_parts(import_text(at({"45292"}), "days", "", 3),
               {"the years 1900 to", "as Excel serial days it is 2024-01-01"});
  // Among several formats, those that a count read.
  expect_parts(import_formats(at({"2024-01-31", "45292"}), {"%Y-%m-%d", "%s"}, "", 3),
               {"line 3: column 't': as seconds since 1970 '45292' is 1970-01-01"});
}

TEST_F(TimesTest, TimesWithAndWithoutAnOffsetAreShown) {
  const std::string mixed =
      import_text(at({"2024-01-31T18:05:00+01:00", "2024-01-31T18:05:00Z", "2024-01-31 19:00"}), "iso8601");
  expect_parts(mixed, {"warning: with an offset, and so in UTC, is the time of 2 rows, and without one that of 1 row, "
                       "such as '2024-01-31 19:00' (line 4)"});
  EXPECT_FALSE(has(import_text(at({"2024-01-31T18:05:00+01:00", "2024-01-31T18:05:00Z"}), "iso8601"), "an offset"));
  EXPECT_FALSE(has(import_text(at({"2024-01-31T18:05:00", "2024-01-31 19:00"}), "iso8601"), "an offset"));
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
  EXPECT_EQ(json["warnings"].size(), 1u) << "that each basket has one item";
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
