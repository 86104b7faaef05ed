// Places that the program writes: files of others in them, links, several writers, signals, and what a kill leaves.

#include <memory>

#include "tests/host/program_test.hpp"

namespace sheaf {
namespace {

using Words = std::vector<std::string>;

/// Trains until it is ended.
const Words kEndless{"train", "data",
                     "--out", "model",
                     "--set", "model.preference=factorization",
                     "--set", "model.epochs=1000000",
                     "--set", "model.patience=0"};

class FoldersTest : public ProgramTest {
 protected:
  void train() const { must_run({"train", "data", "--out", "model", "--set", "model.epochs=1", "--quiet"}); }
  /// The names in home().
  std::vector<std::string> top() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(home())) found.push_back(entry.path().filename().string());
    std::ranges::sort(found);
    return found;
  }
};

TEST_F(FoldersTest, FilesOfTheUserStopTheCommandAtItsStart) {
  prepare();
  train();
  write_bytes(home() / "model" / "notes.md", "three weeks of notes");
  expect_failure(kEndless, 2, "model holds notes.md, which its manifest does not list");
  EXPECT_EQ(read("model/notes.md"), "three weeks of notes");
  write_bytes(home() / "data" / "query.sql", "select");
  expect_failure({"import", "shop.csv", "--config", "shop.toml", "--out", "data"}, 2, "data holds query.sql");
  must_run({"complete", "data", "--items", "p1"});  // to read, such a folder is good
}

TEST_F(FoldersTest, OutMayBeALinkToAFolder) {
  prepare();
  fs::create_directories(home() / "disk" / "big");
  fs::create_directory_symlink("disk/big", home() / "model");
  for (int twice = 0; twice < 2; ++twice) train();
  EXPECT_TRUE(fs::is_symlink(home() / "model"));
  EXPECT_TRUE(fs::exists(home() / "disk" / "big" / "model.safetensors"));
  must_run({"associate", "data", "--model", "model", "--out", "pairs.csv", "--quiet"});
  fs::rename(home() / "pairs.csv", home() / "disk" / "pairs.csv");
  fs::create_symlink("disk/pairs.csv", home() / "pairs.csv");
  must_run({"associate", "data", "--by", "lift", "--out", "pairs.csv", "--quiet"});
  EXPECT_TRUE(fs::is_symlink(home() / "pairs.csv"));
  fs::remove(home() / "disk" / "pairs.csv");
  expect_failure({"associate", "data", "--by", "lift", "--out", "pairs.csv"}, 2,
                 "is a symbolic link that leads nowhere");
}

TEST_F(FoldersTest, AnEmptyOutIsRefused) {
  for (const Words& words : {Words{"--out", ""}, Words{"--out="}}) {
    Words demo{"demo"};
    demo.insert(demo.end(), words.begin(), words.end());
    const Finished finished = run(demo);
    EXPECT_EQ(finished.code, 2) << finished.err;
    EXPECT_TRUE(has(finished.err, "--out")) << finished.err;
  }
  EXPECT_EQ(top(), (Words{"shop.csv", "shop.toml"}));
}

TEST_F(FoldersTest, OtherWritersOfTheSamePlaceAreRefusedAtTheirStart) {
  prepare();
  test::Process first(test::program_path(), kEndless, home());
  ASSERT_TRUE(first.wait_for("epoch"));
  for (int n = 2; n <= 3; ++n) {
    expect_failure(kEndless, 3, "cannot make folder model: another process is writing it");
  }
  first.signal(SIGINT);
  EXPECT_EQ(first.finish().code, 5);
  EXPECT_EQ(top(), (Words{"data", "shop.csv", "shop.toml"}));
  train();
}

// However many start at once, one result is there in the end, whole, and each command knows whether it is its own.
TEST_F(FoldersTest, ThreeWritersAtOnce) {
  std::vector<std::unique_ptr<test::Process>> writers;
  for (int n = 0; n < 3; ++n) {
    writers.push_back(std::make_unique<test::Process>(
        test::program_path(), Words{"import", "shop.csv", "--config", "shop.toml", "--out", "data"}, home()));
  }
  int done = 0;
  for (const auto& writer : writers) {
    const Finished finished = writer->finish();
    EXPECT_TRUE(finished.code == 0 || (finished.code == 3 && has(finished.err, "another process is writing it")))
        << finished.code << finished.err;
    done += finished.code == 0 ? 1 : 0;
  }
  EXPECT_GE(done, 1);
  EXPECT_EQ(top(), (Words{"data", "shop.csv", "shop.toml"}));
  train();
}

TEST_F(FoldersTest, AClosedTerminalEndsTheWorkAndLeavesNothing) {
  prepare();
  const auto before = names();
  test::Process process(test::program_path(), kEndless, home());
  ASSERT_TRUE(process.wait_for("epoch"));
  process.signal(SIGHUP);
  const Finished finished = process.finish();
  EXPECT_EQ(finished.code, 5) << finished.err;
  EXPECT_TRUE(has(finished.err, "interrupted during training")) << finished.err;
  EXPECT_EQ(names(), before);
}

TEST_F(FoldersTest, UnderNohupItGoesOn) {
  prepare();
  Words words{"-c", "trap '' HUP; exec \"$0\" \"$@\"", test::program_path()};
  words.insert(words.end(), {"train", "data", "--out", "model", "--set", "model.preference=factorization", "--set",
                             "model.epochs=40", "--set", "model.patience=0"});
  test::Process process("/bin/sh", words, home());
  ASSERT_TRUE(process.wait_for("epoch"));
  process.signal(SIGHUP);
  EXPECT_EQ(process.finish().code, 0);
  EXPECT_TRUE(fs::exists(home() / "model" / "manifest.json"));
}

TEST_F(FoldersTest, TheNextCommandClearsUpAfterAKill) {
  prepare();
  train();
  const std::string former = read("model/manifest.json");
  test::Process process(test::program_path(), kEndless, home());
  ASSERT_TRUE(process.wait_for("epoch"));
  process.signal(SIGKILL);
  EXPECT_EQ(process.finish().code, 128 + SIGKILL);
  EXPECT_EQ(top().size(), 6u);  // a lock file and a partial folder
  EXPECT_EQ(read("model/manifest.json"), former);
  const Finished next = must_run({"train", "data", "--out", "model", "--set", "model.epochs=1", "--quiet"});
  EXPECT_EQ(next.err, "note: removed what a run that was killed had left beside model\n");
  EXPECT_EQ(top(), (Words{"data", "model", "shop.csv", "shop.toml"}));
}

TEST_F(FoldersTest, ManifestsDoNotDependOnTheNumberOfThreads) {
  prepare();
  const auto tree = [&](const std::string& threads) {
    const Words more{"--set", "run.threads=" + threads, "--quiet"};
    const auto run_in = [&](Words words) {
      words.insert(words.end(), more.begin(), more.end());
      must_run(words);
    };
    run_in({"train", "data", "--out", "model", "--set", "model.epochs=2", "--set", "model.dim=8"});
    run_in(small({"score", "data", "--model", "model", "--out", "scores"}));
    run_in(small({"search", "data", "--model", "model", "--out", "bundles"}));
    auto files = test::read_tree(home());
    EXPECT_FALSE(has(files["model/manifest.json"], "threads"));
    EXPECT_TRUE(has(files["model/manifest.json"], "seed = 1"));
    return files;
  };
  const auto one = tree("1"), three = tree("3");
  ASSERT_EQ(one.size(), three.size());
  for (const auto& [name, bytes] : one) EXPECT_TRUE(three.at(name) == bytes) << name;
}

}  // namespace
}  // namespace sheaf
