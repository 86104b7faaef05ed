// Every subcommand end to end, as a person starts it: results, messages, exit codes, nothing half-written.
// What searches find is in test_program_search.cpp.

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

TEST_F(ProgramTest, HelpNamesEverySubcommandAndShowsAnExample) {
  const Finished help = must_run({"--help"});
  for (const char* name : {"demo", "import", "train", "tune", "associate", "search", "solve", "mine", "complete",
                           "score", "evaluate", "devices", "config", "bench"}) {
    EXPECT_TRUE(has(help.out, name));
    const Finished own = must_run({name, "--help"});
    EXPECT_TRUE(has(own.out, std::string("Example: sheaf ") + name)) << own.out;
    for (const char* option : {"--json", "--device", "--seed", "--set", "--quiet"}) EXPECT_TRUE(has(own.out, option));
    EXPECT_TRUE(has(own.out, "5 interrupted"));
  }
  EXPECT_TRUE(has(must_run({"--version"}).out, "sheaf 0."));
}

TEST_F(ProgramTest, ImportReportsAndWritesTheSameBytesOnAnyThreads) {
  const Finished text = must_run({"import", "shop.csv", "--config", "shop.toml", "--out", "data"});
  EXPECT_TRUE(has(text.out, "Corner shop: ")) << text.out;
  EXPECT_TRUE(has(text.out, "min_item_users"));
  const Finished json = must_run(
      {"import", "shop.csv", "--config", "shop.toml", "--out", "data1", "--json", "--quiet", "--set", "run.threads=1"});
  EXPECT_EQ(json.err, "");
  EXPECT_EQ(nlohmann::json::parse(json.out)["users"], 60);
  EXPECT_EQ(test::read_tree(home() / "data"), test::read_tree(home() / "data1"));
}

TEST_F(ProgramTest, TheWholeJobByHand) {
  prepare_model();
  const nlohmann::json train = nlohmann::json::parse(
      must_run({"train", "data", "--out", "model2", "--json", "--set", "model.preference=factorization", "--set",
                "model.dim=8", "--set", "model.epochs=30"})
          .out);
  EXPECT_GT(train["validation_ndcg"], 0.2);
  EXPECT_EQ(test::read_tree(home() / "model"), test::read_tree(home() / "model2"));

  const Finished pairs = must_run({"associate", "data", "--model", "model", "--out", "pairs"});
  EXPECT_TRUE(has(pairs.out, "confidence")) << pairs.out;
  EXPECT_TRUE(has(read("pairs/pairs.csv"), "\"Product, no. "));
  EXPECT_TRUE(read("pairs/relations.csv").starts_with("item_id,item_name,partner_id,partner_name,kind,together,"));
  must_run({"associate", "data", "--out", "lift", "--set", "associate.by=lift", "--json"});
  must_run({"associate", "data", "--out", "lift.csv", "--by", "lift", "--quiet"});
  EXPECT_EQ(read("lift.csv"), read("lift/pairs.csv"));
  const Finished graph = must_run({"associate", "data", "--model", "model", "--by", "gcn", "--k", "3", "--quiet"});
  EXPECT_TRUE(has(graph.out, "gcn")) << graph.out;

  const Finished search = must_run(small({"search", "data", "--model", "model", "--out", "bundles", "--json"}));
  const nlohmann::json best = nlohmann::json::parse(search.out.substr(0, search.out.find('\n')));
  EXPECT_GE(best["items"].size(), 3u);
  EXPECT_EQ(best["rank"], 1);
  EXPECT_EQ(read("bundles/bundles.jsonl"), search.out);

  const Finished own =
      must_run(small({"search", "data", "--model", "model", "--out", "own", "--user", "c3", "--user", "c4"}));
  EXPECT_TRUE(has(own.out, "user c3")) << own.out;
  EXPECT_TRUE(has(own.out, "user c4"));

  must_run(small({"score", "data", "--model", "model", "--out", "scores"}));
  const std::string users = read("scores/users.csv");
  EXPECT_EQ(std::count(users.begin(), users.end(), '\n'), 61);
  write_bytes(home() / "some.txt", "c5\nc1\n");
  const Finished some =
      must_run(small({"score", "data", "--model", "model", "--out", "scores", "--users", "some.txt", "--json"}));
  EXPECT_TRUE(has(some.out, "\"user\":\"c5\""));
  EXPECT_FALSE(has(some.out, "\"user\":\"c2\""));

  const Finished quality = must_run(small({"evaluate", "data", "--model", "model", "--json", "--out", "quality"}));
  const nlohmann::json metrics = nlohmann::json::parse(quality.out);
  EXPECT_EQ(metrics["ranking"].size(), 12u) << "four rankings at three lengths";
  EXPECT_EQ(read("quality/metrics.json"), quality.out);
  const nlohmann::json& bundles = metrics["bundles"];
  EXPECT_EQ(bundles["users"][0]["name"], "sheaf");
  EXPECT_EQ(bundles["users"].size(), 7u);
  EXPECT_EQ(bundles["catalog"].size(), 5u);
  EXPECT_GT(bundles["catalog"][1]["at_least_two"]["value"], 0.0);
  EXPECT_GT(bundles["users"][1]["at_least_two"]["error"], 0.0);
  EXPECT_TRUE(bundles["users"][1]["ours_less_this"].contains("revenue"));
  EXPECT_GT(metrics["balanced_sample"]["auc"], 0.5);
}

TEST_F(ProgramTest, WithoutBundlesTheEvaluationSaysWhy) {
  prepare_model();
  // The cheapest item costs 1.50.
  const Finished none = must_run(small({"evaluate", "data", "--model", "model", "--set", "search.budget=1"}));
  EXPECT_TRUE(has(none.out, "NDCG@K")) << none.out;
  EXPECT_TRUE(has(none.out, "Users: no bundles. no bundle meets the constraints")) << none.out;
  EXPECT_TRUE(has(none.out, "Catalog: no bundles. no bundle meets the constraints")) << none.out;
  EXPECT_TRUE(has(none.out, "budget")) << none.out;
  // Not even an item to start from.
  std::string all = "search.forbidden=p0";
  for (int i = 1; i < 40; ++i) all += ",p" + std::to_string(i);
  const Finished nothing = must_run(small({"evaluate", "data", "--model", "model", "--set", all}));
  EXPECT_TRUE(has(nothing.out, "NDCG@K")) << nothing.out;
  EXPECT_TRUE(has(nothing.out, "Catalog: no bundles. search.forbidden and search.categories leave no item"))
      << nothing.out;
  // A wrong setting is still an error.
  expect_failure(small({"evaluate", "data", "--model", "model", "--set", "search.forbidden=p999"}), 3, "p999");
}

TEST_F(ProgramTest, TheHistoryOfBundlesMayHoldTheValidationPeriod) {
  prepare_model();
  const auto users = [&](const std::string& history) {
    return nlohmann::json::parse(must_run(small({"evaluate", "data", "--model", "model", "--json", "--set",
                                                 "search.history=" + history, "--set", "evaluate.decay_days=90"}))
                                     .out)["bundles"];
  };
  const nlohmann::json train = users("train"), validation = users("all");
  EXPECT_NE(train["users"][1]["at_least_one"], validation["users"][1]["at_least_one"]);
  EXPECT_GT(train["catalog"][0]["baskets"], validation["catalog"][0]["baskets"]);
  EXPECT_EQ(train["users"][2]["name"], "own decayed, 90 days");
}

TEST_F(ProgramTest, EveryModelAndLossTrains) {
  prepare();
  for (const char* loss : {"bpr", "bce"}) {
    for (const char* preference : {"factorization", "additive"}) {
      const Finished trained =
          must_run({"train", "data", "--out", "m", "--json", "--set", std::string("model.loss=") + loss, "--set",
                    std::string("model.preference=") + preference, "--set", "model.dim=8", "--set", "model.epochs=5",
                    "--set", "model.validate_every=1", "--set", "model.item_features=true", "--set",
                    "model.negative_sampling=popularity"});
      EXPECT_GT(nlohmann::json::parse(trained.out)["validation_ndcg"], 0.05) << loss << " " << preference;
      must_run(small({"evaluate", "data", "--model", "m", "--quiet", "--set", "evaluate.mask_seen=true"}));
    }
  }
  for (const char* loss : {"softmax", "sampled_softmax"}) {
    const Finished trained =
        must_run({"train", "data", "--out", "t", "--json", "--set", "model.preference=sasrec", "--set",
                  std::string("model.loss=") + loss, "--set", "model.dim=8", "--set", "sasrec.max_length=16", "--set",
                  "sasrec.negatives=16", "--set", "model.epochs=4"});
    EXPECT_GT(nlohmann::json::parse(trained.out)["validation_ndcg"], 0.05) << loss;
    const Finished quality = must_run(small({"evaluate", "data", "--model", "t", "--json", "--quiet"}));
    EXPECT_EQ(nlohmann::json::parse(quality.out)["ranking"][0]["name"], "sasrec");
    must_run(small({"score", "data", "--model", "t", "--out", "s", "--quiet"}));
    must_run(small({"associate", "data", "--model", "t", "--out", "a", "--quiet", "--set", "associate.by=gcn"}));
  }
  expect_failure({"train", "data", "--out", "n", "--set", "model.preference=sasrec", "--set", "model.loss=bpr"}, 2,
                 "model.loss = bpr is no loss of the model sasrec");
  expect_failure({"train", "data", "--out", "n", "--set", "model.preference=sasrec", "--set", "sasrec.heads=3"}, 2,
                 "no multiple of sasrec.heads");
  expect_failure({"train", "data", "--out", "n", "--set", "model.loss=sampled_softmax"}, 2,
                 "no loss of the model factorization");
  expect_failure({"train", "data", "--out", "n", "--set", "model.preference=additive"}, 2,
                 "take bpr; the model has bpr, bce");
  expect_failure({"train", "data", "--out", "n", "--set", "model.preference=transformer"}, 2,
                 "it is called sasrec now");
  expect_failure({"train", "data", "--out", "n", "--set", "transformer.heads=3"}, 2,
                 "the section is called sasrec now");
  for (const char* closed : {"ease", "personal"}) {
    const Finished trained =
        must_run({"train", "data", "--out", "c", "--json", "--set", std::string("model.preference=") + closed});
    EXPECT_GT(nlohmann::json::parse(trained.out)["validation_ndcg"], 0.05) << closed;
    must_run(small({"evaluate", "data", "--model", "c", "--json", "--quiet"}));
    must_run(small({"score", "data", "--model", "c", "--out", "s", "--quiet"}));
    must_run(small({"search", "data", "--model", "c", "--out", "b", "--quiet"}));
    // Partners of a model without vectors come from counted baskets.
    must_run(small({"associate", "data", "--model", "c", "--out", "a", "--quiet"}));
    if (closed == std::string("ease")) {
      expect_failure(small({"associate", "data", "--model", "c", "--by", "cosine", "--quiet"}), 2,
                     "has no vectors of items to compare");
    }
  }
}

TEST_F(ProgramTest, WrongUsage) {
  expect_failure({}, 2, "sheaf --help");
  expect_failure({"trian"}, 2, "did you mean 'train'?");
  expect_failure({"train"}, 2, "DATA is required");
  expect_failure({"config", "--set", "model.dims=3"}, 2, "did you mean 'model.dim'?");
  expect_failure({"config", "--set", "model.dim=many"}, 2, "model.dim = many: expected an integer");
  expect_failure({"config", "--set", "search.min_size=9"}, 2, "search.min_size = 9 is above search.max_size = 4");
  expect_failure({"config", "--settings", "none.toml"}, 3, "none.toml");
  expect_failure({"demo", "--device", "cuda:99", "--quiet"}, 4, "cuda:99");
  expect_failure({"demo", "--device", "quantum", "--quiet"}, 2, "quantum");
  expect_failure({"demo", "--seed", "x"}, 2, "--seed");
}

/// item_id, partner_id -> the fields after the names, whose one comma is quoted.
std::map<std::pair<std::string, std::string>, std::vector<std::string>> read_pairs(const std::string& csv) {
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> pairs;
  std::istringstream lines(csv);
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::vector<std::string> fields;
    std::istringstream parts(line);
    for (std::string field; std::getline(parts, field, ',');) fields.push_back(field);
    EXPECT_EQ(fields.size(), 16u) << line;
    pairs[{fields.at(0), fields.at(3)}] = {fields.begin() + 6, fields.end()};
  }
  return pairs;
}

TEST_F(ProgramTest, AssociationByEveryMeasure) {
  prepare();
  for (const char* by : {"support", "confidence", "lift", "leverage", "conviction", "jaccard", "count-cosine"}) {
    must_run({"associate", "data", "--by", by, "--out", "pairs.csv", "--k", "5", "--quiet"});
    EXPECT_TRUE(read("pairs.csv")
                    .starts_with("item_id,item_name,partner_id,partner_name,score,baskets,expected,support,confidence,"
                                 "lift,leverage,conviction,"
                                 "jaccard,count-cosine\n"));
    const auto one_way = read_pairs(read("pairs.csv"));
    EXPECT_GT(one_way.size(), 40u) << by;
    must_run({"associate", "data", "--by", by, "--out", "both.csv", "--k", "5", "--symmetric", "--quiet"});
    const auto both = read_pairs(read("both.csv"));
    for (const auto& [pair, fields] : both) {
      const std::pair back{pair.second, pair.first};
      ASSERT_TRUE(both.contains(back)) << by;
      EXPECT_EQ(fields[0], both.at(back)[0]) << "the score is the same both ways";
      EXPECT_TRUE(one_way.contains(pair) || one_way.contains(back));
    }
    for (const auto& [pair, fields] : one_way) EXPECT_TRUE(both.contains(pair));
  }
}

TEST_F(ProgramTest, AssociationWithinAndAcrossCategories) {
  prepare();
  const auto aisle = [](const std::string& id) { return std::stoi(id.substr(1)) % 8; };
  const auto pairs = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"associate", "data", "--by", "lift", "--out", "pairs.csv", "--quiet"});
    must_run(more);
    auto found = read_pairs(read("pairs.csv"));
    EXPECT_FALSE(found.empty());
    return found;
  };
  for (const auto& [pair, fields] : pairs({"--category-rule", "same"}))
    EXPECT_EQ(aisle(pair.first), aisle(pair.second));
  for (const auto& [pair, fields] : pairs({"--category-rule", "different"}))
    EXPECT_NE(aisle(pair.first), aisle(pair.second));
  for (const auto& [pair, fields] :
       pairs({"--category-rule", "table", "--set", "associate.category_pairs=aisle 1 > aisle 2, aisle 3>aisle 3"})) {
    EXPECT_TRUE((aisle(pair.first) == 1 && aisle(pair.second) == 2) ||
                (aisle(pair.first) == 3 && aisle(pair.second) == 3));
  }
  const auto table_failure = [&](const std::string& table, int code, const std::string& message) {
    expect_failure(
        {"associate", "data", "--by", "lift", "--category-rule", "table", "--set", "associate.category_pairs=" + table},
        code, message);
  };
  const auto with_all = pairs({});
  const auto [item, partner] = with_all.begin()->first;
  const auto without = pairs({"--set", "associate.exclude_pairs=" + item + " > " + partner});
  EXPECT_EQ(without.count({item, partner}), 0u);
  EXPECT_EQ(without.count({partner, item}), with_all.count({partner, item}));
  table_failure("aisle 1", 2, "'aisle 1' is no pair");
  table_failure("aisle 1 > aisel 2", 3, "did you mean 'aisle 2'?");
}

TEST_F(ProgramTest, OneItemByEveryMeasure) {
  prepare_model();
  const Finished by_id = must_run({"associate", "data", "--item", "p7", "--by", "lift", "--k", "4"});
  EXPECT_TRUE(has(by_id.out, "Product, no. 7 (p7), in ")) << by_id.out;
  for (const char* measure : {"support", "confidence", "lift", "leverage", "conviction", "jaccard", "count-cosine"}) {
    EXPECT_TRUE(has(by_id.out, measure));
  }
  const std::string partners = by_id.out.substr(0, by_id.out.find("\n\n") + 1);
  EXPECT_EQ(std::count(partners.begin(), partners.end(), '\n'), 7) << "a heading, two lines of titles, four items";
  EXPECT_TRUE(has(by_id.out, "\n\nUsed together, ")) << by_id.out;
  EXPECT_TRUE(has(by_id.out, "\n\nTaken in place of it, ")) << by_id.out;
  EXPECT_EQ(must_run({"associate", "data", "--item", "product, NO. 7", "--by", "lift", "--k", "4"}).out, by_id.out);
  EXPECT_EQ(must_run({"associate", "data", "--item", "no. 7", "--by", "lift", "--k", "4"}).out, by_id.out);
  const nlohmann::json learned = nlohmann::json::parse(
      must_run({"associate", "data", "--model", "model", "--item", "p7", "--k", "4", "--json"}).out);
  EXPECT_EQ(learned.at("item"), "p7");
  EXPECT_TRUE(learned.at("complements").is_array() && learned.at("substitutes").is_array());
  ASSERT_EQ(learned.at("partners").size(), 4u);
  for (const auto& partner : learned.at("partners")) {
    EXPECT_EQ(partner["item"], "p7");
    EXPECT_NEAR(partner["score"].get<double>() * 8, partner["cosine"].get<double>(), 1e-5) << "1 / dim is the scale";
    EXPECT_LE(std::abs(partner["gcn"].get<double>()), 1.0 + 1e-12);
  }
  expect_failure({"associate", "data", "--item", "prodct, no. 33", "--by", "lift"}, 3, "'Product, no. 33' (p33)");
  expect_failure({"associate", "data", "--item", "no. 1", "--by", "lift"}, 3, "give an id or more of the name");
}

TEST_F(ProgramTest, BadAssociations) {
  prepare();
  expect_failure({"associate", "data", "--by", "lft"}, 2, "did you mean 'lift'?");
  for (const char* k : {"0", "257", "-1", "many"}) {
    expect_failure({"associate", "data", "--by", "lift", "--k", k}, 2, "expected an integer from 1 to 256");
  }
  expect_failure({"associate", "data", "--by", "gcn"}, 2, "needs a model");
  expect_failure({"associate", "data", "--by", "lift", "--out", "no/such/pairs.csv"}, 3, "cannot write");
  expect_failure({"associate", "data", "--by", "lift", "--out", "shop.toml"}, 2, "is not a folder");
  fs::create_directory(home() / "folder.csv");
  expect_failure({"associate", "data", "--by", "lift", "--out", "folder.csv"}, 2, "is a folder, not a file");
  expect_failure({"associate", "data", "--by", "lift", "--category-rule", "diferent"}, 2, "did you mean 'different'?");
}

TEST_F(ProgramTest, BadPurchases) {
  const auto import_of = [&](const std::string& name, const std::string& content, int code,
                             const std::string& message) {
    write_bytes(home() / name, content);
    expect_failure({"import", name, "--config", "shop.toml", "--out", "bad", "--quiet"}, code, message);
  };
  const std::string head = "customer,receipt,product,time,pieces,price,name,aisle\n";
  expect_failure({"import", "none.csv", "--config", "shop.toml", "--out", "bad"}, 3, "none.csv: No such file");
  import_of("empty.csv", "", 3, "empty.csv: the file is empty");
  import_of("head.csv", head, 3, "no rows are left of 0 read");
  import_of("column.csv", "customer,receipt,item,time,pieces,price,name,aisle\nc,r,p,1,1,1,n,a\n", 3,
            "no column 'product'");
  import_of("short.csv", head + "c,r,p,1,1,1,n,a\nc,r,p\n", 3, "short.csv line 3: 3 fields, expected 8");
  import_of("price.csv", head + "c,r,p,1,1,1.2.3,n,a\n", 3,
            "price.csv line 2: column 'price': '1.2.3' is not a number");
  import_of("nan.csv", head + "c,r,p,1,1,nan,n,a\n", 3, "nan.csv line 2: column 'price'");
  import_of("time.csv", head + "c,r,p,noon,1,1,n,a\n", 3, "time.csv line 2: column 'time'");
  import_of("negative.csv", head + "c,r,p,1,-1,-2,n,a\n", 3, "quantity 1");
  import_of("broken.csv.gz", std::string("\x1f\x8b\x08\x00", 4) + "not gzip", 3, "broken gzip");
}

TEST_F(ProgramTest, BadFolders) {
  prepare_model();
  expect_failure({"train", "none", "--out", "m"}, 3, "none is not a folder");
  expect_failure({"train", "model", "--out", "m"}, 3, "holds kind 'model', expected 'prepared'");
  expect_failure({"train", "data", "--out", "shop.csv"}, 2, "shop.csv exists and is not a folder");
  expect_failure({"train", "data", "--out", "data"}, 2, "holds kind 'prepared', not 'model'");
  expect_failure({"train", "data", "--out", "no/such/place"}, 3, "cannot make folder");
  expect_failure({"score", "data", "--model", "model", "--out", "s", "--user", "c999"}, 3, "c999");
  expect_failure({"associate", "data", "--out", "a"}, 2, "needs a model");
  write_bytes(home() / "nobody.txt", "\n");
  expect_failure({"score", "data", "--model", "model", "--out", "s", "--users", "nobody.txt"}, 3, "names no user");
  expect_failure(small({"search", "data", "--model", "model", "--out", "s", "--set", "search.must_have=p777"}), 3,
                 "p777");

  const fs::path tensors = home() / "model" / "model.safetensors";
  const std::string whole = test::read_bytes(tensors);
  write_bytes(tensors, whole.substr(0, whole.size() / 2));
  expect_failure({"evaluate", "data", "--model", "model"}, 3, "model.safetensors: expected");
  std::string changed = whole;
  changed[whole.size() - 5] = static_cast<char>(changed[whole.size() - 5] ^ 1);
  write_bytes(tensors, changed);
  expect_failure({"evaluate", "data", "--model", "model"}, 3, "sha256");
  fs::remove(home() / "model" / "manifest.json");
  expect_failure({"evaluate", "data", "--model", "model"}, 3, "no manifest.json");
}

TEST_F(ProgramTest, AModelOfOtherDataIsRefused) {
  prepare_model();
  std::string renamed = corner_shop();
  for (size_t at = 0; (at = renamed.find("\nc", at)) != std::string::npos; ++at) renamed[at + 1] = 'k';
  write_bytes(home() / "shop.csv", renamed);
  must_run({"import", "shop.csv", "--config", "shop.toml", "--out", "other"});
  expect_failure({"evaluate", "other", "--model", "model"}, 2, "the model was trained on other users or items");
}

TEST_F(ProgramTest, AFullDiskIsReported) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const Finished finished = test::Process(test::program_path(), {"config"}, home(), "/dev/full").finish();
  EXPECT_EQ(finished.code, 3) << finished.err;
  EXPECT_TRUE(has(finished.err, "cannot write to the standard output"));
}

// No file may grow over 16 blocks of 512 bytes: as on a full disk, a write fails in the middle.
TEST_F(ProgramTest, AFileThatCannotBeWrittenWholeLeavesNothing) {
  prepare_model();
  const auto before = names();
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"score", "data", "--model", "model"},
        std::vector<std::string>{"associate", "data", "--model", "model"},
        std::vector<std::string>{"train", "data", "--set", "model.epochs=1"}}) {
    std::vector<std::string> arguments{"-c", "ulimit -f 16 && exec \"$0\" \"$@\"", test::program_path()};
    arguments.insert(arguments.end(), command.begin(), command.end());
    arguments.insert(arguments.end(), {"--out", "full", "--quiet"});
    const Finished finished = test::Process("/bin/sh", arguments, home()).finish();
    EXPECT_EQ(finished.code, 3) << command[0] << ": " << finished.err;
    EXPECT_TRUE(has(finished.err, "full")) << finished.err;
    EXPECT_EQ(names(), before) << command[0];
  }
}

TEST_F(ProgramTest, UnwritableFolder) {
  prepare();
  // Nobody can make a folder there, root neither.
  expect_failure({"train", "data", "--out", "/proc/model"}, 3, "cannot make folder");
  expect_failure({"demo", "--out", "/proc/demo"}, 3, "cannot make folder");
}

TEST_F(ProgramTest, CtrlCEndsTrainingAndLeavesNothing) {
  prepare();
  const auto before = names();
  test::Process process(test::program_path(),
                        {"train", "data", "--out", "model", "--set", "model.preference=factorization", "--set",
                         "model.epochs=1000000", "--set", "model.patience=0"},
                        home());
  ASSERT_TRUE(process.wait_for("epoch"));
  process.signal(SIGINT);
  const Finished finished = process.finish();
  EXPECT_EQ(finished.code, 5) << finished.err;
  EXPECT_TRUE(has(finished.err, "interrupted during training"));
  EXPECT_EQ(names(), before);
}

TEST_F(ProgramTest, ARequestToEndMayComeTwice) {
  prepare();  // `timeout` signals the program, and then the group that it is in
  for (int run = 0; run < 16; ++run) {
    test::Process process(test::program_path(),
                          {"train", "data", "--out", "model", "--set", "model.preference=factorization", "--set",
                           "model.epochs=1000000", "--set", "model.patience=0"},
                          home());
    ASSERT_TRUE(process.wait_for("epoch"));
    for (int copy = 0; copy < 1000; ++copy) process.signal(SIGTERM);  // so many that one in three runs meets a second
    const Finished finished = process.finish();
    EXPECT_EQ(finished.code, 5) << finished.err;
    EXPECT_TRUE(has(finished.err, "interrupted during training")) << finished.err;
  }
}

TEST_F(ProgramTest, CtrlCAtAnyTimeEndsTheDemoCleanly) {
  // The moments are spread over all phases; whatever phase they meet, the end is the same.
  for (const int milliseconds : {0, 100, 300, 600, 1200, 2400}) {
    test::Process process(test::program_path(), {"demo", "--out", "demo"}, home());
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    process.signal(SIGINT);
    const Finished finished = process.finish();
    if (finished.code == 0) {
      EXPECT_TRUE(fs::exists(home() / "demo" / "report.html")) << "it was over before the signal";
      fs::remove_all(home() / "demo");
    } else if (finished.code != 128 + SIGINT) {  // killed before the handler was there
      EXPECT_EQ(finished.code, 5) << finished.err;
      EXPECT_TRUE(has(finished.err, "interrupted during")) << finished.err;
    }
    EXPECT_FALSE(fs::exists(home() / "demo"));
    EXPECT_EQ(names().size(), 2u) << "only the shop's two files are there";
  }
}

TEST_F(ProgramTest, DevicesListsTheCpu) {
  const nlohmann::json devices = nlohmann::json::parse(must_run({"devices", "--json"}).out);
  EXPECT_EQ(devices["devices"][0]["device"], "cpu");
  EXPECT_GT(devices["devices"][0]["copy_bytes_per_second"], 1e8);
  EXPECT_GT(devices["devices"][0]["processors"], 0);
  EXPECT_TRUE(has(must_run({"devices", "--no-measure"}).out, "'auto' takes "));
}

TEST_F(ProgramTest, ConfigReadsItselfBack) {
  const Finished shown = must_run({"config", "--set", "search.max_size=3", "--set", "model.dim=32"});
  EXPECT_TRUE(has(shown.out, "max_size = 3  # changed; default 4"));
  write_bytes(home() / "my.toml", shown.out);
  EXPECT_EQ(must_run({"config", "--settings", "my.toml"}).out, shown.out);
}

TEST_F(ProgramTest, TheDeviceOfTheEnvironmentYieldsToTheCommandLine) {
  ASSERT_EQ(setenv("SHEAF_DEVICE", "cuda:99", 1), 0);
  const Finished taken = run({"config"});
  const Finished set = run({"config", "--set", "run.device=cpu"});
  const Finished named = run({"config", "--device", "cpu", "--set", "run.device=cuda:98"});
  ASSERT_EQ(unsetenv("SHEAF_DEVICE"), 0);
  EXPECT_TRUE(has(taken.out, "device = \"cuda:99\"")) << taken.out;
  EXPECT_TRUE(has(set.out, "device = \"cpu\"")) << set.out;
  EXPECT_TRUE(has(named.out, "device = \"cpu\"")) << named.out;
}

/// `sheaf bench`, which is the program sheaf_bench beside it.
class BenchTest : public ProgramTest {
 protected:
  /// A copy of the program in a folder of its own, beside what stands in for sheaf_bench.
  fs::path program_beside(const std::string& script) const {
    const fs::path bin = folder_.path() / "bin of its own";
    fs::create_directory(bin);
    fs::copy_file(test::program_path(), bin / "sheaf", fs::copy_options::overwrite_existing);
    if (!script.empty()) {
      write_bytes(bin / "sheaf_bench", "#!/bin/sh\n" + script);
      fs::permissions(bin / "sheaf_bench", fs::perms::owner_all);
    }
    return bin / "sheaf";
  }
  Finished bench(const std::string& script, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "bench");
    return test::Process(program_beside(script).string(), arguments, home()).finish();
  }
};

TEST_F(BenchTest, PassesOptionsOutputAndExitCode) {
  const Finished plain = bench("for word; do echo \"[$word]\"; done; exit 1\n", {});
  EXPECT_EQ(plain.code, 1);
  EXPECT_EQ(plain.out, "[--device]\n[auto]\n[--threads]\n[0]\n");
  const Finished all = bench("for word; do echo \"[$word]\"; done\n",
                             {"--suite", "full", "--filter", "^(a|b c)/", "--device", "cpu", "--set", "run.threads=3",
                              "--out", "a b.json", "--markdown", "t.md", "--json", "--quiet"});
  EXPECT_EQ(all.code, 0);
  EXPECT_EQ(all.out,
            "[--device]\n[cpu]\n[--threads]\n[3]\n[--suite]\n[full]\n[--filter]\n[^(a|b c)/]\n[--out]\n[a b.json]\n"
            "[--markdown]\n[t.md]\n[--json]\n[--quiet]\n");
  EXPECT_TRUE(has(bench("for word; do echo \"[$word]\"; done\n", {"--list"}).out, "[--list]\n"));
}

TEST_F(BenchTest, CtrlCReachesIt) {
  const fs::path program =
      program_beside("trap 'echo stopped; exit 5' INT\necho started >&2\nwhile :; do sleep 0.01; done\n");
  test::Process process(program.string(), {"bench"}, home());
  ASSERT_TRUE(process.wait_for("started"));
  process.signal(SIGINT);
  const Finished finished = process.finish();
  EXPECT_EQ(finished.code, 5);
  EXPECT_EQ(finished.out, "stopped\n");
}

TEST_F(BenchTest, SaysHowToBuildIt) {
  const Finished finished = bench("", {});
  EXPECT_EQ(finished.code, 2);
  EXPECT_TRUE(has(finished.err, "bin of its own/sheaf_bench is not built")) << finished.err;
  EXPECT_TRUE(has(finished.err, "-DSHEAF_BENCH=ON")) << finished.err;
}

TEST_F(BenchTest, WrongUsage) {
  expect_failure({"bench", "--suite", "slow"}, 2, "--suite");
  expect_failure({"bench", "--seed", "3"}, 2, "fixed seeds");
}

#ifdef SHEAF_BENCH_PROGRAM
TEST_F(BenchTest, TheRealOne) {
  const Finished listed = must_run({"bench", "--list"});
  EXPECT_TRUE(has(listed.out, "adam/n:1048576\n")) << listed.out;
  const Finished done = must_run({"bench", "--filter", "^bpr/", "--device", "cpu", "--json", "--out", "bpr.json"});
  const nlohmann::json result = nlohmann::json::parse(done.out);
  ASSERT_EQ(result["benchmarks"].size(), 1u);
  EXPECT_EQ(result["benchmarks"][0]["axes"]["n_batch"], 65536);
  EXPECT_EQ(result["machine"]["wait_policy"], "passive");
  EXPECT_EQ(read("bpr.json"), done.out);
  EXPECT_TRUE(has(done.err, "bpr/n_batch:65536/group:5")) << "the table is progress";
  expect_failure({"bench", "--filter", "no such op"}, 2, "matches no benchmark");
  expect_failure({"bench", "--filter", "^bpr/", "--out", "missing/b.json"}, 3, "cannot write missing/b.json");
  expect_failure({"bench", "--filter", "^bpr/", "--markdown", "."}, 2, "is a folder, not a file");
  expect_failure({"bench", "--device", "cuda:99"}, 4, "cuda:99");
}
#endif

/// The main job on the data that ships inside.
class DemoTest : public ProgramTest {};

TEST_F(DemoTest, FindsItsDataWhereTheEnvironmentSays) {
  setenv("SHEAF_DATASETS", home().c_str(), 1);
  expect_failure({"demo", "--quiet"}, 3, "holds no complete_journey.toml");
  fs::create_directory_symlink(test::datasets_path(), home() / "data sets");
  setenv("SHEAF_DATASETS", (home() / "data sets").c_str(), 1);
  // The least work that goes all the way.
  must_run({"demo", "--quiet", "--device", "cpu", "--set", "model.preference=personal", "--set", "search.anchors=4",
            "--set", "search.candidates=8", "--set", "search.rounds=1", "--set", "evaluate.resamples=10"});
  unsetenv("SHEAF_DATASETS");
}

TEST_F(DemoTest, WithoutBundlesItStillMeasuresTheModel) {
  const std::vector<std::string> words{"demo",
                                       "--out",
                                       "demo",
                                       "--set",
                                       "model.epochs=1",
                                       "--set",
                                       "fusion.windows=1",
                                       "--set",
                                       "fusion.epochs=1",
                                       "--set",
                                       "search.budget=0.01"};
  const Finished text = must_run(words);
  EXPECT_TRUE(has(text.out, "NDCG@K")) << text.out;
  EXPECT_TRUE(has(text.out, "Users: no bundles. no bundle meets the constraints")) << text.out;
  EXPECT_TRUE(has(text.out, "Catalog: no bundles. no bundle meets the constraints")) << text.out;
  EXPECT_TRUE(fs::exists(home() / "demo" / "report.html"));
  must_run({"evaluate", "demo/data", "--model", "demo/model", "--quiet", "--set", "search.budget=0.01"});
}

TEST_F(DemoTest, BeatsTheBaselinesAndRepeatsItself) {
  const nlohmann::json result = nlohmann::json::parse(must_run({"demo", "--out", "demo", "--json", "--quiet"}).out);
  const auto at_ten = [&](const std::string& name, const std::string& metric) {
    for (const auto& row : result["quality"]["ranking"]) {
      if (row["name"] == name && row["k"] == 10) return row[metric].get<double>();
    }
    ADD_FAILURE() << "no ranking " << name;
    return 0.0;
  };
  for (const char* metric : {"recall", "ndcg"}) {
    for (const char* baseline : {"popularity", "item-knn", "personal-count"})
      EXPECT_GT(at_ten("fusion", metric), at_ten(baseline, metric)) << baseline << " " << metric;
  }
  EXPECT_EQ(result["quality"]["user_bundles"]["feasible"], 1.0);
  for (const char* name : {"bundles.csv", "bundles.jsonl", "metrics.json", "users.csv", "report.html"})
    EXPECT_GT(fs::file_size(home() / "demo" / name), 1000u) << name;
  const std::string html = read("demo/report.html");
  for (const char* picture : {"Loss", "Preference P(u, i)", "Association A(i, j)", "Search convergence", "Coverage"})
    EXPECT_TRUE(has(html, picture)) << picture;
  EXPECT_TRUE(has(html, "Do the bundles meet what is bought later?"));
  EXPECT_TRUE(has(html, "own most frequent"));
  EXPECT_FALSE(has(html, "<script")) << "self-contained";
  EXPECT_FALSE(has(html, "src=")) << "self-contained";
  // It follows a dark scheme, with no colour of its own beside the variables, and fits a telephone.
  EXPECT_TRUE(has(html, "@media (prefers-color-scheme: dark)"));
  EXPECT_TRUE(has(html, "background: var(--page)"));
  EXPECT_FALSE(has(html, "minmax(440px")) << "wider than a telephone";

  if (kUnderSanitizer) return;  // the same work once more, half a minute
  must_run({"demo", "--out", "again", "--quiet", "--set", "run.threads=1"});
  auto first = test::read_tree(home() / "demo"), second = test::read_tree(home() / "again");
  ASSERT_EQ(first.size(), second.size());
  for (const auto& [name, bytes] : first) EXPECT_TRUE(second[name] == bytes) << name << " differs with one thread";
}

}  // namespace
}  // namespace sheaf
