// Bundles as the program searches them: constraints, scenarios, what the bundles of a run share, one problem with its
// bound.

#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <utility>

#include "tests/common/paths.hpp"
#include "tests/host/program_test.hpp"

namespace sheaf {
namespace {

TEST_F(ProgramTest, ConstraintsHold) {
  prepare_model();
  const Finished found = must_run(small({"search",
                                         "data",
                                         "--model",
                                         "model",
                                         "--out",
                                         "b",
                                         "--json",
                                         "--set",
                                         "search.budget=12",
                                         "--set",
                                         "search.must_have=p3",
                                         "--set",
                                         "search.forbidden=p1,p2",
                                         "--set",
                                         "search.min_categories=2",
                                         "--set",
                                         "search.min_size=2",
                                         "--set",
                                         "search.max_size=3",
                                         "--set",
                                         "search.max_overlap=2"}));
  std::istringstream lines(found.out);
  int n = 0;
  for (std::string line; std::getline(lines, line); ++n) {
    const nlohmann::json offer = nlohmann::json::parse(line);
    EXPECT_LE(offer["price"], 12.0);
    EXPECT_GE(offer["items"].size(), 2u);
    EXPECT_LE(offer["items"].size(), 3u);
    bool must_have = false;
    std::set<std::string> categories;
    for (const auto& item : offer["items"]) {
      must_have = must_have || item["id"] == "p3";
      EXPECT_NE(item["id"], "p1");
      EXPECT_NE(item["id"], "p2");
      categories.insert(item["category"]);
    }
    EXPECT_TRUE(must_have);
    EXPECT_GE(categories.size(), 2u);
    EXPECT_GE(offer["discount"], 0.05);
    EXPECT_LE(offer["discount"], 0.20);
    EXPECT_LE(offer["offer_price"], offer["price"]);
  }
  EXPECT_GT(n, 0);
}

TEST_F(ProgramTest, DataWithoutCategoriesNeedsNoSetting) {
  std::string settings = kImportToml;
  const size_t column = settings.find("category = ");
  ASSERT_NE(column, std::string::npos);
  settings.erase(column, settings.find('\n', column) - column);
  write_bytes(home() / "shop.toml", settings);
  prepare_model();
  const Finished search = must_run(small({"search", "data", "--model", "model", "--out", "bundles", "--json"}));
  EXPECT_GE(nlohmann::json::parse(search.out.substr(0, search.out.find('\n')))["items"].size(), 2u);
  expect_failure(
      small({"search", "data", "--model", "model", "--out", "b", "--quiet", "--set", "search.min_categories=2"}), 2,
      "search.min_categories means nothing here: the data Corner shop has no categories");
  expect_failure(small({"search", "data", "--model", "model", "--out", "b", "--quiet", "--set",
                        "associate.category_rule=different"}),
                 2, "associate.category_rule = different means nothing here");
}

TEST_F(ProgramTest, ScenariosFindWhatTheyAreFor) {
  prepare_model();
  const auto search = [&](const std::string& scenario, const std::vector<std::string>& more) {
    const fs::path settings = test::datasets_path() / "scenarios" / (scenario + ".toml");
    std::vector<std::string> words = small({"search", "data", "--model", "model", "--out", scenario, "--json"});
    words.insert(words.end(), {"--settings", settings.string()});
    words.insert(words.end(), more.begin(), more.end());
    std::vector<nlohmann::json> lines;
    std::istringstream out(must_run(words).out);
    for (std::string line; std::getline(out, line);) lines.push_back(nlohmann::json::parse(line));
    EXPECT_FALSE(lines.empty()) << scenario;
    return lines;
  };
  const auto categories = [](const nlohmann::json& bundle) {
    std::set<std::string> found;
    for (const auto& item : bundle["items"]) found.insert(item["category"].get<std::string>());
    return found;
  };
  for (const auto& bundle : search("cross_category", {})) EXPECT_GE(categories(bundle).size(), 3u);
  for (const auto& bundle : search("discount_sale", {})) {
    EXPECT_GE(bundle["discount"].get<double>(), 0.10);
    EXPECT_LE(bundle["discount"].get<double>(), 0.35);
  }
  search("replenishment", {});
  search("new_product", {"--set", "search.anchor_days=100000"});
  EXPECT_EQ(search("personal", {"--user", "c3"}).size(), 1u);
  const auto care = search("customer_care", {"--user", "c3", "--set", "search.categories=aisle 1,aisle 2"});
  ASSERT_EQ(care.size(), 1u);
  expect_failure(small({"search", "data", "--model", "model", "--out", "b", "--set", "search.categories=aisle 9"}), 3,
                 "no category 'aisle 9'");
  expect_failure(small({"search", "data", "--model", "model", "--out", "b", "--set", "search.categories=aisle 1",
                        "--set", "search.must_have=p2"}),
                 3, "item 'p2' of search.must_have is of category 'aisle 2'");
}

TEST_F(ProgramTest, EveryObjectiveSaysWhatItsValueMeans) {
  prepare_model();
  const std::vector<std::pair<std::string, std::string>> objectives{
      {"joint", "are expected to hold"},
      {"revenue", "paid for such pairs"},
      {"margin", "left of such pairs after their costs"},
      {"discovery", "has not bought before"},
      {"affinity", "without a unit"},
      {"joint + 0.5 discovery", "plus 0.5 times such pairs"}};
  for (const auto& [objective, meaning] : objectives) {
    const Finished found = must_run(
        small({"search", "data", "--model", "model", "--out", "bundles", "--set", "search.objective=" + objective}));
    EXPECT_TRUE(has(found.out, meaning)) << found.out;
    must_run(small({"score", "data", "--model", "model", "--out", "scores", "--set", "search.objective=" + objective}));
  }
  expect_failure(small({"search", "data", "--model", "model", "--out", "bundles", "--set", "search.objective=jiont"}),
                 2, "did you mean 'joint'?");
  expect_failure(small({"search", "data", "--model", "model", "--out", "bundles", "--set", "search.weight_revenue=1"}),
                 2, "is a weight of the objective affinity");
  expect_failure(
      small({"search", "data", "--model", "model", "--out", "bundles", "--set", "search.objective=clearance"}), 2,
      "needs to know the stock");
}

TEST_F(ProgramTest, PairsSpanTwoCategoriesWithoutASetting) {
  prepare_model();
  const Finished search = must_run(
      small({"search", "data", "--model", "model", "--out", "bundles", "--json", "--set", "search.max_size=2"}));
  const auto items = nlohmann::json::parse(search.out.substr(0, search.out.find('\n')))["items"];
  ASSERT_EQ(items.size(), 2u);
  EXPECT_NE(items[0]["category"], items[1]["category"]);
}

TEST_F(ProgramTest, InfeasibleSaysWhichConstraintAndByHowMuch) {
  prepare_model();
  expect_failure(small({"search", "data", "--model", "model", "--out", "b", "--quiet", "--set", "search.budget=1"}), 3,
                 "over the budget of 1.00 EUR");
  expect_failure(small({"score", "data", "--model", "model", "--out", "b", "--quiet", "--set", "search.budget=1"}), 3,
                 "over the budget of 1.00 EUR");
}

// What the shop's items have in common with others of the run: stock, uses, discounts, earlier results, reasons.
TEST_F(ProgramTest, BundlesOfARunShareWhatThereIs) {
  prepare_model();
  const auto lines = [](const std::string& text) {
    std::vector<nlohmann::json> all;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) all.push_back(nlohmann::json::parse(line));
    return all;
  };
  const auto uses_of = [](const std::vector<nlohmann::json>& rows, bool of_users) {
    std::map<std::string, int> uses;
    for (const auto& row : rows) {
      for (const auto& item : of_users ? row["bundle"]["items"] : row["items"]) ++uses[item["id"].get<std::string>()];
    }
    return uses;
  };
  const auto most = [](const std::map<std::string, int>& uses) {
    return std::ranges::max_element(uses, {}, [](const auto& u) { return u.second; })->second;
  };
  const std::vector<std::string> score =
      small({"score", "data", "--model", "model", "--out", "scores", "--json", "--quiet"});
  const auto with = [](std::vector<std::string> arguments, const std::vector<std::string>& settings) {
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    return arguments;
  };
  const auto alone = lines(must_run(score).out);
  const auto before = uses_of(alone, true);
  ASSERT_GT(most(before), 6);
  const std::string scarce = std::ranges::max_element(before, {}, [](const auto& u) { return u.second; })->first;
  write_bytes(home() / "stock.csv", "item,stock\n" + scarce + ",3\n");
  const auto shared = lines(must_run(with(score, {"search.item_facts=stock.csv"})).out);
  EXPECT_EQ(uses_of(shared, true)[scarce], 3);
  EXPECT_EQ(shared.size(), alone.size());
  EXPECT_LE(most(uses_of(lines(must_run(with(score, {"search.max_uses=5"})).out), true)), 5);
  const auto& item = alone[0]["bundle"]["items"][0];
  EXPECT_GE(item["bought_before"].get<int>(), 0);
  EXPECT_TRUE(!item.contains("lift") || item["lift"].get<double>() > 1.0);
  write_bytes(home() / "nothing.csv", [&] {
    std::string all = "item,stock\n";
    for (int p = 0; p < 40; ++p) all += "p" + std::to_string(p) + ",0\n";
    return all;
  }());
  fs::remove_all(home() / "scores");
  expect_failure(with(score, {"search.item_facts=nothing.csv"}), 3, "no bundle fits the stock");

  const std::vector<std::string> search =
      small({"search", "data", "--model", "model", "--out", "found", "--json", "--quiet"});
  EXPECT_EQ(most(uses_of(lines(must_run(with(search, {"search.max_uses=1"})).out), false)), 1);
  // A user's problem is searched alone, so one that begins with the old bundle ends no worse, but for the rounding of
  // float32. The catalog is chosen greedily from such bundles: its sum may be less.
  const auto cold = lines(must_run(score).out);
  const auto warm = lines(must_run(with(score, {"search.warm_start=scores", "search.rounds=1"})).out);
  ASSERT_EQ(warm.size(), cold.size());
  for (size_t u = 0; u < cold.size(); ++u) {
    const auto value = [u](const auto& rows) { return rows[u]["bundle"]["value"].template get<double>(); };
    EXPECT_GE(value(warm), (1.0 - 1e-6) * value(cold)) << u;
  }
  const auto first = lines(must_run(search).out);
  EXPECT_EQ(lines(must_run(with(search, {"search.warm_start=found", "search.rounds=1"})).out).size(), first.size());

  const auto discounts = [&](const std::string& floor) {
    std::set<double> found;
    for (const auto& row :
         lines(must_run(with(search, {"discount.by=search", "search.objective=revenue", "discount.cost_share=0.6",
                                      "discount.levels=3", "discount.margin_floor=" + floor}))
                   .out)) {
      found.insert(row["discount"].get<double>());
    }
    return found;
  };
  EXPECT_EQ(discounts("0"), (std::set<double>{0.2}));     // chances grow faster than the price falls
  EXPECT_EQ(discounts("0.3"), (std::set<double>{0.13}));  // 0.6 / (1 - 0.3) of the price must be paid
  fs::remove_all(home() / "found");
  expect_failure(with(search, {"discount.by=search", "discount.margin_floor=0.9"}), 3, "its margin is");
  expect_failure(with(search, {"discount.min=0.5"}), 2, "discount.min = 0.5 is above discount.max = 0.2");
}

// One problem of a data set: as an answer with its bound, as a front, as a file; and bounds beside the bundles of a
// run.
TEST_F(ProgramTest, ProblemsOfADataSetAreSolvedWithABound) {
  prepare_model();
  const std::vector<std::string> search = small({"search", "data", "--model", "model", "--quiet"});
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = search;
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  const auto json_of = [&](const std::vector<std::string>& more) {
    const std::string out = must_run(with(more)).out;
    return nlohmann::json::parse(out.substr(0, out.find('\n')));
  };
  const auto own = json_of({"--user", "c3", "--bound", "--out", "own", "--json"})["bundle"];
  const double value = own["value"].get<double>();
  EXPECT_GE(own["gap"].get<double>(), 0.0);
  EXPECT_LT(own["gap"].get<double>(), 1e-6);  // small enough for a proof
  const auto shelf = json_of({"--bound", "--out", "shelf", "--json"});
  EXPECT_LT(shelf["gap"].get<double>(), 1e-6);

  must_run(with({"--user", "c3", "--write-problem", "c3.toml"}));
  const auto solved = nlohmann::json::parse(must_run({"solve", "c3.toml", "--json", "--quiet"}).out);
  EXPECT_EQ(solved["proven"], true);
  EXPECT_NEAR(solved["value"].get<double>(), value, 1e-6 * value);
  EXPECT_EQ(solved["items"].size(), own["items"].size());
  const std::string id = own["items"][0]["id"].get<std::string>();
  const auto around = json_of({"--item", id, "--json"});
  EXPECT_EQ(around["proven"], true);
  EXPECT_EQ(
      std::ranges::count_if(around["names"],
                            [&](const nlohmann::json& name) { return has(name.get<std::string>(), "(" + id + ")"); }),
      1);
  EXPECT_EQ(json_of({"--user", "c3", "--user", "c4", "--together", "--json"})["proven"], true);

  EXPECT_EQ(json_of({"--user", "c3", "--json"})["items"], solved["items"]);
  expect_failure(with({"--user", "c3", "--user", "c4"}), 2, "--together");
  write_bytes(home() / "stock.csv", "item,stock\n" + id + ",3\n");
  const std::vector<std::string> stock{"--user", "c3", "--front", "--json", "--set", "search.item_facts=stock.csv"};
  const auto front = json_of(stock);
  ASSERT_EQ(front["objectives"].size(), 4u);
  EXPECT_EQ(front["objectives"][3]["name"], "stock");
  EXPECT_GE(front["front"].size(), 2u);
  std::vector<std::string> to_file = stock;
  to_file.insert(to_file.end(), {"--write-problem", "front.toml"});
  must_run(with(to_file));
  auto again = nlohmann::json::parse(must_run({"solve", "front.toml", "--front", "--json", "--quiet"}).out);
  EXPECT_EQ(again["front"], front["front"]);

  expect_failure(with({"--item", "nothing like it"}), 3, "nothing like it");
  expect_failure(with({"--item", id, "--set", "search.forbidden=[\"" + id + "\"]"}), 2, "forbidden");
  const Finished clash = run(with({"--user", "c3", "--together", "--set", "search.budget=0.01"}));
  EXPECT_EQ(clash.code, 3);
  EXPECT_TRUE(has(clash.err, "the problem of user c3: no set meets all constraints")) << clash.err;
  EXPECT_TRUE(has(clash.out, "clash     budget <= 0.01")) << clash.out;
  expect_failure({"search", "data", "--item", id}, 2, "--model");
  expect_failure(with({"--user", "c3", "--write-problem", "no/such/folder.toml"}), 3, "no/such");
}

// A shop's lists name what the import dropped: it is counted and left out, or refused if that is asked.
TEST_F(ProgramTest, UnknownIdsOfListsAreLeftOutAndCounted) {
  prepare_model();
  write_bytes(home() / "users.txt", "c3\nnobody\nc4\nc3\n");
  write_bytes(home() / "stock.csv", "item,stock\np1,5\nold,3\np2,1\n");
  const auto score = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = small({"score", "data", "--model", "model", "--out", "s", "--json", "--users",
                                                "users.txt", "--set", "search.item_facts=stock.csv"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  const Finished found = must_run(score({}));
  EXPECT_EQ(std::ranges::count(found.out, '\n'), 2);
  const auto once = [&](const std::string& line) {
    const size_t at = found.err.find(line);
    return at != std::string::npos && found.err.find(line, at + 1) == std::string::npos;
  };
  EXPECT_TRUE(once("note: users.txt: 1 of 4 users are not in Corner shop and are left out: 'nobody' (line 2)\n"))
      << found.err;
  EXPECT_TRUE(once("note: stock.csv: 1 of 3 items are not in Corner shop and are left out: 'old' (line 3)\n"))
      << found.err;
  expect_failure(score({"--set", "run.unknown_ids=refuse"}), 3, "users.txt line 2: no user 'nobody' in Corner shop");
  write_bytes(home() / "users.txt", "c3\n");
  expect_failure(score({"--set", "run.unknown_ids=refuse"}), 3, "stock.csv line 3: no item 'old' in Corner shop");
  write_bytes(home() / "users.txt", "nobody\nno one\n");
  expect_failure(score({}), 3, "users.txt: none of its 2 users is known");
  expect_failure(score({"--user", "nobody"}), 3, "no user 'nobody'");  // typed, not from a list
}

TEST_F(ProgramTest, WrongFactsAndEarlierResultsAreNamed) {
  prepare_model();
  const auto refused = [&](const std::string& setting, const std::string& text, const std::string& message) {
    write_bytes(home() / "file", text);
    expect_failure(small({"search", "data", "--model", "model", "--out", "b", "--quiet", "--set", setting + "=file"}),
                   3, message);
  };
  refused("search.item_facts", "item,price\np1,2\n", "neither a column stock nor a column cost");
  refused("search.item_facts", "product,stock\np1,2\n", "item");
  refused("search.item_facts", "item,stock\np1,2\np1,3\n", "file line 3: item 'p1' is there twice");
  refused("search.item_facts", "item,stock\nq1,2\n",
          "file: none of its 1 items is known in Corner shop: 'q1' (line 2)");
  refused("search.item_facts", "item,stock,cost\np1,2,nan\n",
          "file line 2: column 'cost': 'nan' is not a number of at least 0");
  refused("search.item_facts", "item,stock\np1,-2\n", "'-2' is not a number of at least 0");
  refused("search.item_facts", "item,stock\np1\n", "file line 2");
  refused("search.warm_start", "", "the file has no bundles");
  refused("search.warm_start", "{\"items\": [{\"id\": \"q9\"}]}\n", "file: none of its 1 items is known");
  refused("search.warm_start", "{\"items\": 3\n", "file line 1: no bundle");
  refused("search.warm_start", "{\"user\": \"x\", \"bundle\": {\"items\": []}}\n", "file: none of its 1 users");
  // A folder must be whole; a file by itself may be edited.
  const auto warm = [](const std::string& place) {
    return small(
        {"search", "data", "--model", "model", "--out", "b", "--quiet", "--set", "search.warm_start=" + place});
  };
  must_run(small({"search", "data", "--model", "model", "--out", "found", "--quiet"}));
  std::string found = read("found/bundles.jsonl");
  found.insert(found.find('\n'), " ");
  write_bytes(home() / "found" / "bundles.jsonl", found);
  expect_failure(warm("found"), 3, "found: bundles.jsonl: expected");
  must_run(warm("found/bundles.jsonl"));
  fs::remove(home() / "found" / "manifest.json");
  fs::remove_all(home() / "b");
  expect_failure(warm("found"), 3, "found: no manifest.json");
  expect_failure(warm("data"), 3, "data holds neither bundles.jsonl nor users.jsonl");
  expect_failure(
      small({"search", "data", "--model", "model", "--out", "b", "--quiet", "--set", "search.item_facts=none.csv"}), 3,
      "none.csv");

  write_bytes(home() / "problem.toml", "max_size = 2\nlinear = [3, 1, 2]\n");
  const std::vector<std::string> problem{"solve", "problem.toml", "--json"};
  const auto again = [&](const std::string& answer) {
    write_bytes(home() / "answer.json", answer);
    std::vector<std::string> arguments = problem;
    arguments.insert(arguments.end(), {"--set", "search.warm_start=answer.json"});
    return arguments;
  };
  const std::string answer = must_run(problem).out;
  EXPECT_EQ(nlohmann::json::parse(must_run(again(answer)).out)["value"], 5);
  expect_failure(again("{}"), 3, "answer.json: no answer to a problem");
  expect_failure(again("{\"items\": [7], \"items_count_from\": 0}"), 3, "the problem has no item 7");
}

}  // namespace
}  // namespace sheaf
