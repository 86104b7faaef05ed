// What stands in files and how it is read: missing values, blanks, files without a header, a basket a line, several
// files.

#include <nlohmann/json.hpp>

#include "host/data/import.hpp"
#include "host/data/values.hpp"
#include "kernels/core/error.hpp"
#include "tests/host/program_test.hpp"

namespace sheaf::data {
namespace {

constexpr const char* kColumns =
    "[columns]\nuser = \"u\"\nbasket = \"b\"\nitem = \"i\"\ntimestamp = \"t\"\n[timestamp]\nformat = \"%Y-%m-%d\"\n"
    "[split]\nvalidation_days = 0\ntest_days = 0\n";
constexpr const char* kNoTime = "[split]\nkind = \"random\"\nvalidation_fraction = 0\ntest_fraction = 0\n";

using Kind = ImportReport::ValueKind;

class SourceTest : public ProgramTest {
 protected:
  std::pair<Prepared, ImportReport> import_all(const std::vector<std::pair<std::string, std::string>>& files,
                                               const std::string& toml, int n_threads = 1) const {
    write_bytes(home() / "rows.toml", toml);
    std::vector<fs::path> paths;
    for (const auto& [name, text] : files) {
      write_bytes(home() / name, text);
      paths.push_back(home() / name);
    }
    return import_files(paths, load_import_config(home() / "rows.toml"), n_threads);
  }
  std::pair<Prepared, ImportReport> import_text(const std::string& text, const std::string& toml) const {
    return import_all({{"rows.csv", text}}, toml);
  }
  std::string error_of(const std::vector<std::pair<std::string, std::string>>& files, const std::string& toml) const {
    try {
      (void)import_all(files, toml);
    } catch (const Error& error) {
      return std::string(error.what()) + " | " + error.hint();
    }
    return "no error";
  }
  std::string error_of(const std::string& text, const std::string& toml) const {
    return error_of({{"rows.csv", text}}, toml);
  }
  static std::vector<std::string> strings(const StringTable& table) {
    std::vector<std::string> all;
    for (int64_t i = 0; i < table.size(); ++i) all.emplace_back(table[i]);
    return all;
  }
  static void expect_has(const std::string& text, const std::string& part) {
    EXPECT_TRUE(has(text, part)) << "expected: " << part << "\nfound: " << text;
  }
  /// "column kind marker: values, line value" of each count.
  static std::vector<std::string> values_of(const ImportReport& report) {
    std::vector<std::string> all;
    for (const auto& count : report.values) {
      const char* kind = count.kind == Kind::missing ? "missing" : count.kind == Kind::trimmed ? "trimmed" : "padded";
      all.push_back(count.column + " " + kind + " '" + count.marker + "': " + std::to_string(count.values) + ", " +
                    std::to_string(count.first.line) + " '" + count.first.value + "'" +
                    (count.first.file.empty() ? "" : " " + count.first.file));
    }
    return all;
  }
};

using Strings = std::vector<std::string>;

TEST_F(SourceTest, BlanksOfManyKindsAreTakenOff) {
  EXPECT_EQ(without_blanks(" \t\r\n\v\fu 1 "), "u 1");
  EXPECT_EQ(without_blanks("\xc2\xa0u1\xe3\x80\x80\xe2\x80\xaf"), "u1");  // no-break, ideographic, narrow no-break
  EXPECT_EQ(without_blanks("\xef\xbb\xbfu1"), "u1");                      // a byte order mark
  EXPECT_EQ(without_blanks(" \xc2\xa0 "), "");
  EXPECT_EQ(without_blanks("\xc3\xa0"), "\xc3\xa0");  // a letter that ends like a no-break space
  EXPECT_EQ(without_blanks(""), "");
}

const std::string kMissingUsers =
    "u,b,i,t\nu1,b1,x,2024-01-01\nu1,b1,y,2024-01-01\nnan,b2,x,2024-01-02\nNULL,b3,x,2024-01-03\n\\N,b4,x,2024-01-04\n"
    " ,b5,x,2024-01-05\n,b6,x,2024-01-06\n NULL ,b7,y,2024-01-07\nNan,b8,y,2024-01-08\n";

TEST_F(SourceTest, MarkersOfMissingValuesAreNoUsers) {
  const auto [prepared, report] = import_text(kMissingUsers, kColumns);
  EXPECT_EQ(strings(prepared.user_ids), (Strings{"Nan", "u1"})) << "case matters";
  EXPECT_EQ(report.rule("missing_user").dropped, 6);
  EXPECT_EQ(report.rule("missing_user").examples[0].line, 4);
  EXPECT_EQ(values_of(report), (Strings{"u missing 'nan': 1, 4 'nan'", "u missing 'NULL': 2, 5 'NULL'",
                                        "u missing '\\N': 1, 6 '\\N'", "u missing '': 1, 7 ' '"}));
  EXPECT_EQ(prepared.import_summary["values"][1], (nlohmann::json{{"kind", "missing"},
                                                                  {"column", "u"},
                                                                  {"marker", "NULL"},
                                                                  {"values", 2},
                                                                  {"first", {{"line", 5}, {"value", "NULL"}}}}));
}

TEST_F(SourceTest, TheMarkersAreASetting) {
  const auto [all, none_report] = import_text(kMissingUsers, std::string(kColumns) + "[clean]\nmissing = []\n");
  EXPECT_EQ(strings(all.user_ids), (Strings{" NULL ", "NULL", "Nan", "\\N", "nan", "u1"}));
  EXPECT_EQ(none_report.rule("missing_user").dropped, 2) << "nothing, and one blank";
  const auto [some, own_report] = import_text(kMissingUsers, std::string(kColumns) + "[clean]\nmissing = [\"u1\"]\n");
  EXPECT_EQ(own_report.rule("missing_user").dropped, 4);
  EXPECT_EQ(values_of(own_report)[0], "u missing 'u1': 2, 2 'u1'");
  expect_has(error_of(kMissingUsers, std::string(kColumns) + "[clean]\nmissing = \"NULL\"\n"),
             "clean.missing: expected a list of strings");
  expect_has(error_of(kMissingUsers, std::string(kColumns) + "[clean]\nmissing = [\"\", \" \", \"NULL \"]\n"),
             "line 12: clean.missing: expected 'NULL' in place of 'NULL '");
}

TEST_F(SourceTest, AMissingValueIsNamedAsItStands) {
  const std::string toml = std::string(kColumns) + "[clean]\nmissing = [\"?\", \"n/a\"]\n";
  const std::string path = (home() / "rows.csv").string();
  expect_has(error_of("u,b,i,t\nu1,b1,x,2024-01-01\nu1,b1, ? ,2024-01-01\n", toml),
             path + " line 3: column 'i': the value is missing: ' ? ' | mend the row, or set malformed = \"drop\"");
  expect_has(error_of("u,b,i,t\nu1,b1,x,2024-01-01\nu1,n/a,y,2024-01-01\n", toml),
             "line 3: column 'b': the value is missing: 'n/a'");
  expect_has(error_of("u,b,i,t\nu1,b1,x,n/a\n", toml), "line 2: column 't': the value is missing: 'n/a'");
  expect_has(error_of("u,b,i,t\nu1,b1,x,\n", toml), "line 2: column 't': the value is missing | ");
}

TEST_F(SourceTest, NumbersMayBeMissingToo) {
  const std::string toml = std::string("[columns]\nuser = \"u\"\nbasket = \"b\"\nitem = \"i\"\nquantity = \"q\"\n") +
                           "price = \"p\"\ndiscount = [\"d\"]\n" + kNoTime;
  const auto [prepared, report] = import_text("u,b,i,q,p,d\nu1,b1,x,1,2,NULL\nu1,b1,y,NaN,2,0\nu1,b1,z,1,2,0.5\n",
                                              toml + "[clean]\nmalformed = \"drop\"\n");
  EXPECT_EQ(prepared.discount, (std::vector<float>{0.0f, 0.5f}));
  EXPECT_EQ(report.rule("malformed").dropped, 1);
  expect_has(error_of("u,b,i,q,p,d\nu1,b1,x,1,inf,0\n", toml), "column 'p': 'inf' is not a finite number");
}

const std::string kBlanks =
    "u,b,i,t\nu1,b1,x,2024-01-01\nu1 ,b1,y,2024-01-01\n\tu1,b1,z\xc2\xa0,2024-01-01\nu2,b2,z,2024-01-02 \n";

TEST_F(SourceTest, BlanksAroundValuesAreTakenOffOnRequest) {
  const auto [prepared, report] = import_text(kBlanks, std::string(kColumns) + "[clean]\ntrim = true\n");
  EXPECT_EQ(strings(prepared.user_ids), (Strings{"u1", "u2"}));
  EXPECT_EQ(strings(prepared.item_ids), (Strings{"x", "y", "z"}));
  EXPECT_EQ(prepared.n_baskets, 2);
  EXPECT_EQ(values_of(report), (Strings{"i trimmed '': 1, 4 'z\xc2\xa0'", "t trimmed '': 1, 5 '2024-01-02 '",
                                        "u trimmed '': 2, 3 'u1 '"}));
  EXPECT_FALSE(has(nlohmann::json(report.warnings).dump(), "blanks"));
}

TEST_F(SourceTest, BlanksThatAreKeptAroundIdsAreShown) {
  std::string text = kBlanks;
  text.erase(text.size() - 2, 1);  // a time with a blank matches no format
  const auto [prepared, report] = import_text(text, kColumns);
  EXPECT_EQ(strings(prepared.user_ids), (Strings{"\tu1", "u1", "u1 ", "u2"}));
  EXPECT_EQ(values_of(report), (Strings{"i padded '': 1, 4 'z\xc2\xa0'", "u padded '': 2, 3 'u1 '"}));
  const std::string warnings = nlohmann::json(report.warnings).dump();
  expect_has(warnings,
             "with blanks at an end, and so other ids than without: 2 values of column 'u', such as 'u1 ' (line 3); "
             "trim = true under [clean] takes the blanks off");
  expect_has(error_of(kBlanks, kColumns),
             "line 5: column 't': '2024-01-02 ' does not match the format of [timestamp]; it has blanks at an end");
}

TEST_F(SourceTest, TheSideTableIsReadInTheSameWay) {
  write_bytes(home() / "items.csv", "id,kind,weight\nx ,food,NULL\ny,N/A,2\n");
  const std::string toml = std::string(kColumns) +
                           "[items]\nfile = \"items.csv\"\nkey = \"id\"\ncategory = \"kind\"\nnumeric = [\"weight\"]\n"
                           "[clean]\ntrim = true\n";
  const auto [prepared, report] = import_text("u,b,i,t\nu1,b1,x,2024-01-01\nu1,b1,y,2024-01-01\n", toml);
  EXPECT_EQ(report.rule("unknown_item").breaks, 0);
  EXPECT_EQ(prepared.category_names[prepared.item_category[1]], kNoValue);
  EXPECT_EQ(prepared.numeric_mean[1], 2.0f);
  EXPECT_EQ(values_of(report), (Strings{"id trimmed '': 1, 2 'x' items.csv", "kind missing 'N/A': 1, 3 '' items.csv",
                                        "weight missing 'NULL': 1, 2 '' items.csv"}));
  write_bytes(home() / "items.csv", "id,kind,weight\nx,food,1\nNULL,food,2\n");
  expect_has(error_of("u,b,i,t\nu1,b1,x,2024-01-01\n", toml), "items.csv line 3: column 'id': the value is missing");
}

const std::string kNumbered =
    std::string("[source]\nheader = false\ndelimiter = \";\"\n[columns]\nuser = 1\nbasket = 3\n") + "item = 2\n" +
    kNoTime;

TEST_F(SourceTest, WithoutAHeaderColumnsHaveNumbers) {
  const auto [prepared, report] = import_text("u1;x;b1\nu1;y;b1\nu2;x;b2\n", kNumbered);
  EXPECT_EQ(report.rows_read, 3);
  EXPECT_EQ(strings(prepared.user_ids), (Strings{"u1", "u2"}));
  EXPECT_EQ(strings(prepared.item_ids), (Strings{"x", "y"}));
  EXPECT_EQ(prepared.n_baskets, 2);
  expect_has(error_of("u1;x;b1\nu1;;b1\n", kNumbered), "rows.csv line 2: column '2': the value is missing");
  expect_has(error_of("u1;x;b1\nu1;x\n", kNumbered), "rows.csv line 2: 2 fields, expected 3");
  expect_has(error_of("u1;x;b1\nu1;x\n", kNumbered), "layout = \"baskets\" under [source]");
  expect_has(error_of("u1;x\n", kNumbered), "no column '3'; it has: 1, 2 | count columns from 1");
  expect_has(error_of("u1;x;b1\n", "[source]\nheader = false\n[columns]\nuser = \"u\"\n"),
             "line 4: columns.user: expected the number of a column, from 1, because the file has no header");
  expect_has(error_of("u1;x;b1\n", "[source]\nheader = false\n[columns]\nuser = 0\n"),
             "line 4: columns.user: expected the number of a column, from 1");
  expect_has(error_of("u1;x;b1\n", "[columns]\nuser = 1\n"),
             "line 2: columns.user: expected a string; a number needs header = false under [source]");
}

TEST_F(SourceTest, AFileThatHasNoHeaderIsRecognised) {
  const std::string advice = "set header = false under [source] and write numbers of columns under [columns]";
  expect_has(error_of("u1,b1,x,2024-01-01\nu1,b1,y,2024-01-01\n", kColumns),
             "no column 'b'; it has: u1, b1, x, 2024-01-01");
  expect_has(error_of("u1,b1,x,2024-01-01\nu1,b1,y,2024-01-01\n", kColumns), advice);
  expect_has(error_of("1,7,7,2024-01-01\n1,7,8,2024-01-01\n", kColumns),
             "line 1: the header has a repeated column name '7'");
  expect_has(error_of("1,7,7,2024-01-01\n1,7,8,2024-01-01\n", kColumns), advice);
}

const std::string kBaskets =
    std::string("[source]\nlayout = \"baskets\"\ndelimiter = \" \"\n") + "[clean]\nrequire_user = false\n" + kNoTime;

TEST_F(SourceTest, ALineIsABasket) {
  // As retail.dat: blanks at the ends and in a row, a line of nothing, another end of a line.
  const auto [prepared, report] = import_text("1 2 3 \n2  3\n \n\n7 \r\n2  3", kBaskets);
  EXPECT_EQ(report.rows_read, 8);
  EXPECT_EQ(report.rule("duplicate").breaks, 0) << "equal baskets are two";
  EXPECT_EQ(prepared.basket, (std::vector<int32_t>{0, 0, 0, 1, 1, 2, 3, 3}));
  EXPECT_EQ(prepared.user, prepared.basket);
  EXPECT_EQ(strings(prepared.item_ids), (Strings{"1", "2", "3", "7"}));
  EXPECT_EQ(strings(prepared.user_ids), (Strings{"basket 1", "basket 2", "basket 3", "basket 4"}));
}

TEST_F(SourceTest, AnItemTwiceInALineIsADuplicate) {
  const auto [prepared, report] = import_text("1 2 1 1\n1 2\n", kBaskets);
  EXPECT_EQ(report.rule("duplicate").dropped, 2);
  EXPECT_EQ(report.rule("duplicate").examples[0].line, 1);
  EXPECT_EQ(report.rows_kept, 4);
}

const std::string kNamedBaskets =
    "[source]\nlayout = \"baskets\"\n[columns]\nuser = 2\ntimestamp = 1\n[timestamp]\nformat = \"%Y-%m-%d\"\n"
    "[clean]\ntrim = true\n[split]\nvalidation_days = 0\ntest_days = 0\n";

TEST_F(SourceTest, ALineMayNameItsUserAndTime) {
  const auto [prepared, report] =
      import_text("2024-01-01, u1,milk,\"bread, white\"\n2024-01-02, u2, milk, , NULL\n2024-01-03, u1, tea,\"5\"\"\"\n",
                  kNamedBaskets);
  EXPECT_EQ(strings(prepared.user_ids), (Strings{"u1", "u2"}));
  EXPECT_EQ(strings(prepared.item_ids), (Strings{"5\"", "bread, white", "milk", "tea"}));
  EXPECT_EQ(prepared.user, (std::vector<int32_t>{0, 0, 1, 0, 0}));
  EXPECT_EQ(prepared.basket, (std::vector<int32_t>{0, 0, 1, 2, 2}));
  EXPECT_EQ(prepared.timestamp[2], 1704153600);  // 2024-01-02
  const std::string path = (home() / "rows.csv").string();
  expect_has(error_of("2024-01-01,u1,milk\n2024-01-02,u2,,NA\n", kNamedBaskets),
             path + " line 2: column 'items of the line': the value is missing");
  expect_has(error_of("2024-01-01,u1,milk\nsoon,u2,milk\n", kNamedBaskets),
             path + " line 2: column '1': 'soon' does not match the format");
  expect_has(error_of("2024-01-01,u1,milk\n2024-01-01\n", kNamedBaskets), " line 2: column 'items of the line'");
  expect_has(error_of("2024-01-01,u1,milk\n2024-01-01,u1,\"tea\"s\n", kNamedBaskets),
             path + " line 2: text after a closing quote");
}

TEST_F(SourceTest, ALineThatNamesItsBasketMayBeADuplicate) {
  const std::string toml = std::string("[source]\nlayout = \"baskets\"\n[columns]\nbasket = 1\n") +
                           "[clean]\nrequire_user = false\n" + kNoTime;
  const auto [prepared, report] = import_text("r1,milk,tea\nr2,milk\nr1,milk,tea\nr2,tea\n", toml);
  EXPECT_EQ(report.rule("duplicate").dropped, 2);
  EXPECT_EQ(prepared.n_baskets, 2);
  EXPECT_EQ(report.rows_kept, 4);
}

TEST_F(SourceTest, ABasketsFileMayHaveAHeader) {
  const std::string toml = std::string("[source]\nlayout = \"baskets\"\nheader = true\n[columns]\nuser = \"who\"\n") +
                           "ignore = [\"n\"]\n" + kNoTime;
  const auto [prepared, report] = import_text("n,who,i1,i2\n2,u1,milk,tea\n1,u2,tea,\n", toml);
  EXPECT_EQ(strings(prepared.item_ids), (Strings{"milk", "tea"}));
  EXPECT_EQ(strings(prepared.user_ids), (Strings{"u1", "u2"}));
  expect_has(error_of("n,i1,i2\n2,milk,tea\n", toml), "no column 'who'; it has: n, i1, i2");
}

TEST_F(SourceTest, SettingsThatALayoutCannotHaveAreRefused) {
  const std::string baskets = "[source]\nlayout = \"baskets\"\n[columns]\n";
  expect_has(error_of("", baskets + "item = 2\n"), "line 4: columns.item: expected nothing: with layout = \"baskets\"");
  expect_has(error_of("", baskets + "quantity = 2\n"), "line 4: columns.quantity: expected nothing");
  expect_has(error_of("", baskets + "discount = [2]\n"), "line 4: columns.discount: expected nothing");
  expect_has(error_of("", "[columns]\nignore = [\"n\"]\n"), "line 2: columns.ignore: expected nothing");
  expect_has(error_of("", "[source]\nlayout = \"basket\"\n"), "source.layout: expected one of rows, baskets");
}

const std::vector<std::pair<std::string, std::string>> kMonths{
    {"january.csv", "u,b,i,t\nu1,b1,x,2024-01-02\nu1,b1,y,2024-01-02\nu2,b2,z,2024-01-30\n"},
    {"february.csv", "t,shop,i,b,u\n2024-02-01,s1,x,b3,u2\n2024-02-01,s1,y,b3,u2\n\n2024-02-02,s2,z,b4,u3\n"}};

TEST_F(SourceTest, SeveralFilesAreReadAsOne) {
  std::string first;
  for (const int n_threads : {1, 3}) {
    const auto [prepared, report] = import_all(kMonths, kColumns, n_threads);
    EXPECT_EQ(prepared.name, "january.csv and 1 more file");
    EXPECT_EQ(report.rows_read, 6);
    EXPECT_EQ(strings(prepared.user_ids), (Strings{"u1", "u2", "u3"}));
    EXPECT_EQ(strings(prepared.item_ids), (Strings{"x", "y", "z"}));
    EXPECT_EQ(prepared.user, (std::vector<int32_t>{0, 0, 1, 1, 1, 2}));
    EXPECT_EQ(prepared.item, (std::vector<int32_t>{0, 1, 2, 0, 1, 2}));
    EXPECT_EQ(prepared.basket, (std::vector<int32_t>{0, 0, 1, 2, 2, 3}));
    EXPECT_EQ(prepared.import_summary["files"], (nlohmann::json{"january.csv", "february.csv"}));
    const std::string bytes = prepared.import_summary.dump();
    EXPECT_FALSE(has(bytes, home().string()));
    EXPECT_EQ(first.empty() ? bytes : first, bytes);
    first = bytes;
  }
}

TEST_F(SourceTest, MessagesNameTheFile) {
  const auto wrong = [&](const std::string& row) {
    auto files = kMonths;
    files[1].second += row;
    return files;
  };
  const std::string february = (home() / "february.csv").string();
  expect_has(error_of(wrong("soon,s2,z,b4,u3\n"), kColumns), february + " line 6: column 't': 'soon' does not match");
  expect_has(error_of(wrong("2024-02-02,s2,,b4,u3\n"), kColumns),
             february + " line 6: column 'i': the value is missing");
  expect_has(error_of(wrong("2024-02-02,s2\n"), kColumns), february + " line 6: 2 fields, expected 5");
  expect_has(error_of({kMonths[0], {"february.csv", "u,b,item,t\n"}}, kColumns),
             february + " line 1: no column 'i'; it has: u, b, item, t | did you mean");
  const auto [prepared, report] =
      import_all(wrong("soon,s2,z,b4,u3\n2000-01-01,s2,z,b9,NULL \n2000-01-01,s2,z,b9,u9 \n"),
                 std::string(kColumns) + "[clean]\nmalformed = \"drop\"\n");
  EXPECT_EQ(report.rule("malformed").examples[0].file, "february.csv");
  EXPECT_EQ(report.rule("malformed").examples[0].line, 6);
  EXPECT_EQ(values_of(report),
            (Strings{"u missing 'NULL': 1, 7 'NULL ' february.csv", "u padded '': 1, 8 'u9 ' february.csv"}));
  const std::string warnings = nlohmann::json(report.warnings).dump();
  expect_has(warnings, "check the times of the 1 row before it (february.csv line 8)");
  expect_has(warnings, "such as 'u9 ' (february.csv line 8)");
  const Finished done = run({"import", "january.csv", "february.csv", "--config", "rows.toml", "--out", "data"});
  EXPECT_EQ(done.code, 0) << done.err;
  expect_has(done.out, "february.csv 6: ");
}

TEST_F(SourceTest, RowsAreDuplicatesAcrossFilesOfOneHeader) {
  const auto [same, same_report] = import_all(
      {{"a.csv", "u,b,i,t\nu1,b1,x,2024-01-02\n"}, {"b.csv", "u,b,i,t\nu1,b1,x,2024-01-02\nu1,b1,y,2024-01-02\n"}},
      kColumns);
  EXPECT_EQ(same_report.rule("duplicate").dropped, 1);
  EXPECT_EQ(same_report.rule("duplicate").examples[0].file, "b.csv");
  // The same text below other names is another row.
  const auto [other, other_report] =
      import_all({{"a.csv", "u,b,i,t\n1,1,2,2024-01-02\n"}, {"b.csv", "i,b,u,t\n1,1,2,2024-01-02\n"}}, kColumns);
  EXPECT_EQ(other_report.rule("duplicate").breaks, 0);
  EXPECT_EQ(other.n_users, 2);
}

TEST_F(SourceTest, BasketsOfSeveralFilesAreDifferent) {
  const auto [prepared, report] = import_all({{"a.dat", "1 2\n3\n"}, {"b.dat", "1 2\n4 5\n"}}, kBaskets);
  EXPECT_EQ(prepared.basket, (std::vector<int32_t>{0, 0, 1, 2, 2, 3, 3}));
}

TEST_F(SourceTest, AFileIsNamedOnce) {
  (void)import_all(kMonths, kColumns);
  expect_failure({"import", "january.csv", "./january.csv", "--config", "rows.toml", "--out", "data"}, 2,
                 "./january.csv: the file is named twice");
  expect_failure({"import", "january.csv", "march.csv", "--config", "rows.toml", "--out", "data"}, 3, "march.csv");
  expect_failure({"import", "january.csv", "-", "--config", "rows.toml", "--out", "data"}, 2, "FILE is -");
}

TEST_F(SourceTest, TheImportShowsMissingAndPaddedValues) {
  (void)import_text(kMissingUsers + "u2 ,b9,x,2024-01-09\n", kColumns);
  const Finished done = must_run({"import", "rows.csv", "--config", "rows.toml", "--out", "data", "--quiet"});
  expect_has(done.out, "column  values                  number  first line\n");
  expect_has(done.out, "u       missing: NULL                2  5\n");
  expect_has(done.out, "u       missing: only blanks         1  7\n");
  expect_has(done.out, "u       blanks at an end, kept       1  11\n");
  expect_has(done.out, "warning: with blanks at an end");
}

TEST_F(SourceTest, BasketsOfOneItemNeedASearchByUsers) {
  std::string text = "u,b,i,t\n";
  for (int user = 0; user < 12; ++user) {
    for (int line = 0; line < 6; ++line) {
      const std::string n = std::to_string(user), day = std::to_string(10 + line);
      text +=
          "u" + n + ",b" + n + "-" + day + ",i" + std::to_string((user % 3) * 2 + line % 3) + ",2024-01-" + day + "\n";
    }
  }
  const auto [prepared, report] = import_text(text, kColumns);
  EXPECT_TRUE(has(nlohmann::json(report.warnings).dump(), "no basket has two items, so nothing is bought together"));
  must_run({"import", "rows.csv", "--config", "rows.toml", "--out", "data"});
  must_run({"train", "data", "--out", "model", "--set", "model.dim=8", "--set", "model.epochs=5"});
  const Strings search{"search", "data", "--model", "model", "--out", "bundles", "--set", "search.min_categories=1"};
  const Finished failed = run(search);
  EXPECT_EQ(failed.code, 3);
  expect_has(failed.err, "no bundle can be made: no basket of rows.csv has two items, so nothing is bought together");
  expect_has(failed.err, "search.objective = affinity with associate.by = cosine or gcn");
  const auto by = [&](const char* measure) {
    Strings words = search;
    words.insert(words.end(), {"--set", "search.objective=affinity", "--set", std::string("associate.by=") + measure});
    return run(words);
  };
  expect_has(by("lift").err, "no bundle can be made: no basket of rows.csv has two items");
  for (const char* measure : {"cosine", "gcn"}) EXPECT_EQ(by(measure).code, 0) << measure;
  const Finished around = run({"search", "data", "--model", "model", "--item", "i1"});
  EXPECT_EQ(around.code, 3);
  expect_has(around.err, "no set meets all constraints; no basket of rows.csv has two items");
  expect_has(around.err, "search.objective = affinity with associate.by = cosine or gcn");
  expect_has(must_run({"associate", "data", "--by", "lift"}).err,
             "note: no basket of rows.csv has two items, so nothing is bought together; --by cosine or gcn");
  EXPECT_EQ(must_run({"associate", "data", "--model", "model", "--by", "cosine"}).err, "");
  // Two items in one basket: another reason is given.
  const auto [pairs, more_report] = import_text(text + "u1,b1-10,i5,2024-01-10\n", kColumns);
  EXPECT_FALSE(has(nlohmann::json(more_report.warnings).dump(), "no basket has two items"));
}

}  // namespace
}  // namespace sheaf::data
