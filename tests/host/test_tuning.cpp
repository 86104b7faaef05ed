// Settings found on the validation period: the space, the draws, the rounds, the journal, the program.

#include "host/app/tuning.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "tests/host/program_test.hpp"
#include "tests/host/shop.hpp"

namespace sheaf {
namespace {

class TuningTest : public ProgramTest {
 protected:
  std::vector<app::TuneDimension> space_of(const std::string& toml) const {
    write_bytes(home() / "space.toml", toml);
    return app::read_tune_space(home() / "space.toml");
  }
  std::string refusal_of(const std::string& toml) const {
    try {
      space_of(toml);
    } catch (const UsageError& error) {
      return std::string(error.what()) + " | " + error.hint();
    }
    return "taken";
  }
  void TearDown() override { clear_interrupt(); }
};

/// A config whose trials take a moment.
config::Config small_personal() {
  config::Config config = app::quick();
  config.set("model.preference=personal");
  config.set("run.threads=2");
  return config;
}

TEST_F(TuningTest, ReadsListsAndRanges) {
  const auto space = space_of(
      "[model]\ndim = [16, 32]\nlearning_rate = { low = 0.001, high = 0.1, log = true }\npreference = \"additive\"\n"
      "[sasrec]\nuser_vectors = [true, false]\nlayers = { low = 1, high = 3 }\n");
  ASSERT_EQ(space.size(), 5u);
  EXPECT_EQ(space[0].name, "model.dim");
  EXPECT_EQ(space[0].values, (std::vector<std::string>{"16", "32"}));
  EXPECT_EQ(space[1].name, "model.learning_rate");
  EXPECT_TRUE(space[1].values.empty() && space[1].logarithmic && !space[1].whole);
  EXPECT_EQ(space[1].low, 0.001);
  EXPECT_EQ(space[1].high, 0.1);
  EXPECT_EQ(space[2].values, std::vector<std::string>{"additive"});
  EXPECT_TRUE(space[3].whole && !space[3].logarithmic);
  EXPECT_EQ(space[4].values, (std::vector<std::string>{"true", "false"}));
}

TEST_F(TuningTest, RefusesWhatIsNoSettingOrNoValueWithItsLine) {
  const auto expect = [&](const std::string& toml, const std::string& says) {
    EXPECT_TRUE(has(refusal_of(toml), says)) << toml << "\n" << refusal_of(toml);
  };
  expect("[model]\ndmi = [16]\n", "space.toml line 2: model.dmi is no setting of a model | did you mean model.dim?");
  expect("[search]\nmax_size = [3, 4]\n", "search.max_size is no setting of a model");
  expect("[model]\nrefit = [\"all\"]\n", "model.refit is no setting of a model");
  expect("dim = 3\n", "dim stands outside a section");
  expect("[model]\n\ndim = [16, -4]\n", "line 3: ");
  expect("[model]\ndim = [16, -4]\n", "-4");
  expect("[model]\nlearning_rate = { low = 0.1, high = 1e9 }\n", "line 2: ");
  expect("[model]\ndim = { low = 32, high = 16 }\n", "low that is below its number high");
  expect("[model]\ndim = { low = 32 }\n", "low that is below its number high");
  expect("[model]\ndim = { low = 32, hihg = 64 }\n", "'hihg' is no part of a range");
  expect("[model]\ndropout = { low = 0.0, high = 0.5, log = true }\n", "low = 0 has no logarithm");
  expect("[model]\ndim = []\n", "lists no value");
  expect("[model]\ndim = [[1]]\n", "no text, number, true or false");
  expect("\n", "names no setting");
}

TEST_F(TuningTest, AllCombinationsOfShortListsAreTried) {
  const auto space = space_of("[model]\npreference = [\"personal\", \"ease\"]\n[ease]\nl2 = [50, 100, 200]\n");
  const auto trials = app::tune_trials(space, small_personal(), 100, 1);
  // The present settings, three of ease, and one of personal, which has no l2.
  std::set<std::string> texts;
  for (const auto& trial : trials) texts.insert(app::trial_text(trial));
  EXPECT_EQ(texts, (std::set<std::string>{"the settings as they are", "ease.l2 = 50, model.preference = ease",
                                          "ease.l2 = 100, model.preference = ease",
                                          "ease.l2 = 200, model.preference = ease", "model.preference = personal"}));
  EXPECT_EQ(trials.size(), texts.size());
  EXPECT_TRUE(trials[0].empty());
}

TEST_F(TuningTest, DrawsAreInTheirRangesAndTheSameForASeed) {
  const auto space = space_of(
      "[model]\ndim = { low = 4, high = 7 }\nlearning_rate = { low = 1e-5, high = 0.1, log = true }\n"
      "dropout = { low = 0.1, high = 0.3 }\npreference = \"factorization\"\n");
  const auto trials = app::tune_trials(space, small_personal(), 400, 3);
  ASSERT_EQ(trials.size(), 400u);
  std::set<std::string> dims;
  int64_t small_rates = 0;
  for (size_t t = 1; t < trials.size(); ++t) {
    for (const auto& [name, value] : trials[t]) {
      const double number = std::strtod(value.c_str(), nullptr);
      if (name == "model.dim") dims.insert(value);
      if (name == "model.learning_rate") {
        EXPECT_TRUE(number >= 1e-5 && number <= 0.1) << value;
        small_rates += number < 1e-3 ? 1 : 0;
      }
      if (name == "model.dropout") {
        EXPECT_TRUE(number >= 0.1 && number <= 0.3) << value;
      }
    }
  }
  EXPECT_EQ(dims, (std::set<std::string>{"4", "5", "6", "7"}));
  EXPECT_NEAR(static_cast<double>(small_rates) / 399.0, 0.5, 0.1);  // half of the decades
  EXPECT_EQ(app::tune_trials(space, small_personal(), 400, 3), trials);
  EXPECT_NE(app::tune_trials(space, small_personal(), 400, 4), trials);
}

TEST_F(TuningTest, SharesGrowThreefoldAndHoldEnoughUsers) {
  EXPECT_EQ(app::tune_shares(9000, 3, 200), (std::vector<double>{1.0 / 9.0, 1.0 / 3.0, 1.0}));
  EXPECT_EQ(app::tune_shares(9000, 1, 200), std::vector<double>{1.0});
  EXPECT_EQ(app::tune_shares(400, 5, 200), (std::vector<double>{0.5, 1.0}));
  EXPECT_EQ(app::tune_shares(12, 3, 200), std::vector<double>{1.0});
}

TEST_F(TuningTest, ASmallerShareIsPartOfALargerOne) {
  const data::Prepared shop = app::weekly_shop(data::kValidation);
  const auto users_of = [&](double share) {
    const data::Prepared part = app::with_share_of_users(shop, share, 5);
    std::set<int32_t> kept;
    for (size_t line = 0; line < part.split.size(); ++line) {
      if (part.split[line] != data::kTest) {
        EXPECT_EQ(part.split[line], shop.split[line]);
        kept.insert(part.user[line]);
      }
    }
    // All lines of a user, or none.
    for (size_t line = 0; line < part.split.size(); ++line) {
      EXPECT_EQ(part.split[line] != data::kTest, kept.contains(part.user[line]));
    }
    return kept;
  };
  const auto third = users_of(1.0 / 3.0), two_thirds = users_of(2.0 / 3.0);
  EXPECT_TRUE(std::ranges::includes(two_thirds, third));
  EXPECT_TRUE(third.size() < two_thirds.size() && two_thirds.size() < 12 && !third.empty());
  EXPECT_EQ(users_of(1.0).size(), 12u);
}

TEST_F(TuningTest, TheBestTrialIsTheBestOfTheLastRound) {
  const data::Prepared shop = app::weekly_shop(data::kValidation);
  const auto space = space_of("[personal]\nhalf_life_days = [1, 30, 5000]\n");
  const app::Tuning tuning = app::tune(small_personal(), shop, space, 10, {});
  ASSERT_EQ(tuning.trials.size(), 4u);
  ASSERT_EQ(tuning.runs.size(), 4u);  // 12 users: one round
  for (const app::TuneRun& run : tuning.runs) {
    EXPECT_EQ(run.share, 1.0);
    EXPECT_LE(run.ndcg, tuning.last_of(tuning.best).ndcg);
    // What `train` says of the same settings.
    config::Config config = small_personal();
    for (const auto& [name, value] : tuning.trials[static_cast<size_t>(run.trial)]) config.set(name + "=" + value);
    const app::ShopRun again(config);
    EXPECT_EQ(run.ndcg, again.training.best().validation_ndcg);
    EXPECT_EQ(run.recall, again.training.best().validation_recall);
  }
  const std::string best = app::best_settings(tuning, small_personal());
  write_bytes(home() / "best.toml", best);
  const config::Config read = config::load_config(home() / "best.toml", {"model.preference=personal"});
  for (const auto& [name, value] : tuning.trials[static_cast<size_t>(tuning.best)]) {
    EXPECT_EQ(std::get<double>(read.model_settings.at(name)), std::strtod(value.c_str(), nullptr));
  }
}

TEST_F(TuningTest, AThirdGoesOnAndThePresentSettingsStay) {
  const data::Prepared shop = app::weekly_shop(data::kValidation);
  config::Config config = small_personal();
  config.set("personal.half_life_days=0.01");  // what users bought in the last week alone: the worst of all
  const auto space = space_of("[personal]\nhalf_life_days = [20, 40, 60, 80, 100, 200, 300, 500]\n");
  const app::Tuning tuning = app::tune(config, shop, space, 9, {.rounds = 3, .fewest_users = 1});
  ASSERT_EQ(tuning.trials.size(), 9u);
  std::map<int64_t, std::vector<app::TuneRun>> rounds;
  for (const app::TuneRun& run : tuning.runs) rounds[run.round].push_back(run);
  ASSERT_EQ(rounds.size(), 3u);
  EXPECT_EQ(rounds[0].size(), 9u);
  for (int64_t round = 0; round < 3; ++round) {
    EXPECT_EQ(rounds[round].front().trial, 0) << round;
    EXPECT_NEAR(rounds[round].front().share, std::pow(3.0, static_cast<double>(round - 2)), 1e-12);
    if (round == 0) continue;
    // Those that went on were not worse than those that did not.
    std::set<int64_t> left;
    for (const app::TuneRun& run : rounds[round]) left.insert(run.trial);
    const auto before = std::ssize(rounds[round - 1]);
    EXPECT_GE(std::ssize(left), (before + 2) / 3);
    EXPECT_LE(std::ssize(left), (before + 2) / 3 + 1);
    double worst_left = 1.0, best_gone = 0.0;
    for (const app::TuneRun& run : rounds[round - 1]) {
      if (run.trial == 0) continue;
      if (left.contains(run.trial)) {
        worst_left = std::min(worst_left, run.ndcg);
      } else {
        best_gone = std::max(best_gone, run.ndcg);
      }
    }
    EXPECT_GE(worst_left, best_gone);
  }
}

TEST_F(TuningTest, TrialsAtATimeGiveTheSame) {
  const data::Prepared shop = app::weekly_shop(data::kValidation);
  const auto space = space_of("[personal]\nhalf_life_days = { low = 1.0, high = 500.0, log = true }\n");
  const app::Tuning one = app::tune(small_personal(), shop, space, 8, {});
  const app::Tuning three = app::tune(small_personal(), shop, space, 8, {.parallel = 3});
  ASSERT_EQ(one.runs.size(), three.runs.size());
  for (size_t r = 0; r < one.runs.size(); ++r) {
    EXPECT_EQ(one.runs[r].trial, three.runs[r].trial);
    EXPECT_EQ(one.runs[r].ndcg, three.runs[r].ndcg);
  }
  EXPECT_EQ(one.best, three.best);
}

TEST_F(TuningTest, ATrialThatCannotBeIsLeftOutAndAllOfThemAreAnError) {
  const data::Prepared shop = app::weekly_shop(data::kValidation);
  const auto space = space_of("[model]\npreference = \"sasrec\"\nloss = \"bpr\"\n");
  const app::Tuning tuning = app::tune(small_personal(), shop, space, 5, {});
  ASSERT_EQ(tuning.runs.size(), 2u);
  EXPECT_EQ(tuning.best, 0);
  EXPECT_TRUE(has(tuning.runs[1].error, "bpr")) << tuning.runs[1].error;
  config::Config wrong = small_personal();
  wrong.set("model.preference=sasrec");
  wrong.set("model.loss=bpr");
  EXPECT_THROW(app::tune(wrong, shop, space, 5, {}), DataError);
  EXPECT_THROW(app::tune(small_personal(), app::weekly_shop(data::kTest), space, 5, {}), DataError);
}

TEST_F(TuningTest, TheJournalIsTakenUpWhereItEnded) {
  const data::Prepared shop = app::weekly_shop(data::kValidation);
  const auto space = space_of("[personal]\nhalf_life_days = [1, 3, 10, 30, 100]\n");
  const fs::path journal = home() / "tuned.trials.jsonl";
  int64_t lines = 0;
  app::TuneOptions options{.journal = journal, .on_line = [&](const std::string&) {
                             if (++lines == 2) request_interrupt();
                           }};
  EXPECT_THROW(app::tune(small_personal(), shop, space, 9, options), Interrupted);
  clear_interrupt();
  const app::Tuning rest = app::tune(small_personal(), shop, space, 9, options);
  EXPECT_EQ(rest.read_from_journal, 2);
  EXPECT_EQ(lines, 6);
  const app::Tuning whole = app::tune(small_personal(), shop, space, 9, {});
  for (size_t r = 0; r < whole.runs.size(); ++r) EXPECT_EQ(rest.runs[r].ndcg, whole.runs[r].ndcg);
  EXPECT_EQ(rest.best, whole.best);
  // What stands there is believed.
  std::string text = test::read_bytes(journal);
  std::istringstream in(text);
  std::string head, second;
  std::getline(in, head);
  std::getline(in, second);
  nlohmann::json run = nlohmann::json::parse(second);
  run["trial"] = 4;
  run["ndcg"] = 0.99;
  write_bytes(journal, head + "\n" + run.dump() + "\n");
  EXPECT_EQ(app::tune(small_personal(), shop, space, 9, options).best, 4);
  // Another search, and a damaged line.
  config::Config other = small_personal();
  other.run.seed = 2;
  EXPECT_THROW(app::tune(other, shop, space, 9, options), UsageError);
  config::Config threads = small_personal();
  threads.run.threads = 1;
  EXPECT_NO_THROW(app::tune(threads, shop, space, 9, options));
  write_bytes(journal, head + "\n{\"trial\": 1\n");
  try {
    app::tune(small_personal(), shop, space, 9, options);
    ADD_FAILURE();
  } catch (const DataError& error) {
    EXPECT_TRUE(has(error.what(), "tuned.trials.jsonl line 2")) << error.what();
  }
}

TEST_F(TuningTest, TheProgramWritesSettingsThatTrainTakes) {
  prepare();
  write_bytes(home() / "space.toml", "[personal]\nhalf_life_days = [1, 20, 300]\n");
  const std::vector<std::string> arguments{"tune",  "data",  "--space", "space.toml",
                                           "--out", "tuned", "--set",   "model.preference=personal"};
  const Finished done = must_run(arguments);
  EXPECT_TRUE(has(done.out, "NDCG@10") && has(done.out, "the settings as they are")) << done.out;
  EXPECT_TRUE(has(done.err, "wrote tuned"));
  EXPECT_FALSE(fs::exists(home() / "tuned.trials.jsonl"));
  EXPECT_TRUE(
      read("tuned/trials.csv").starts_with("trial,round,share_of_users,ndcg,recall,best_epoch,settings,error\n"));
  must_run({"train", "data", "--settings", "tuned/best.toml", "--set", "model.preference=personal", "--out", "model"});
  // The same bytes again, and with two trials at a time.
  const auto first = test::read_tree(home() / "tuned");
  std::vector<std::string> beside = arguments;
  beside.insert(beside.end(), {"--parallel", "2", "--json"});
  const nlohmann::json json = nlohmann::json::parse(must_run(beside).out);
  EXPECT_EQ(test::read_tree(home() / "tuned"), first);
  EXPECT_EQ(json.at("trials"), 4);
  EXPECT_EQ(json.at("finals").size(), 4u);
  expect_failure({"tune", "data", "--space", "space.toml", "--out", "missing/tuned"}, 3, "missing");
  expect_failure({"tune", "data", "--space", "none.toml", "--out", "t"}, 3, "none.toml");
}

}  // namespace
}  // namespace sheaf
