#include "host/data/import.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/core/philox.hpp"
#include "tests/common/paths.hpp"
#include "tests/common/temp_folder.hpp"

namespace sheaf::data {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;
using test::write_bytes;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

constexpr const char* kColumns = "[columns]\nuser=\"u\"\nbasket=\"b\"\nitem=\"i\"\ntimestamp=\"t\"\nquantity=\"q\"\n";
constexpr const char* kPriced = "price=\"p\"\n[timestamp]\nformat=\"%s\"\n";
constexpr const char* kRandom = "[split]\nkind=\"random\"\nvalidation_fraction=0\ntest_fraction=0\n";

class ImportTest : public ::testing::Test {
 protected:
  fs::path file(const std::string& name, const std::string& content) const {
    write_bytes(folder_.path() / name, content);
    return folder_.path() / name;
  }
  ImportConfig config(const std::string& toml) const { return load_import_config(file("import.toml", toml)); }
  std::pair<Prepared, ImportReport> import_rows(const std::string& rows, const std::string& toml,
                                                int n_threads = 1) const {
    return import_file(file("rows.csv", rows), config(toml), n_threads);
  }
  std::string import_error(const std::string& rows, const std::string& toml) const {
    try {
      (void)import_rows(rows, toml);
    } catch (const DataError& error) {
      return std::string(error.what()) + " | " + error.hint();
    }
    return "no error";
  }
  std::string config_error(const std::string& toml) const {
    try {
      (void)config(toml);
    } catch (const UsageError& error) {
      return std::string(error.what()) + " | " + error.hint();
    }
    return "no error";
  }
  TempFolder folder_;
};

// Prices and quantities are stored in 32 bits: what these do not hold is refused by its line.
TEST_F(ImportTest, NumbersThatWouldBeRoundedAreRefused) {
  const std::string toml = std::string(kColumns) + kPriced + kRandom, head = "u,b,i,t,q,p\nu1,b1,i1,100,1,16777216\n";
  const std::string message = import_error(head + "u1,b2,i1,200,1,16777217\n", toml);
  EXPECT_TRUE(has(message, "rows.csv line 3: column 'p': 16777217 is 16777216 in 32 bits")) << message;
  EXPECT_TRUE(has(message, "give the column in a larger unit")) << message;
  EXPECT_TRUE(has(import_error(head + "u1,b2,i1,200,1,1e39\n", toml), "line 3: column 'p': 1e+39 is beyond"));
  EXPECT_TRUE(has(import_error(head + "u1,b2,i1,200,16777217,1\n", toml), "line 3: column 'q': 16777217 is 16777216"));
  const auto [prepared, report] = import_rows(head + "u1,b2,i2,200,1,33554430\nu1,b3,i3,300,1,123456.78\n", toml);
  EXPECT_EQ(prepared.item_price, (std::vector<float>{16777216.0f, 33554430.0f, 123456.78f}));
  // What is dropped need not be held; what is computed is rounded.
  EXPECT_EQ(import_rows(head + "u1,b2,i2,200,-1,1e39\n", toml).second.rows_kept, 1);
  const std::string amounts = std::string(kColumns) + "amount=\"p\"\n[timestamp]\nformat=\"%s\"\n" + kRandom;
  EXPECT_EQ(import_rows("u,b,i,t,q,p\nu1,b1,i1,100,3,100000000\n", amounts).first.item_price[0],
            static_cast<float>(100000000.0 / 3.0));
  EXPECT_TRUE(has(import_error("u,b,i,t,q,p\nu1,b1,i1,100,1,1e39\n", amounts), "line 2: column 'p': 1e+39 is beyond"));
}

constexpr const char* kMessyRows =
    "u,b,i,t,q,p\n"
    "u1,b1,apple,100,2,1.5\n"    // 2
    "u1,b1,apple,100,2,1.5\n"    // 3 duplicate
    "u1,Cb2,apple,200,-1,1.5\n"  // 4 cancelled, quantity
    ",b3,apple,300,1,1.5\n"      // 5 no user
    "u2,b4,pear,400,0,1.5\n"     // 6 quantity
    "u2,b4,pear,400,1,0\n"       // 7 price
    "u2,b4,POST,400,1,5\n"       // 8 excluded
    "u2,b4,gift_1,400,1,5\n"     // 9 excluded by its beginning
    "u2,b5,pear,150,3,2.5\n"     // 10
    ",b6,pear,600,0,-1\n";       // 11 no user, quantity, price
const std::string kMessyConfig = std::string("[source]\nname=\"shop\"\ncurrency=\"EUR\"\n") + kColumns + kPriced +
                                 "[clean]\ncancelled_basket_prefix=\"C\"\nexclude_items=[\"POST\",\"gift_*\"]\n" +
                                 kRandom;

TEST_F(ImportTest, EveryRuleIsCountedTwice) {
  const auto [prepared, report] = import_rows(kMessyRows, kMessyConfig);
  const std::map<std::string, std::pair<int64_t, int64_t>> expected{
      {"malformed", {0, 0}},     {"cancelled_basket", {1, 1}}, {"duplicate", {1, 1}},
      {"missing_user", {2, 2}},  {"quantity", {3, 1}},         {"price", {2, 1}},
      {"excluded", {2, 2}},      {"unknown_item", {0, 0}},     {"min_item_users", {0, 0}},
      {"min_user_items", {0, 0}}};
  ASSERT_EQ(report.rules.size(), expected.size());
  int64_t dropped = 0;
  for (const auto& rule : report.rules) {
    EXPECT_EQ(std::make_pair(rule.breaks, rule.dropped), expected.at(rule.name)) << rule.name;
    dropped += rule.dropped;
  }
  EXPECT_EQ(report.rows_read, 10);
  EXPECT_EQ(report.rows_kept, 2);
  EXPECT_EQ(dropped + report.rows_kept, report.rows_read);
  EXPECT_EQ(report.n_users, 2);
  EXPECT_EQ(report.n_items, 2);
  EXPECT_EQ(report.n_baskets, 2);
  EXPECT_EQ(report.split_rows[kTrain], 2);
  EXPECT_GT(report.seconds, 0.0);
  const auto& quantity = report.rule("quantity");
  ASSERT_EQ(quantity.examples.size(), 3u);
  EXPECT_EQ(quantity.examples[0].line, 4);
  EXPECT_EQ(quantity.examples[0].value, "-1");
  EXPECT_EQ(quantity.examples[2].line, 11);
  EXPECT_EQ(report.rule("cancelled_basket").examples[0].value, "Cb2");
  EXPECT_EQ(report.rule("excluded").examples[1].value, "gift_1");
  EXPECT_THROW((void)report.rule("price_rule"), UsageError);

  EXPECT_EQ(prepared.name, "shop");
  EXPECT_EQ(prepared.currency, "EUR");
  EXPECT_EQ(prepared.timestamp, (std::vector<int64_t>{100, 150}));
  EXPECT_EQ(prepared.user, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(prepared.item, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(prepared.quantity, (std::vector<float>{2.0f, 3.0f}));
  EXPECT_EQ(prepared.price, (std::vector<float>{1.5f, 2.5f}));
  EXPECT_EQ(prepared.import_summary["rules"][4]["breaks"], 3);
  EXPECT_EQ(prepared.import_summary["file"], "rows.csv");
}

TEST_F(ImportTest, RulesCanBeSwitchedOffAndStillCount) {
  const auto [prepared, report] = import_rows(
      kMessyRows, std::string(kColumns) + kPriced +
                      "[clean]\ndrop_duplicates=false\nrequire_user=false\nrequire_positive_price=false\n" + kRandom);
  EXPECT_EQ(report.rule("duplicate").breaks, 1);
  EXPECT_EQ(report.rule("duplicate").dropped, 0);
  EXPECT_EQ(report.rule("missing_user").breaks, 2);
  EXPECT_EQ(report.rule("missing_user").dropped, 0);
  EXPECT_EQ(report.rule("price").breaks, 2);
  EXPECT_FALSE(report.rule("price").active);
  EXPECT_EQ(report.rule("quantity").dropped, 3);
  EXPECT_EQ(report.rows_kept, 7);
  EXPECT_EQ(prepared.find_user("basket b3"), 0);  // a basket without a user stands for itself
}

TEST_F(ImportTest, MalformedRowsStopTheImport) {
  const std::string toml = std::string(kColumns) + kPriced + kRandom;
  const std::string good = "u,b,i,t,q,p\nu1,b1,x,1,1,1\n";
  const fs::path path = folder_.path() / "rows.csv";
  EXPECT_TRUE(has(import_error(good + "u1,b1,x,1,1.2.3,1\n", toml),
                  path.string() + " line 3: column 'q': '1.2.3' is not a number"));
  EXPECT_TRUE(has(import_error(good + "u1,b1,x,1,1,inf\n", toml), "line 3: column 'p': 'inf' is not a finite number"));
  EXPECT_TRUE(has(import_error(good + "u1,b1,x,1,1,nan\n", toml), "line 3: column 'p': the value is missing: 'nan'"));
  EXPECT_TRUE(has(import_error(good + "u1,b1,x,1,,1\n", toml), "line 3: column 'q': the value is missing"));
  EXPECT_TRUE(has(import_error(good + "u1,b1,,1,1,1\n", toml), "line 3: column 'i': the value is missing"));
  EXPECT_TRUE(has(import_error(good + "u1,,x,1,1,1\n", toml), "line 3: column 'b': the value is missing"));
  EXPECT_TRUE(has(import_error(good + "u1,b1,x,noon,1,1\n", toml), "line 3: column 't': 'noon' does not match"));
  EXPECT_TRUE(has(import_error(good + "\nu1,b1,x,1,1\n", toml), "line 4: 5 fields, expected 6"));
  EXPECT_TRUE(has(import_error(good + "u1,b1,x,1,1,1,1\n", toml), "line 3: 7 fields, expected 6"));
  EXPECT_TRUE(has(import_error("u,b,i,t,qty,p\n", toml), "no column 'q'; it has: u, b, i, t, qty, p"));
  EXPECT_TRUE(has(import_error("u,b,i,t,q,p\n", toml), "no rows are left of 0 read"));
  EXPECT_TRUE(has(import_error(good + "u1,b1,x,1,1.2.3,1\n", toml), "malformed = \"drop\""));
  EXPECT_TRUE(
      has(import_error("u,b,i,t,q,p\nu1,b1,x,1,0,1\n", toml), "no rows are left of 1 read (dropped: quantity 1)"));
}

TEST_F(ImportTest, MalformedRowsCanBeDropped) {
  const auto [prepared, report] =
      import_rows("u,b,i,t,q,p\nu1,b1,x,1,1,1\nu1,b1,x\nu1,b1,x,1,?,1\nu1,b1,y,2,1,1\n",
                  std::string(kColumns) + kPriced + "[clean]\nmalformed=\"drop\"\n" + kRandom);
  EXPECT_EQ(report.rule("malformed").breaks, 2);
  EXPECT_EQ(report.rule("malformed").dropped, 2);
  EXPECT_EQ(report.rule("malformed").examples[1].line, 4);
  EXPECT_EQ(report.rule("malformed").examples[1].value, "u1,b1,x,1,?,1");
  EXPECT_EQ(prepared.n_interactions(), 2);
}

TEST_F(ImportTest, AmountsAndDiscounts) {
  const auto [prepared, report] = import_rows(
      "u,b,i,t,q,a,d1,d2\nu1,b1,x,1,4,10,1,1\nu2,b2,x,2,1,2.5,,0.5\nu3,b3,x,3,1,9,0,0\n",
      std::string(kColumns) + "amount=\"a\"\ndiscount=[\"d1\",\"d2\"]\n[timestamp]\nformat=\"%s\"\n" + kRandom);
  EXPECT_EQ(prepared.price, (std::vector<float>{2.5f, 2.5f, 9.0f}));
  EXPECT_EQ(prepared.discount, (std::vector<float>{2.0f, 0.5f, 0.0f}));
  EXPECT_EQ(prepared.item_price, std::vector<float>{3.0f});  // median of 2.5 + 2/4, 2.5 + 0.5, 9
  EXPECT_TRUE(
      has(import_error("u,b,i,t,q,a,d1,d2\nu1,b1,x,1,4,10,-1,1\n",
                       std::string(kColumns) + "amount=\"a\"\ndiscount=[\"d1\",\"d2\"]\n[timestamp]\nformat=\"%s\"\n"),
          "a discount of -1 is negative"));
}

constexpr const char* kSideTable =
    "id,dept,brand,type,size,weight\n"
    "x,FOOD,own,bread,500 g,0.5\n"
    "y,FOOD,,cake,,1.5\n"
    "z,FUEL,own,diesel,1 l,\n"
    "v,TOYS,own,ball,,\n";
const std::string kSideConfig = std::string(kColumns) + kPriced +
                                "[items]\nfile=\"items.csv\"\nkey=\"id\"\nname=[\"type\",\"size\"]\ncategory=\"dept\"\n"
                                "categorical=[\"dept\",\"brand\"]\nnumeric=[\"weight\"]\n"
                                "[clean]\nexclude={dept=[\"FUEL\"]}\n" +
                                kRandom;
constexpr const char* kSideRows =
    "u,b,i,t,q,p\nu1,b1,x,1,1,1\nu1,b1,y,1,1,3\nu1,b1,z,1,1,1\nu1,b1,w,1,1,1\nu2,b2,x,2,1,1\nu2,b2,v,2,1,7\n";

TEST_F(ImportTest, TheSideTableDescribesTheItems) {
  (void)file("items.csv", kSideTable);
  const auto [prepared, report] = import_rows(kSideRows, kSideConfig);
  EXPECT_EQ(report.rule("excluded").dropped, 1);
  EXPECT_EQ(report.rule("unknown_item").dropped, 1);
  EXPECT_EQ(report.rule("unknown_item").examples[0].value, "w");
  ASSERT_EQ(prepared.n_items, 3);  // v, x, y
  EXPECT_EQ(prepared.item_names[1], "bread 500 g");
  EXPECT_EQ(prepared.item_names[2], "cake");
  EXPECT_EQ(prepared.category_names.size(), 2);
  EXPECT_EQ(prepared.category_names[prepared.item_category[0]], "TOYS");
  ASSERT_EQ(prepared.categorical.size(), 2u);
  EXPECT_EQ(prepared.categorical[1].name, "brand");
  EXPECT_EQ(prepared.categorical[1].values[prepared.categorical[1].codes[2]], kNoValue);
  EXPECT_EQ(prepared.categorical[1].values[prepared.categorical[1].codes[1]], "own");

  ASSERT_EQ(prepared.numeric_names, (std::vector<std::string>{"log_price", "weight"}));
  EXPECT_FLOAT_EQ(prepared.numeric_mean[1], 1.0f);
  EXPECT_FLOAT_EQ(prepared.numeric_deviation[1], 0.5f);
  EXPECT_EQ(prepared.item_numeric[0 * 2 + 1], 0.0f);  // missing
  EXPECT_FLOAT_EQ(prepared.item_numeric[1 * 2 + 1], -1.0f);
  EXPECT_FLOAT_EQ(prepared.item_numeric[2 * 2 + 1], 1.0f);
  const double mean = (std::log1p(7.0) + std::log1p(1.0) + std::log1p(3.0)) / 3.0;
  EXPECT_NEAR(prepared.numeric_mean[0], mean, 1e-7 * mean);  // one rounding to float: 2^-24
}

TEST_F(ImportTest, BadSideTablesAreNamed) {
  const auto error = [&](const std::string& table) {
    (void)file("items.csv", table);
    return import_error(kSideRows, kSideConfig);
  };
  EXPECT_TRUE(has(error("id,dept,brand,type,size,weight\nx,a,b,c,d,1\nx,a,b,c,d,1\n"),
                  "items.csv line 3: column 'id': 'x' is there twice"));
  EXPECT_TRUE(has(error("id,dept,brand,type,size,weight\n,a,b,c,d,1\n"), "line 2: column 'id': the value is missing"));
  EXPECT_TRUE(has(error("id,dept,brand,type,size,weight\nx,a,b,c,d\n"), "items.csv line 2: 5 fields, expected 6"));
  EXPECT_TRUE(has(error("id,dept,brand,type,size,weight\nx,a,b,c,d,heavy\n"),
                  "items.csv line 2: column 'weight': 'heavy' is not a finite number"));
  EXPECT_TRUE(has(error("id,department,brand,type,size,weight\n"), "no column 'dept'"));
  fs::remove(folder_.path() / "items.csv");
  EXPECT_TRUE(has(import_error(kSideRows, kSideConfig), "items.csv: No such file or directory"));
}

TEST_F(ImportTest, NamesAndCategoriesFromTheRows) {
  const auto [prepared, report] = import_rows(
      "u,b,i,t,q,p,n,c\nu1,b1,x,1,1,1,,food\nu1,b2,x,2,1,1,Bread "
      ",food\nu1,b3,x,3,1,1,Loaf,food\nu1,b4,x,4,1,1,Loaf,toys\n"
      "u1,b4,y,4,1,1,,\nu1,b4,z,4,1,1,Old,junk\n",
      std::string(kColumns) + "item_name=\"n\"\ncategory=\"c\"\n" + kPriced +
          "[clean]\nexclude_categories=[\"junk\"]\n" + kRandom);
  ASSERT_EQ(prepared.n_items, 2);
  EXPECT_EQ(prepared.item_names[0], "Loaf");
  EXPECT_EQ(prepared.item_names[1], "y");
  EXPECT_EQ(prepared.category_names[prepared.item_category[0]], "food");
  EXPECT_EQ(prepared.category_names[prepared.item_category[1]], kNoValue);
  EXPECT_EQ(report.rule("excluded").dropped, 1);
}

constexpr const char* kNamed = "[columns]\nuser=\"u\"\nbasket=\"b\"\nitem=\"i\"\nitem_name=\"n\"\n";

TEST_F(ImportTest, CategoriesByWordsOfNames) {
  const std::string rows =
      "u,b,i,n\n"
      "u1,b1,1,RED T-LIGHT HOLDER\n"    // a phrase across a hyphen; the rule of lights stands before that of holders
      "u1,b1,2,\"Lunch Box, small\"\n"  // the exception before the rule of boxes, in any case
      "u1,b1,3,TRINKET BOXES\n"         // any ending
      "u1,b1,4,BOXER SHORTS\n"          // ... and so a slip that a shorter word makes
      "u1,b1,5,T CUP LIGHT\n"           // not a phrase in a row
      "u1,b1,6,LIGHTS\n"                // a word is whole without a *
      "u1,b1,7,CAF\xc3\x89 LATTE\n"     // a letter beyond ASCII parts no word
      "u1,b1,8,CAF LATTE\n";
  const auto [prepared, report] = import_rows(rows, std::string(kNamed) + kRandom + R"([categories]
other = "odds and ends"
rules = [
  { category = "lights", words = ["t light", "light bulb"] },
  { category = "kitchen", words = ["lunch box", "caf"] },
  { category = "boxes", words = ["box*", "holder"] },
  { category = "empty", words = ["nothing like it"] },
]
)");
  const auto category = [&](int64_t item) {
    return std::string(prepared.category_names[prepared.item_category[static_cast<size_t>(item)]]);
  };
  const std::vector<std::string> expected{"lights",        "kitchen",       "boxes",         "boxes",
                                          "odds and ends", "odds and ends", "odds and ends", "kitchen"};
  for (int64_t item = 0; item < 8; ++item) EXPECT_EQ(category(item), expected[static_cast<size_t>(item)]) << item;
  const std::vector<std::pair<std::string, int64_t>> counts{
      {"lights", 1}, {"kitchen", 2}, {"boxes", 2}, {"empty", 0}, {"odds and ends", 3}};
  EXPECT_EQ(report.categories, counts);
  EXPECT_EQ(prepared.import_summary["categories"][1]["items"], 2);
  ASSERT_EQ(prepared.categorical.size(), 1u);
  EXPECT_EQ(prepared.categorical[0].codes, prepared.item_category);
}

TEST_F(ImportTest, WrongRulesOfCategoriesAreNamed) {
  const auto refused = [&](const std::string& rules, const std::string& part) {
    const std::string message = config_error(std::string(kNamed) + kRandom + "[categories]\n" + rules);
    EXPECT_TRUE(has(message, part)) << rules << "\n-> " << message;
    EXPECT_TRUE(has(message, (folder_.path() / "import.toml").string())) << message;
  };
  refused("rules = []\n", "line 11: categories.rules: expected tables like");
  refused("rules = \"mug\"\n", "line 11: categories.rules: expected tables like");
  refused("rules = [\"mug\"]\n", "line 11: categories.rules: expected tables like");
  refused("ruls = []\n", "line 11: [categories] has no key 'ruls' | did you mean 'rules'?");
  refused("rules = [{category = \"a\", word = [\"b\"]}]\n",
          "line 11: [categories.rules] has no key 'word' | did you mean 'words'?");
  refused("rules = [{category = \"\", words = [\"b\"]}]\n", "line 11: categories.rules: expected a category");
  refused("rules = [{category = \"a\", words = []}]\n", "line 11: categories.rules: expected words, at least one");
  refused("rules = [{category = \"a\", words = [1]}]\n", "line 11: categories.rules.words: expected a list of strings");
  refused("rules = [{category = \"a\", words = [\"b\",\n\"-*\"]}]\n",
          "line 12: categories.rules: expected words; '-*' has");
  refused("rules = [{category = \"a\", words = [\"b*c\"]}]\n", "'b*c' has a * that does not end a word");
  refused("rules = [{category = \"a\", words = [\"tea cup\"]},\n{category = \"b\", words = [\"Tea-Cup\"]}]\n",
          "line 12: categories.rules: 'Tea-Cup' stands twice, first for 'a' | keep one");
  const std::string rule = "rules = [{category = \"a\", words = [\"b\"]}]\n";
  refused(rule + "[clean]\nexclude_categories = [\"a\"]\n", "makes them after the cleaning");
  refused(rule + "[items]\nfile = \"f\"\nkey = \"k\"\ncategory = \"c\"\n", "yet a column has them already");
  EXPECT_TRUE(has(config_error("[columns]\nuser=\"u\"\nitem=\"i\"\n" + std::string(kRandom) + "[categories]\n" + rule),
                  "no column has them | give columns.item_name or items.name"));
}

TEST_F(ImportTest, WithoutBasketsATimeIsABasket) {
  const auto [prepared, report] = import_rows("u,i,t\nu1,x,5\nu1,y,5\nu2,x,5\nu1,x,9\n",
                                              "[columns]\nuser=\"u\"\nitem=\"i\"\ntimestamp=\"t\"\n"
                                              "[timestamp]\nformat=\"%s\"\n" +
                                                  std::string(kRandom));
  EXPECT_EQ(prepared.basket, (std::vector<int32_t>{0, 0, 1, 2}));
  EXPECT_EQ(prepared.quantity, (std::vector<float>{1, 1, 1, 1}));
  EXPECT_EQ(prepared.item_price, (std::vector<float>{0, 0}));
}

TEST_F(ImportTest, WithoutUsersABasketIsAUser) {
  const auto [prepared, report] =
      import_rows("b,i\n1,x\n1,y\n2,x\n",
                  "[columns]\nbasket=\"b\"\nitem=\"i\"\n[clean]\nrequire_user=false\n" + std::string(kRandom));
  EXPECT_EQ(prepared.n_users, 2);
  EXPECT_EQ(prepared.n_baskets, 2);
}

/// Rows of one unit each: "user basket item time".
std::string unit_rows(const std::vector<std::vector<std::string>>& rows) {
  std::string text = "u,b,i,t,q,p\n";
  for (const auto& row : rows) text += row[0] + "," + row[1] + "," + row[2] + "," + row[3] + ",1,1\n";
  return text;
}

TEST_F(ImportTest, TemporalSplitCutsAtDaysBeforeTheLast) {
  const auto day = [](double days) { return std::to_string(static_cast<int64_t>(days * 86400)); };
  // The last moment is day 10: test is after day 9, validation after day 7. Basket e begins before a border and stays
  // whole.
  const std::string rows = unit_rows({{"u", "a", "x", day(10)},
                                      {"u", "b", "x", day(9)},
                                      {"u", "c", "x", day(9.5)},
                                      {"u", "d", "x", day(7)},
                                      {"u", "e", "x", day(6.9)},
                                      {"u", "e", "y", day(7.5)}});
  const auto [prepared, report] = import_rows(
      rows, std::string(kColumns) + kPriced + "[split]\nkind=\"temporal\"\nvalidation_days=2\ntest_days=1\n");
  EXPECT_TRUE(std::is_sorted(prepared.timestamp.begin(), prepared.timestamp.end()));
  EXPECT_EQ(prepared.split, (std::vector<uint8_t>{kTrain, kTrain, kTrain, kValidation, kTest, kTest}));
  EXPECT_EQ(report.split_rows[kTrain], 3);
  EXPECT_EQ(report.split_rows[kValidation], 1);
  EXPECT_EQ(report.split_rows[kTest], 2);
}

TEST_F(ImportTest, LeaveLastOutTakesLastBaskets) {
  const std::string rows = unit_rows({{"u", "a", "x", "1"},
                                      {"u", "b", "x", "2"},
                                      {"u", "c", "x", "3"},
                                      {"u", "c", "y", "3"},
                                      {"v", "d", "x", "4"},
                                      {"v", "e", "x", "5"},
                                      {"w", "f", "x", "6"}});
  const auto [prepared, report] =
      import_rows(rows, std::string(kColumns) + kPriced + "[split]\nkind=\"leave_last_out\"\n");
  EXPECT_EQ(prepared.split, (std::vector<uint8_t>{kTrain, kValidation, kTest, kTest, kTrain, kTest, kTrain}));
}

TEST_F(ImportTest, RandomSplitIsPhiloxOfSeedAndRow) {
  std::string rows = "u,b,i,t,q,p\n";
  constexpr int kRows = 2000;
  for (int row = 0; row < kRows; ++row) rows += "u,b" + std::to_string(row) + ",x," + std::to_string(row) + ",1,1\n";
  const std::string split = "[split]\nkind=\"random\"\nvalidation_fraction=0.2\ntest_fraction=0.1\nseed=5\n";
  const auto [prepared, report] = import_rows(rows, std::string(kColumns) + kPriced + split);
  for (int row = 0; row < kRows; ++row) {
    const float draw = uniform01(random_u32({5, Purpose::split, 0}, static_cast<uint64_t>(row), 0));
    ASSERT_EQ(prepared.split[static_cast<size_t>(row)], draw < 0.1 ? kTest : draw < 0.3 ? kValidation : kTrain);
  }
  // Five standard deviations of a binomial count.
  EXPECT_NEAR(static_cast<double>(report.split_rows[kTest]), 200.0, 5.0 * std::sqrt(2000 * 0.1 * 0.9));
}

TEST_F(ImportTest, GivenSplitReadsTheColumn) {
  const std::string toml = std::string(kColumns) + kPriced + "[split]\nkind=\"given\"\ncolumn=\"s\"\n";
  const auto [prepared, report] =
      import_rows("u,b,i,t,q,p,s\nu,a,x,1,1,1,train\nu,b,x,2,1,1,validation\nu,c,x,3,1,1,test\n", toml);
  EXPECT_EQ(prepared.split, (std::vector<uint8_t>{kTrain, kValidation, kTest}));
  EXPECT_TRUE(has(import_error("u,b,i,t,q,p,s\nu,a,x,1,1,1,dev\n", toml),
                  "line 2: column 's': 'dev' is none of train, validation, test"));
  EXPECT_TRUE(has(import_error("u,b,i,t,q,p,s\nu,a,x,1,1,1,test\n", toml), "no rows are left to train on"));
}

TEST_F(ImportTest, ThinningGoesOnUntilBothRulesHold) {
  // z has one user, so it goes. Then u3 has one item and goes; then y has one user and goes; then u2 has x alone and
  // goes, and likewise u1. Only users 4 and 5 with items p and q stay. The test row of z does not count for it.
  const auto [prepared, report] = import_rows(
      "u,b,i,t,q,p,s\n"
      "u1,1,x,1,1,1,train\nu2,2,x,2,1,1,train\nu2,3,y,3,1,1,train\nu3,4,y,4,1,1,train\nu3,5,z,5,1,1,train\n"
      "u2,6,z,6,1,1,test\n"
      "u4,7,p,7,1,1,train\nu4,7,q,7,1,1,train\nu5,8,p,8,1,1,train\nu5,8,q,8,1,1,train\nu5,9,p,9,1,1,test\n",
      std::string(kColumns) + kPriced +
          "[clean]\nmin_item_users=2\nmin_user_items=2\n[split]\nkind=\"given\"\ncolumn=\"s\"\n");
  EXPECT_EQ(prepared.n_users, 2);
  EXPECT_EQ(prepared.n_items, 2);
  EXPECT_EQ(report.rows_kept, 5);
  EXPECT_EQ(report.split_rows[kTest], 1);
  EXPECT_EQ(report.rule("min_item_users").breaks, 2);  // the rows of z
  EXPECT_EQ(report.rule("min_user_items").breaks, 1);  // the row of u1
  EXPECT_EQ(report.rule("min_item_users").dropped + report.rule("min_user_items").dropped, 6);
}

TEST_F(ImportTest, PricesOfItemsComeFromTrain) {
  const auto [prepared, report] =
      import_rows("u,b,i,t,q,p,s\nu,1,x,1,1,2,train\nu,2,x,2,1,4,train\nu,3,x,3,1,100,test\nu,4,y,4,1,7,test\n",
                  std::string(kColumns) + kPriced + "[split]\nkind=\"given\"\ncolumn=\"s\"\n");
  EXPECT_EQ(prepared.item_price, (std::vector<float>{3.0f, 7.0f}));
  EXPECT_FLOAT_EQ(prepared.numeric_mean[0], std::log1p(3.0f));  // y is not seen in train
  EXPECT_EQ(prepared.numeric_deviation[0], 1.0f);
}

TEST_F(ImportTest, SameBytesTwiceAndOnAnyNumberOfThreads) {
  const fs::path data = test::datasets_path() / "complete_journey" / "transactions.csv.gz";
  const ImportConfig settings = load_import_config(test::datasets_path() / "complete_journey.toml");
  std::map<std::string, std::string> first;
  for (const int n_threads : {1, 2, 1, 3}) {
    const fs::path out = folder_.path() / "prepared";
    save_prepared(import_file(data, settings, n_threads).first, out);
    const auto files = test::read_tree(out);
    EXPECT_EQ(files.size(), 2u);
    EXPECT_FALSE(has(files.at("manifest.json"), folder_.path().string()));
    EXPECT_FALSE(has(files.at("manifest.json"), test::datasets_path()));
    if (first.empty()) first = files;
    EXPECT_EQ(files, first) << n_threads << " threads";
  }
}

TEST_F(ImportTest, TheShippedDataHasTheFlawsOfItsManifest) {
  const fs::path folder = test::datasets_path() / "complete_journey";
  const auto manifest = nlohmann::json::parse(test::read_bytes(folder / "manifest.json"));
  const auto [prepared, report] =
      import_file(folder / "transactions.csv.gz", load_import_config(test::datasets_path() / "complete_journey.toml"));
  EXPECT_EQ(report.rows_read, manifest["files"]["transactions.csv.gz"]["rows"]);
  EXPECT_EQ(report.rule("quantity").breaks, manifest["counts"]["rows_quantity_not_positive"]);
  EXPECT_EQ(report.rule("price").breaks, manifest["counts"]["rows_sales_value_not_positive"]);
  EXPECT_EQ(report.rule("unknown_item").breaks, manifest["counts"]["rows_without_product_row"]);
  std::vector<std::set<int32_t>> users(static_cast<size_t>(prepared.n_items));
  for (size_t i = 0; i < prepared.item.size(); ++i) {
    if (prepared.split[i] == kTrain) users[static_cast<size_t>(prepared.item[i])].insert(prepared.user[i]);
  }
  EXPECT_GE(std::ranges::min(users, {}, &std::set<int32_t>::size).size(), 5u);
  const auto& departments = prepared.categorical[0].values;
  EXPECT_EQ(departments.find_sorted("FUEL"), -1);
  EXPECT_GE(departments.find_sorted("GROCERY"), 0);
}

fs::path online_retail() {
  const char* place = std::getenv("SHEAF_DATA");
  return (place != nullptr ? fs::path(place) : test::datasets_path() / "../../shared/data") / "online-retail" /
         "online_retail.csv.gz";
}

TEST_F(ImportTest, OnlineRetailCountsAreThePublishedOnes) {
  const fs::path data = online_retail();
  if (!fs::exists(data)) GTEST_SKIP() << "no online-retail/online_retail.csv.gz; SHEAF_DATA names its folder";
  ImportConfig settings = load_import_config(test::datasets_path() / "online_retail.toml");
  settings.clean.drop_duplicates = false;
  settings.clean.exclude_items.clear();
  settings.clean.min_item_users = 0;
  const auto [prepared, report] = import_file(data, settings, 2);
  EXPECT_EQ(report.rows_read, 541'909);
  EXPECT_EQ(report.rule("missing_user").breaks, 135'080);
  EXPECT_EQ(report.rule("cancelled_basket").breaks, 9'288);
  EXPECT_EQ(report.rule("price").breaks, 2'517);
  EXPECT_EQ(report.rule("duplicate").breaks, 5'268);
  EXPECT_EQ(report.rows_kept, 397'884);
  EXPECT_EQ(report.n_baskets, 18'532);
  EXPECT_EQ(report.n_items, 3'665);
  EXPECT_EQ(report.n_users, 4'338);
  RecordProperty("seconds", std::to_string(report.seconds));
}

TEST_F(ImportTest, OnlineRetailHasCategoriesThatAreNotOneHeap) {
  const fs::path data = online_retail();
  if (!fs::exists(data)) GTEST_SKIP() << "no online-retail/online_retail.csv.gz; SHEAF_DATA names its folder";
  const auto [prepared, report] =
      import_file(data, load_import_config(test::datasets_path() / "online_retail.toml"), 2);
  EXPECT_EQ(report.n_items, 2'975);
  ASSERT_GE(report.categories.size(), 10u);
  for (const auto& [category, items] : report.categories) {
    EXPECT_GE(items, prepared.n_items / 50) << category;
    EXPECT_LE(items, prepared.n_items / 6) << category;
  }
  EXPECT_EQ(report.categories.back().first, "other");
  EXPECT_LE(report.categories.back().second, prepared.n_items / 20);
}

TEST_F(ImportTest, WrongConfigurationsNameTheLine) {
  const std::string path = (folder_.path() / "import.toml").string();
  EXPECT_TRUE(has(config_error("[columns]\nitem=\"i\"\nusr=\"u\"\n"),
                  path + " line 3: [columns] has no key 'usr' | did you mean 'user'?"));
  EXPECT_TRUE(has(config_error("[colums]\n"), "line 1: no section [colums] | did you mean [columns]?"));
  EXPECT_TRUE(has(config_error("[columns]\nitem=3\n"), "line 2: columns.item: expected a string"));
  EXPECT_TRUE(has(config_error("[split]\nkind=\"kfold\"\n"), "line 2: split.kind: expected one of temporal, random"));
  EXPECT_TRUE(has(config_error("[split]\ntest_days=-1\n"), "line 2: split.test_days: expected a number from 0"));
  EXPECT_TRUE(has(config_error("[clean]\nmin_item_users=1.5\n"), "clean.min_item_users: expected an integer"));
  EXPECT_TRUE(has(config_error("[clean]\nexclude=[\"a\"]\n"), "clean.exclude: expected a table"));
  EXPECT_TRUE(has(config_error("[clean]\nexclude_items=[1]\n"), "clean.exclude_items: expected a list of strings"));
  EXPECT_TRUE(has(config_error("[source]\ndelimiter=\"\"\n"), "source.delimiter: expected characters that are"));
  EXPECT_TRUE(
      has(config_error("[timestamp]\nformat=\"%d %q\"\n"), "timestamp.format: expected a format; '%d %q' %q is not"));
  EXPECT_TRUE(has(config_error("columns = 3\n"), "columns is not a section"));
  EXPECT_TRUE(has(config_error("[columns\n"), "line 1: "));
  EXPECT_TRUE(has(config_error("[columns]\nuser=\"u\"\n"), "columns.item is not given"));
  EXPECT_TRUE(has(config_error("[columns]\nitem=\"i\"\n"), "neither columns.user nor columns.basket"));
  EXPECT_TRUE(
      has(config_error("[columns]\nitem=\"i\"\nbasket=\"b\"\n"), "columns.user is not given, yet users are required"));
  EXPECT_TRUE(has(config_error(std::string(kColumns) + "price=\"p\"\namount=\"a\"\n"), "are both given"));
  EXPECT_TRUE(has(config_error("[columns]\nitem=\"i\"\nuser=\"u\"\n"), "this split needs columns.timestamp"));
  EXPECT_TRUE(has(config_error(std::string(kColumns) + "[split]\nkind=\"given\"\n"), "split.column is not given"));
  EXPECT_TRUE(has(config_error(std::string(kColumns) + "[items]\nkey=\"k\"\n"), "belong together"));
  EXPECT_TRUE(has(config_error(std::string(kColumns) + "[clean]\nexclude={a=[\"b\"]}\n"), "items.file is not given"));
  EXPECT_TRUE(has(config_error(std::string(kColumns) + "[split]\ntest_fraction=0.6\nvalidation_fraction=0.4\n"),
                  "leave nothing to train on"));
  EXPECT_THROW((void)load_import_config(folder_.path() / "none.toml"), DataError);
}

}  // namespace
}  // namespace sheaf::data
