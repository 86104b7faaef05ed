// complete, and search --like: what a person types, what goes wrong.

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/host/program_test.hpp"

namespace sheaf {
namespace {

using nlohmann::json;

std::vector<json> lines_of(const std::string& text) {
  std::vector<json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
  return lines;
}

/// Two kitchens and two gardens that people made; the purchases know eight items, each in a basket of its own.
class CompleteTest : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    std::string csv = "item,receipt,name,aisle\n";
    const std::vector<std::vector<std::string>> items{
        {"cup", "blue cup", "kitchen"},   {"mug", "blue mug", "kitchen"},     {"pot", "tea pot", "kitchen"},
        {"pan", "tea strainer", "metal"}, {"rake", "garden rake", "garden"},  {"hose", "garden hose", "garden"},
        {"seed", "seed mix", "garden"},   {"glove", "garden gloves", "cloth"}};
    for (const auto& item : items) csv += item[0] + "," + item[0] + "," + item[1] + "," + item[2] + "\n";
    write_bytes(home() / "catalog.csv", csv);
    write_bytes(home() / "catalog.toml",
                "[source]\nname = \"Catalog\"\ncurrency = \"EUR\"\n[columns]\nitem = \"item\"\nbasket = \"receipt\"\n"
                "item_name = \"name\"\ncategory = \"aisle\"\n[clean]\nrequire_user = false\nrequire_positive_price = "
                "false\n[split]\nkind = \"random\"\nvalidation_fraction = 0\ntest_fraction = 0\n");
    write_bytes(home() / "given.csv",
                "bundle,item\n1,cup\n1,pot\n2,cup\n2,pot\n2,mug\n3,rake\n3,hose\n4,rake\n4,seed\n");
    must_run({"import", "catalog.csv", "--config", "catalog.toml", "--out", "catalog"});
  }
};

TEST_F(CompleteTest, LearnsFromGivenBundlesAndWords) {
  const Finished found =
      must_run({"complete", "catalog", "--like", "given.csv", "--items", "cup", "--json", "--k", "3"});
  const json list = json::parse(found.out);
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0]["item"], "pot");  // in both bundles with the cup
  EXPECT_EQ(list[0]["item_name"], "tea pot");
  EXPECT_EQ(list[0]["with"], "cup");
  EXPECT_EQ(list[0]["together"], 2);
  EXPECT_EQ(list[0]["expected"], 1.0);  // 2 * 2 / 4
  EXPECT_EQ(list[0]["lift"], 2.0);
  EXPECT_EQ(list[1]["item"], "mug");
  EXPECT_GT(list[1]["words"], 0.1);
  EXPECT_GT(list[0]["score"], list[1]["score"]);
  // Glove is in no bundle: its name brings it to the rake.
  const json garden = json::parse(
      must_run({"complete", "catalog", "--like", "given.csv", "--items", "garden rake,hose", "--json", "--k", "2"})
          .out);
  EXPECT_EQ(garden[0]["item"], "seed");
  EXPECT_EQ(garden[1]["item"], "glove");
  EXPECT_TRUE(has(found.err, "4 given bundles, 0 of 6 items are unknown"));
}

TEST_F(CompleteTest, FillsUpAndPrintsATable) {
  const Finished found =
      must_run({"complete", "catalog", "--like", "given.csv", "--items", "mug", "--items", "rake", "--size", "4"});
  EXPECT_TRUE(has(found.out, "blue mug (mug) + garden rake (rake), learned from 4 given bundles"));
  EXPECT_TRUE(has(found.out, "goes with"));
  EXPECT_EQ(std::ranges::count(found.out, '\n'), 5);  // what it was asked, two lines of head, two items
}

TEST_F(CompleteTest, CompletesAFileInOneGo) {
  write_bytes(home() / "partial.csv", "bundle,item\na,cup\nb,rake\na,mug\n");
  const std::vector<std::string> ask{"complete", "catalog", "--like", "given.csv", "--file", "partial.csv", "--k", "2"};
  const Finished found = must_run(ask);
  const std::vector<json> lines = lines_of(found.out);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["bundle"], "a");
  EXPECT_EQ(lines[0]["items"].size(), 2u);
  EXPECT_EQ(lines[0]["items"][0]["item"], "pot");
  const json single = json::parse(
      must_run({"complete", "catalog", "--like", "given.csv", "--items", "cup,mug", "--json", "--k", "2"}).out);
  EXPECT_EQ(lines[0]["items"][0]["score"], single[0]["score"]);
  for (const char* threads : {"run.threads=1", "run.threads=3"}) {
    std::vector<std::string> again = ask;
    again.insert(again.end(), {"--set", threads});
    EXPECT_EQ(must_run(again).out, found.out);
  }
}

TEST_F(ProgramTest, CompletesBasketsForAUser) {
  prepare_model();
  const json anyone = json::parse(must_run({"complete", "data", "--items", "p1,p2", "--json"}).out);
  EXPECT_EQ(anyone.size(), 10u);
  EXPECT_FALSE(anyone[0].contains("chance"));
  const json own = json::parse(must_run({"complete", "data", "--items", "p1,p2", "--model", "model", "--user", "c4",
                                         "--json", "--set", "complete.user_weight=1000"})
                                   .out);
  for (size_t r = 1; r < own.size(); ++r) EXPECT_LE(own[r]["chance"], own[r - 1]["chance"]);  // it outweighs all else
  for (const json& one : own) EXPECT_TRUE(one["item"] != "p1" && one["item"] != "p2");
  // A name with a comma of its own.
  const Finished named = must_run({"complete", "data", "--items", "Product, no. 7", "--k", "1"});
  EXPECT_TRUE(has(named.out, "Product, no. 7 (p7), learned from"));
  // One line a basket, each for its own user.
  write_bytes(home() / "partial.csv", "bundle,item,user\n1,p1,c4\n1,p2,c4\n2,p1,c5\n2,p2,c5\n");
  const auto lines = lines_of(must_run({"complete", "data", "--model", "model", "--file", "partial.csv", "--k", "10",
                                        "--set", "complete.user_weight=1000"})
                                  .out);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["items"][0]["item"], own[0]["item"]);
  EXPECT_NE(lines[0]["items"], lines[1]["items"]);
}

TEST_F(CompleteTest, WrongUseIsOneMessage) {
  expect_failure({"complete", "catalog"}, 2, "name the items to complete");
  expect_failure({"complete", "catalog", "--items", "cup", "--user", "x"}, 2, "--user needs --model");
  expect_failure({"complete", "catalog", "--items", "cup,,pot"}, 2, "an empty name");
  expect_failure({"complete", "catalog", "--items", "cup,pot", "--size", "2"}, 2, "the started bundle has 2 items");
  expect_failure({"complete", "catalog", "--items", "cub"}, 3, "'blue cup' (cup)");
  expect_failure({"complete", "catalog", "--items", "cup", "--set", "complete.text_weight=-1"}, 2,
                 "a number from 0 to");
  write_bytes(home() / "bad.csv", "bundle,item\n1,cup\n1,cub\n");
  expect_failure({"complete", "catalog", "--file", "bad.csv", "--set", "run.unknown_ids=refuse"}, 3, "bad.csv line 3");
  EXPECT_TRUE(has(must_run({"complete", "catalog", "--file", "bad.csv"}).err, "'cub' (line 3)"));
  write_bytes(home() / "bad.csv", "bundle,item\n1,cup\n");
  expect_failure({"complete", "catalog", "--items", "cup", "--like", "bad.csv"}, 3,
                 "bad.csv line 2: bundle '1' has one item");
  expect_failure({"search", "catalog", "--like", "bad.csv", "--out", "new"}, 3, "bundle '1' has one item");
  write_bytes(home() / "bad.csv", "");
  expect_failure({"search", "catalog", "--like", "bad.csv", "--out", "new"}, 3, "bad.csv");
  write_bytes(home() / "bad.csv", "bundle,product\n1,cup\n");
  expect_failure({"search", "catalog", "--like", "bad.csv", "--out", "new"}, 3, "bad.csv line 1: no column 'item'");
  expect_failure({"search", "catalog", "--like", "given.csv"}, 2, "--like needs --out");
  expect_failure({"search", "catalog", "--like", "given.csv", "--out", "new", "--user", "x"}, 2, "for the catalog");
}

TEST_F(CompleteTest, NewBundlesAreLikeTheGivenButNoCopies) {
  write_bytes(home() / "more.csv",
              "bundle,item\n1,cup\n1,pot\n2,cup\n2,pot\n2,mug\n3,rake\n3,hose\n4,rake\n4,seed\n4,spade\n");
  const std::vector<std::string> ask{"search", "catalog", "--like", "more.csv",
                                     "--out",  "new",     "--set",  "search.bundles=4"};
  const Finished found = must_run(ask);
  EXPECT_TRUE(has(found.err, "4 given bundles, 1 of 7 items are unknown, the first is 'spade' (more.csv line 11)"));
  const std::vector<json> bundles = lines_of(read("new/bundles.jsonl"));
  ASSERT_GE(bundles.size(), 2u);
  const std::vector<std::set<std::string>> given{{"cup", "pot", "mug"}, {"rake", "hose"}, {"rake", "seed"}};
  const std::set<std::string> kitchen{"cup", "mug", "pot", "pan"};
  std::set<std::set<std::string>> seen;
  for (const json& bundle : bundles) {
    std::set<std::string> items;
    for (const json& item : bundle["items"]) items.insert(item["id"]);
    EXPECT_GE(items.size(), 2u);
    EXPECT_LE(items.size(), 3u);
    EXPECT_TRUE(seen.insert(items).second);
    for (const auto& old : given) EXPECT_FALSE(std::ranges::includes(old, items)) << bundle;
    const auto in_kitchen = std::ranges::count_if(items, [&](const auto& i) { return kitchen.contains(i); });
    EXPECT_TRUE(in_kitchen == 0 || in_kitchen == std::ssize(items)) << bundle;  // nothing joins the two
  }
  EXPECT_TRUE(has(read("new/bundles.csv"), "rank,item_ids,item_names,categories,size,price,currency,affinity"));
  const std::string first = read("new/bundles.csv");
  std::vector<std::string> again = ask;
  again.insert(again.end(), {"--set", "run.threads=1"});
  must_run(again);
  EXPECT_EQ(read("new/bundles.csv"), first);
  expect_failure({"search", "catalog", "--like", "more.csv", "--out", "none", "--set",
                  "search.forbidden=cup,mug,pot,pan,rake,hose,seed"},
                 3, "no bundle meets the constraints");
}

}  // namespace
}  // namespace sheaf
