// Too little memory, and signals while the program waits: every run ends soon, with a documented code and one message.

#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>

#include "tests/host/program_test.hpp"

namespace sheaf {
namespace {

using Words = std::vector<std::string>;

constexpr bool kLimitsAddressSpace = !kUnderSanitizer;  // a sanitizer maps more than any limit

class LimitsTest : public ProgramTest {
 protected:
  /// The program on two threads under `ulimit -v` of so many KiB. A run that hangs ends with 137.
  Finished run_within(int64_t kib, Words words) const {
    words.insert(
        words.begin(),
        {"-c", "ulimit -v " + std::to_string(kib) + "; OMP_NUM_THREADS=2 exec timeout -s KILL 60 \"$0\" \"$@\"",
         test::program_path()});
    return test::Process("/bin/bash", words, home()).finish();
  }
  /// Where the program itself finds room to start.
  int64_t least_kib() const {
    int64_t kib = 16 << 10;
    while (run_within(kib, {"--version"}).code != 0) kib += 2 << 10;
    return kib;
  }
  /// Two baskets of the same `n` items, and small ones of two items by others.
  void write_large_baskets(int n) const {
    std::string csv = "u,b,i,t\n";
    for (int basket = 0; basket < 2; ++basket) {
      for (int item = 0; item < n; ++item) {
        csv += "big,large" + std::to_string(basket) + ",p" + std::to_string(item) + ",2024-01-01\n";
      }
    }
    for (int day = 1; day <= 28; ++day) {
      for (int item = 0; item < 2; ++item) {
        csv += "v" + std::to_string(day % 4) + ",s" + std::to_string(day) + ",p" + std::to_string(day % 7 + item) +
               fmt_day(day);
      }
    }
    write_bytes(home() / "large.csv", csv);
    write_bytes(home() / "large.toml", R"([columns]
user = "u"
basket = "b"
item = "i"
timestamp = "t"
[timestamp]
format = "%Y-%m-%d"
[split]
kind = "temporal"
validation_days = 0
test_days = 5
)");
    must_run({"import", "large.csv", "--config", "large.toml", "--out", "large"});
  }

 private:
  static std::string fmt_day(int day) {
    return std::string(",2024-01-") + (day < 10 ? "0" : "") + std::to_string(day) + "\n";
  }
};

TEST_F(LimitsTest, WithAnyLimitOfMemoryEveryRunEndsWithACodeAndAMessage) {
  if (!kLimitsAddressSpace) GTEST_SKIP() << "a sanitizer's build does not run with little address space";
  prepare_model();
  const auto before = names();
  const std::vector<std::pair<Words, std::string>> commands{
      {{"import", "shop.csv", "--config", "shop.toml", "--out", "o", "--quiet"}, "import"},
      {{"train", "data", "--out", "o", "--quiet", "--set", "model.dim=8", "--set", "model.epochs=2"}, "train"},
      // Its products are OpenBLAS's, which needs a large buffer for each thread.
      {{"train", "data", "--out", "o", "--quiet", "--set", "model.preference=ease"}, "train"},
      {{"score", "data", "--model", "model", "--out", "o", "--quiet"}, "score"}};
  const int64_t least = least_kib();
  const Finished too_little = run_within(least - (20 << 10), commands.front().first);
  EXPECT_EQ(too_little.code, 4);
  EXPECT_TRUE(has(too_little.err, "sheaf: no room for a buffer of 128 MiB\n")) << too_little.err;
  bool fails = false;
  for (const auto& [command, name] : commands) {
    bool works = false;
    // Close steps where little is mapped yet, wider ones above.
    for (int64_t kib = least; kib <= least + (int64_t{768} << 10);
         kib += kib < least + (40 << 10) ? 3 << 10 : 60 << 10) {
      const Finished finished = run_within(kib, command);
      SCOPED_TRACE(name + " within " + std::to_string(kib) + " KiB: " + finished.err);
      ASSERT_TRUE(finished.code == 0 || finished.code == 4) << finished.code;
      if (finished.code == 0) {
        works = true;
        EXPECT_EQ(finished.err, "");
        fs::remove_all(home() / "o");
      } else {
        fails = true;
        EXPECT_EQ(finished.err.find("sheaf " + name + ": "), 0u);
        EXPECT_EQ(std::ranges::count(finished.err, '\n'), 2) << "what is wrong, and what to do";
      }
      ASSERT_EQ(names(), before) << "something was left behind";
    }
    EXPECT_TRUE(works) << name << ": the limits are about what it needs";
  }
  EXPECT_TRUE(fails) << "the limits are about what is needed";
}

TEST_F(LimitsTest, PairsOfLargeBasketsAreNotAllInMemory) {
  write_large_baskets(5000);  // 25 million pairs, 400 MB if they were all there, twice
  const Words command{"associate", "large", "--by", "lift", "--k", "3", "--out"};
  const auto with = [&](Words more) {
    more.insert(more.begin(), command.begin(), command.end());
    return more;
  };
  must_run(with({"free.csv"}));
  if (kLimitsAddressSpace) {
    const Finished finished = run_within(int64_t{480} << 10, with({"bound.csv"}));
    EXPECT_EQ(finished.code, 0) << finished.err;
    EXPECT_EQ(read("bound.csv"), read("free.csv"));
  }
  EXPECT_EQ(std::ranges::count(read("free.csv"), '\n'), 1 + 5000 * 3);
}

TEST_F(LimitsTest, WhatAllPairsNeedIsSaidBeforeItIsTaken) {
  if (!kLimitsAddressSpace) GTEST_SKIP() << "a sanitizer's build does not run with little address space";
  write_large_baskets(5000);
  must_run({"train", "large", "--out", "m", "--set", "model.preference=personal", "--quiet"});
  const Words search{"search",  "large",
                     "--model", "m",
                     "--out",   "o",
                     "--set",   "search.objective=affinity",
                     "--set",   "search.substitutes=allow"};
  const Finished finished = run_within(int64_t{400} << 10, search);
  EXPECT_EQ(finished.code, 4);
  EXPECT_TRUE(has(finished.err, "pairs of items that are together in 2 or more baskets need 381 MiB of memory, and "))
      << finished.err;
  EXPECT_TRUE(has(finished.err, "raise associate.min_count (now 2)")) << finished.err;
  EXPECT_FALSE(fs::exists(home() / "o"));
}

/// The program, ended by a SIGTERM while it waits: again, and later, until it says so, for a busy machine starts
/// programs slowly. One that does not hear it is killed, with code 137.
Finished stopped(const Words& words, const fs::path& folder, const std::string& message,
                 const std::string& out_file = {}) {
  Words timed{"-s", "KILL", "40", test::program_path()};
  timed.insert(timed.end(), words.begin(), words.end());
  Finished finished;
  for (std::chrono::milliseconds wait{400}; !has(finished.err, message) && wait.count() < 12'000; wait *= 3) {
    test::Process process("/usr/bin/timeout", timed, folder, out_file);
    std::this_thread::sleep_for(wait);
    process.signal(SIGTERM);  // timeout hands it on, twice: to the program, and to the group that it is in
    finished = process.finish();
  }
  return finished;
}

TEST_F(LimitsTest, AResultThatNobodyReadsDoesNotHoldTheProgram) {
  ASSERT_EQ(::mkfifo((home() / "pipe").c_str(), 0600), 0);
  const int pipe = ::open((home() / "pipe").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(pipe, 0);
  ASSERT_GE(::fcntl(pipe, F_SETPIPE_SZ, 4096), 4096);  // less than the result
  const std::string message = "interrupted during the writing of the result, which nobody reads";
  const Finished finished = stopped({"config"}, home(), message, (home() / "pipe").string());
  EXPECT_EQ(finished.code, 5) << finished.err;
  EXPECT_TRUE(has(finished.err, message)) << finished.err;
  ::close(pipe);
}

TEST_F(LimitsTest, InputThatNeverComesDoesNotHoldTheProgram) {
  ASSERT_EQ(::mkfifo((home() / "pipe").c_str(), 0600), 0);
  for (const bool has_writer : {false, true}) {
    const int writer = has_writer ? ::open((home() / "pipe").c_str(), O_RDWR | O_CLOEXEC) : -1;
    const Finished finished =
        stopped({"import", "pipe", "--config", "shop.toml", "--out", "o"}, home(), "interrupted during");
    EXPECT_EQ(finished.code, 5) << finished.err;
    EXPECT_TRUE(has(finished.err, "interrupted during")) << finished.err;
    EXPECT_FALSE(fs::exists(home() / "o"));
    if (has_writer) ::close(writer);
  }
}

}  // namespace
}  // namespace sheaf
