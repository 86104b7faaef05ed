// Checkpoints on the disk, and a training that the program takes up again.

#include "host/app/checkpoint_folder.hpp"

#include <cmath>

#include "kernels/core/error.hpp"
#include "tests/host/program_test.hpp"
#include "tests/host/shop.hpp"

namespace sheaf {
namespace {

class CheckpointFolderTest : public ProgramTest {
 protected:
  app::CheckpointFolder open(const config::Config& config, bool resume) {
    notes_.clear();
    return {home() / "model.checkpoints",
            config,
            shop_,
            {.seconds = 0.0, .resume = resume, .on_note = [this](const std::string& line) { notes_ += line + "\n"; }}};
  }
  static TrainState state(int64_t epoch) {
    TrainState state;
    for (int64_t e = 1; e <= epoch; ++e) {
      EpochReport report;
      report.epoch = e;
      report.train_loss = 1.0 / static_cast<double>(e + 2);
      report.best = e == 1;
      state.report.epochs.push_back(report);
    }
    state.report.best_epoch = 1;
    state.best_ndcg = 0.1 + 1e-17;
    state.steps = 7 * epoch;
    state.tables.push_back(
        {"items", 1, 2, {static_cast<float>(epoch), 0.1f}, {1.0f, 2.0f}, {3.0f, 4.0f}, {5.0f, 6.0f}});
    state.tables.push_back({"bias", 1, 1, {7.0f}, {}, {}, {8.0f}});
    return state;
  }
  void damage(const fs::path& folder) const {
    const fs::path file = folder / "state.safetensors";
    std::string bytes = test::read_bytes(file);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    write_bytes(file, bytes);
  }

  const data::Prepared shop_ = app::weekly_shop(data::kValidation);
  std::string notes_;
};

TEST_F(CheckpointFolderTest, GivesBackTheNewestState) {
  {
    app::CheckpointFolder folder = open(app::quick(), false);
    EXPECT_FALSE(folder.begin());
    for (const int64_t epoch : {1, 2, 3}) folder.put(state(epoch));
    EXPECT_FALSE(folder.begin());  // the second training of the run
    folder.put(state(9));
  }
  app::CheckpointFolder folder = open(app::quick(), true);
  const std::optional<TrainState> found = folder.begin();
  ASSERT_TRUE(found);
  const TrainState expected = state(3);
  EXPECT_EQ(found->epoch(), 3);
  EXPECT_EQ(found->steps, 21);
  EXPECT_EQ(found->best_ndcg, expected.best_ndcg);
  EXPECT_EQ(found->report.epochs[1].train_loss, 0.25);
  EXPECT_TRUE(std::isnan(found->report.epochs[1].validation_ndcg));
  ASSERT_EQ(found->tables.size(), 2u);
  EXPECT_EQ(found->tables[0].value, expected.tables[0].value);
  EXPECT_EQ(found->tables[0].moment1, expected.tables[0].moment1);
  EXPECT_EQ(found->tables[0].moment2, expected.tables[0].moment2);
  EXPECT_EQ(found->tables[1].best, expected.tables[1].best);
  EXPECT_TRUE(found->tables[1].moment1.empty());
  EXPECT_EQ(folder.begin()->epoch(), 9);
  folder.clear();
  EXPECT_FALSE(fs::exists(home() / "model.checkpoints"));
}

TEST_F(CheckpointFolderTest, ADamagedStateIsNamedAndTheOneBeforeItTaken) {
  {
    app::CheckpointFolder folder = open(app::quick(), false);
    folder.begin();
    for (const int64_t epoch : {1, 2, 3}) folder.put(state(epoch));
  }
  damage(home() / "model.checkpoints" / "training-1-a");  // of epoch 3
  app::CheckpointFolder folder = open(app::quick(), true);
  EXPECT_EQ(folder.begin()->epoch(), 2);
  EXPECT_TRUE(has(notes_, "training-1-a is damaged")) << notes_;
  folder.put(state(4));  // in the place of the damaged one
  EXPECT_EQ(open(app::quick(), true).begin()->epoch(), 4);
  damage(home() / "model.checkpoints" / "training-1-a");
  damage(home() / "model.checkpoints" / "training-1-b");
  EXPECT_FALSE(open(app::quick(), true).begin());
}

TEST_F(CheckpointFolderTest, AStateThatCannotBeWrittenIsNotedAndNothingIsThrown) {
  write_bytes(home() / "model.checkpoints", "a file of somebody");
  app::CheckpointFolder folder = open(app::quick(), false);
  folder.begin();
  EXPECT_NO_THROW(folder.put(state(1)));
  EXPECT_TRUE(has(notes_, "no state is kept")) << notes_;
  EXPECT_FALSE(folder.has_put());
  EXPECT_EQ(test::read_bytes(home() / "model.checkpoints"), "a file of somebody");
}

TEST_F(CheckpointFolderTest, OtherSettingsOrDataAreRefusedAndAnotherLearningRateIsNoted) {
  {
    app::CheckpointFolder folder = open(app::quick(), false);
    folder.begin();
    folder.put(state(1));
  }
  config::Config other = app::quick();
  other.set("model.dim=16");
  EXPECT_THROW(open(other, true).begin(), UsageError);
  config::Config threads = app::quick();
  threads.set("run.threads=3");
  threads.set("model.learning_rate=0.004");
  EXPECT_TRUE(open(threads, true).begin());
  EXPECT_TRUE(has(notes_, "other learning rates")) << notes_;
  data::Prepared fewer = shop_;
  fewer.split[0] = data::kTest;
  app::CheckpointFolder folder(home() / "model.checkpoints", app::quick(), fewer, {.resume = true});
  EXPECT_THROW(folder.begin(), UsageError);
}

TEST_F(CheckpointFolderTest, TheProgramGoesOnAndLeavesNothing) {
  prepare();
  const std::vector<std::string> train{"train", "data",
                                       "--set", "model.preference=factorization",
                                       "--set", "model.dim=8",
                                       "--set", "model.loss=bpr",
                                       "--set", "model.epochs=600",
                                       "--set", "model.patience=0"};
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> all = train;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  test::Process killed(test::program_path(), with({"--out", "model", "--checkpoint-seconds", "0"}), home());
  const fs::path states = home() / "model.checkpoints";
  for (int waited = 0; waited < 2000 && !fs::exists(states / "training-1-b" / "manifest.json"); ++waited) usleep(5000);
  killed.signal(SIGTERM);
  const Finished ended = killed.finish();
  ASSERT_EQ(ended.code, 5) << ended.err;
  EXPECT_TRUE(has(ended.err, "--resume goes on from it")) << ended.err;
  ASSERT_TRUE(fs::exists(states));
  // Of the first epochs alone; the rest is trained with fewer, which is another training.
  expect_failure(with({"--out", "model", "--resume", "--set", "model.dim=4"}), 2, "other settings");
  const Finished rest = must_run(with({"--out", "model", "--resume"}));
  EXPECT_TRUE(has(rest.err, "goes on after epoch ")) << rest.err;
  EXPECT_FALSE(fs::exists(states));
  must_run(with({"--out", "whole", "--checkpoint-seconds", "1000"}));
  EXPECT_FALSE(fs::exists(home() / "whole.checkpoints"));
  EXPECT_EQ(test::read_bytes(home() / "model" / "model.safetensors"),
            test::read_bytes(home() / "whole" / "model.safetensors"));
}

}  // namespace
}  // namespace sheaf
