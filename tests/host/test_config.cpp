#include "host/config/config.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "engine/data/nearest.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/temp_folder.hpp"

namespace sheaf::config {
namespace {

using test::TempFolder;
using test::write_bytes;

/// The message and the mend of the UsageError that an assignment raises.
std::string set_message(const std::string& assignment) {
  try {
    Config config;
    config.set(assignment);
  } catch (const UsageError& error) {
    return std::string(error.what()) + " | " + error.hint();
  }
  return "no error";
}

TEST(Nearest, CountsEdits) {
  EXPECT_EQ(text::edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(text::edit_distance("", "abc"), 3);
  EXPECT_EQ(text::edit_distance("abc", ""), 3);
  EXPECT_EQ(text::edit_distance("same", "same"), 0);
  EXPECT_EQ(text::nearest("dims", std::vector<std::string>{"loss", "dim", "epochs"}), "dim");
  EXPECT_EQ(text::nearest("x", std::vector<std::string>{}), "");
}

TEST(Config, DefaultsAreTheDocumentedOnes) {
  const Config config = load_config({});
  EXPECT_EQ(config.model.preference, "fusion");
  EXPECT_NE(config.show().find("\ndim = 64\n"), std::string::npos);
  EXPECT_TRUE(config.model_settings.empty());
  EXPECT_EQ(config.associate.by, "cosine");
  EXPECT_TRUE(std::isinf(config.search.budget));
  EXPECT_EQ(config.evaluate.k, (std::vector<int64_t>{5, 10, 20}));
  EXPECT_EQ(config.run.device, "auto");
  EXPECT_EQ(config.show().find("# changed"), std::string::npos);
}

TEST(Config, ReadsAFileThenTheAssignments) {
  const TempFolder folder;
  write_bytes(folder.path() / "c.toml",
              "[model]\ndim = 16\nlearning_rate = 1\nloss = \"bce\"\n[search]\nmust_have = [\"a\", 42]\n"
              "budget = 25.5\n[evaluate]\nk = [1, 2]\nbaselines = []\n");
  const Config config = load_config(folder.path() / "c.toml", {"model.dim=32", "search.budget = inf", "run.seed=9"});
  EXPECT_EQ(std::get<int64_t>(config.model_settings.at("model.dim")), 32);
  EXPECT_EQ(std::get<double>(config.model_settings.at("model.learning_rate")), 1.0);
  EXPECT_EQ(std::get<std::string>(config.model_settings.at("model.loss")), "bce");
  EXPECT_EQ(config.search.must_have, (std::vector<std::string>{"a", "42"}));
  EXPECT_TRUE(std::isinf(config.search.budget));
  EXPECT_EQ(config.evaluate.k, (std::vector<int64_t>{1, 2}));
  EXPECT_TRUE(config.evaluate.baselines.empty());
  EXPECT_EQ(config.run.seed, 9);
}

TEST(Config, AssignmentsNeedNoQuotes) {
  Config config;
  config.set("model.loss=bce");
  EXPECT_EQ(std::get<std::string>(config.model_settings.at("model.loss")), "bce");
  config.set("model.loss=\"bpr\"");
  EXPECT_EQ(std::get<std::string>(config.model_settings.at("model.loss")), "bpr");
  config.set("search.must_have=85123A, 22423");
  EXPECT_EQ(config.search.must_have, (std::vector<std::string>{"85123A", "22423"}));
  config.set("search.forbidden=[\"x,y\", \"z\"]");
  EXPECT_EQ(config.search.forbidden, (std::vector<std::string>{"x,y", "z"}));
  config.set("search.forbidden=");
  EXPECT_TRUE(config.search.forbidden.empty());
  config.set("evaluate.k=5,10");
  EXPECT_EQ(config.evaluate.k, (std::vector<int64_t>{5, 10}));
  config.set("evaluate.mask_seen=false");
  EXPECT_FALSE(config.evaluate.mask_seen);
  config.set("run.device=cuda:1");
  EXPECT_EQ(config.run.device, "cuda:1");
}

TEST(Config, WrongAssignmentsNameWhatIsValid) {
  EXPECT_EQ(set_message("model.dims=3"), "--set: no setting 'model.dims' | did you mean 'model.dim'?");
  EXPECT_EQ(set_message("serach.budget=3"), "--set: no setting 'serach.budget' | did you mean 'search.budget'?");
  EXPECT_NE(set_message("model.dim=0").find("model.dim = 0: expected an integer from 1 to 4096"), std::string::npos);
  EXPECT_NE(set_message("model.dim=3.5").find("expected an integer"), std::string::npos);
  EXPECT_NE(set_message("model.dim=many").find("model.dim = many: expected an integer"), std::string::npos);
  EXPECT_NE(set_message("model.dim=").find("expected an integer"), std::string::npos);
  EXPECT_NE(set_message("model.loss=mse").find("model.loss = mse: expected one of \"softmax\", \"bpr\", \"bce\""),
            std::string::npos);
  EXPECT_NE(set_message("model.dropout=1.0").find("expected a number from 0 to 0.95"), std::string::npos);
  EXPECT_NE(set_message("model.dropout=nan").find("expected a number"), std::string::npos);
  EXPECT_NE(set_message("search.budget=-1").find("expected a number of at least 0"), std::string::npos);
  EXPECT_NE(set_message("model.item_features=1").find("expected true or false"), std::string::npos);
  EXPECT_NE(set_message("evaluate.k=5,0").find("a list, each an integer from 1 to 256"), std::string::npos);
  EXPECT_NE(set_message("evaluate.baselines=knn").find("\"popularity\", \"item-knn\""), std::string::npos);
  EXPECT_NE(set_message("model.dim").find("expected section.key=value"), std::string::npos);
  EXPECT_NE(set_message("dim=3").find("expected section.key=value"), std::string::npos);
}

TEST(Config, WrongFilesNameTheLine) {
  const TempFolder folder;
  const auto path = folder.path() / "c.toml";
  const auto message = [&](const std::string& text) -> std::string {
    write_bytes(path, text);
    try {
      (void)load_config(path);
    } catch (const UsageError& error) {
      return std::string(error.what()) + " | " + error.hint();
    }
    return "no error";
  };
  EXPECT_EQ(message("[model]\n\nepoch = 3\n"),
            path.string() + " line 3: no setting 'model.epoch' | did you mean 'model.epochs'?");
  EXPECT_NE(message("[model]\nepochs = \"3\"\n").find(path.string() + " line 2: model.epochs = "), std::string::npos);
  EXPECT_NE(message("[model\n").find(path.string() + " line 1: "), std::string::npos);
  EXPECT_NE(message("[+\n").find("line 1: Error while parsing key"), std::string::npos);
  EXPECT_NE(message("# é\n[run]\nséed = 1\n").find("line 3: the character 'é' stands outside of quotes"),
            std::string::npos);
  EXPECT_NE(message("[run]\nseed\u00a0= 1\n").find("line 2: the character"), std::string::npos);
  EXPECT_NE(message("[search]\nobjective = \"\"\"é\"\"\"\"é\n").find("line 2: the character 'é' stands"),
            std::string::npos);
  EXPECT_NE(message("[run]\nseed = 1\"é\"\n").find("line 2: the character 'é' stands"), std::string::npos);
  EXPECT_EQ(message("[search]\nitem_facts = \"\"\"é\"\"\"\"  # é\nwarm_start = 'é'\n"), "no error");
  EXPECT_NE(message("dim = 3\n").find("line 1: 'dim' stands outside a section"), std::string::npos);
  EXPECT_NE(message("[search]\nmin_size = 5\n").find("search.min_size = 5 is above search.max_size = 4"),
            std::string::npos);
  EXPECT_NE(message("[discount]\nmin = 0.5\n").find("discount.min = 0.5 is above"), std::string::npos);
  EXPECT_NE(message("[search]\nmust_have=[\"a\"]\nforbidden=[\"a\"]\n").find("item 'a' is in"), std::string::npos);
  EXPECT_THROW((void)load_config(folder.path() / "missing.toml"), DataError);
}

TEST(Config, WhatItShowsReadsBackTheSame) {
  const TempFolder folder;
  const Config config = load_config({}, {"model.dim=8", "search.must_have=a \"b\\,c", "search.budget=12", "run.seed=3",
                                         "model.learning_rate=1e-5", "evaluate.k=1"});
  const std::string shown = config.show();
  EXPECT_NE(shown.find("dim = 8  # changed; default 64\n"), std::string::npos) << shown;
  EXPECT_NE(shown.find("budget = 12.0  # changed; default inf\n"), std::string::npos);
  write_bytes(folder.path() / "c.toml", shown);
  EXPECT_EQ(load_config(folder.path() / "c.toml").show(), shown);
  write_bytes(folder.path() / "d.toml", Config().show());
  EXPECT_EQ(load_config(folder.path() / "d.toml").show(), Config().show());
}

}  // namespace
}  // namespace sheaf::config
