// What a caller does with the standard streams and with paths: closed pipes, full disks, closed streams, places where
// nothing can be written, the same name twice.

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/host/program_test.hpp"

namespace sheaf {
namespace {

using Words = std::vector<std::string>;

class StreamsTest : public ProgramTest {
 protected:
  /// The program in a shell, its words in "$@".
  Finished in_shell(const std::string& script, Words words) const {
    words.insert(words.begin(), {"-c", script, test::program_path()});
    return test::Process("/bin/bash", words, home()).finish();
  }
  /// Fails unless the command is refused before its work, which takes minutes, and leaves nothing.
  void expect_early_failure(const Words& words, int code, const std::string& message) const {
    SCOPED_TRACE(::testing::PrintToString(words));
    const auto before = names();
    const Finished finished = in_shell("exec timeout 20 \"$0\" \"$@\"", words);
    EXPECT_EQ(finished.code, code) << finished.err;
    EXPECT_TRUE(has(finished.err, message)) << "expected: " << message << "\nfound: " << finished.err;
    EXPECT_FALSE(has(finished.err, "epoch")) << finished.err;
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(names(), before) << "something was left behind";
  }
};

const Words kTrain{"train",       "data",  "--out",           "m",     "--set",
                   "model.dim=8", "--set", "model.epochs=30", "--set", "model.validate_every=1"};

// Names and ids come from other people's files: they cannot steer the terminal that shows them, and as JSON they are
// what they were.
TEST_F(StreamsTest, NamesDoNotSteerTheTerminal) {
  const std::string evil =
      "\x1b]0;owned\x07 tea \xc2\x9b"
      "31m\xe2\x80\xae";
  std::string csv = corner_shop();
  for (size_t at = 0; (at = csv.find("Product, no. 1\"", at)) != std::string::npos;) csv.replace(at, 14, evil);
  write_bytes(home() / "shop.csv", csv);
  prepare();
  const Words search{"associate", "data", "--by", "lift", "--item", "p1"};
  const Finished text = must_run(search);
  EXPECT_TRUE(has(text.out, "\\u001b]0;owned\\u0007 tea \\u009b31m\\u202e")) << text.out;
  Words as_json = search;
  as_json.push_back("--json");
  const Finished printed = must_run(as_json);
  EXPECT_EQ(nlohmann::json::parse(printed.out)["item_name"], evil) << printed.out;
  const Finished error = run({"associate", "data", "--by", "lift", "--item", "\x1b[2J"});
  EXPECT_EQ(error.code, 3);
  for (const std::string& out : {text.out, printed.out, error.err}) {
    EXPECT_EQ(out.find('\x1b'), std::string::npos) << out;
    EXPECT_EQ(out.find("\xc2\x9b"), std::string::npos) << out;
  }
}

TEST_F(StreamsTest, AStderrThatCannotBeWrittenChangesNothing) {
  prepare();
  for (const char* script : {"\"$0\" \"$@\" 2>/dev/full", "\"$0\" \"$@\" 2>&-",
                             "\"$0\" \"$@\" 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}"}) {
    SCOPED_TRACE(script);
    EXPECT_EQ(in_shell(script, kTrain).code, 0);
    EXPECT_TRUE(fs::exists(home() / "m" / "manifest.json"));
    must_run({"evaluate", "data", "--model", "m", "--quiet"});  // no message is in its files
    fs::remove_all(home() / "m");
    EXPECT_EQ(in_shell(script, {"train", "none", "--out", "m"}).code, 3);
    EXPECT_EQ(in_shell(script, {"train", "data", "--out", "shop.csv"}).code, 2);
    EXPECT_EQ(in_shell(script, {"trian"}).code, 2);
  }
}

TEST_F(StreamsTest, AResultThatCannotBeWrittenIsAnErrorThatSaysWhy) {
  for (const Words& words :
       {Words{"config"}, Words{"config", "--json"}, Words{"--help"}, Words{"train", "--help"}, Words{"--version"}}) {
    SCOPED_TRACE(::testing::PrintToString(words));
    const Finished full = in_shell("\"$0\" \"$@\" >/dev/full", words);
    EXPECT_EQ(full.code, 3);
    EXPECT_TRUE(has(full.err, "cannot write to the standard output: No space left")) << full.err;
    EXPECT_TRUE(has(full.err, "free some space")) << full.err;
    const Finished closed = in_shell("\"$0\" \"$@\" >&-", words);
    EXPECT_EQ(closed.code, 3);
    EXPECT_TRUE(has(closed.err, "cannot write to the standard output: it is closed")) << closed.err;
    const Finished pipe = in_shell("(sleep 0.2; \"$0\" \"$@\") | true; exit ${PIPESTATUS[0]}", words);
    EXPECT_EQ(pipe.code, 3);
    EXPECT_TRUE(has(pipe.err, "cannot write to the standard output: the reader closed the pipe")) << pipe.err;
    EXPECT_FALSE(has(pipe.err, "space")) << pipe.err;
  }
}

/// Every command that writes, each with its work made too long to wait for.
TEST_F(StreamsTest, ThePlaceOfTheOutputIsCheckedBeforeTheWork) {
  prepare_model();
  must_run({"associate", "data", "--by", "lift", "--out", "pairs", "--quiet"});
  fs::create_directory(home() / "empty");
  write_bytes(home() / "given.csv", "bundle,item\n1,p1\n1,p2\n");
  const Words long_search{"--set", "search.rounds=100000", "--set", "search.iterations=100000"};
  const auto with = [](Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const std::vector<Words> commands{{"train", "data", "--set", "model.preference=factorization", "--set",
                                     "model.epochs=1000000", "--set", "model.patience=0", "--out"},
                                    with(with({"search", "data", "--model", "model"}, long_search), {"--out"}),
                                    with(with({"search", "data", "--like", "given.csv"}, long_search), {"--out"}),
                                    with(with({"score", "data", "--model", "model"}, long_search), {"--out"}),
                                    with(with({"evaluate", "data", "--model", "model"}, long_search), {"--out"}),
                                    with(with({"demo"}, long_search), {"--set", "model.preference=factorization",
                                                                       "--set", "model.epochs=1000000", "--out"}),
                                    {"import", "shop.csv", "--config", "shop.toml", "--out"},
                                    {"associate", "data", "--by", "lift", "--out"}};
  const std::string too_long(250, 'x');
  for (const Words& command : commands) {
    expect_early_failure(with(command, {"missing/o"}), 3, "cannot make folder missing/o: No such file");
    expect_early_failure(with(command, {"shop.csv/o"}), 3, "cannot make folder shop.csv/o: Not a directory");
    expect_early_failure(with(command, {too_long}), 3, "File name too long");
    expect_early_failure(with(command, {"/proc/o"}), 3, "cannot make folder /proc/o");
    expect_early_failure(with(command, {"shop.toml"}), 2, "exists and is not a folder");
    expect_early_failure(with(command, {command[0] == "associate" ? "data" : "pairs"}), 2, "holds kind");
    expect_early_failure(with(command, {"empty/."}), 2, "names no folder of its own");
    expect_early_failure(with(command, {""}), 2, "--out is given, but its value is empty");
    expect_early_failure(with(command, {"-"}), 2, "--out is -");
  }
  const std::vector<Words> files{
      {"associate", "data", "--by", "lift", "--out"},
      with(with({"search", "data", "--model", "model", "--item", "p1"}, long_search), {"--front", "--write-problem"})};
  fs::create_directory(home() / "folder.csv");
  fs::create_symlink("/dev/null", home() / "null.csv");
  for (const Words& command : files) {
    expect_early_failure(with(command, {"missing/o.csv"}), 3, "cannot write missing/o.csv: No such file");
    expect_early_failure(with(command, {"/proc/o.csv"}), 3, "cannot write /proc/o.csv");
    expect_early_failure(with(command, {"folder.csv"}), 2, "is a folder");
    expect_early_failure(with(command, {"null.csv"}), 2, "is no plain file");
    expect_early_failure(with(command, {"shop.csv"}), 2, "shop.csv exists and is no earlier result of this kind");
  }
  // An earlier result is replaced.
  for (int twice = 0; twice < 2; ++twice) {
    must_run({"associate", "data", "--by", "lift", "--out", "pairs.csv", "--quiet"});
    must_run({"search", "data", "--model", "model", "--item", "p1", "--write-problem", "p.toml"});
    must_run({"search", "data", "--model", "model", "--item", "p1", "--front", "--write-problem", "p.toml"});
  }
}

TEST_F(StreamsTest, AUserWhoIsNamedTwiceIsNamedOnce) {
  prepare_model();
  write_bytes(home() / "users.txt",
              "\xef\xbb\xbf"
              "c3\r\n c4\t\nc3\n\nc5\n");
  const auto users = [&](Words words) {
    words.insert(words.end(), {"--model", "model", "--json", "--quiet", "--out", words[0] + "ed"});
    std::vector<std::string> found;
    std::istringstream lines(must_run(small(words)).out);
    for (std::string line; std::getline(lines, line);) found.push_back(nlohmann::json::parse(line)["user"]);
    return found;
  };
  for (const char* command : {"search", "score"}) {
    EXPECT_EQ(users({command, "data", "--user", "c4", "--user", "c3", "--user", "c4"}), (Words{"c4", "c3"}));
    EXPECT_EQ(users({command, "data", "--users", "users.txt"}), (Words{"c3", "c4", "c5"}));
    EXPECT_EQ(users({command, "data", "--users", "users.txt", "--user", "c4"}), (Words{"c4", "c3", "c5"}));
    // Two bundles of one user would be two uses of an item.
    EXPECT_EQ(users({command, "data", "--user", "c3", "--user", "c3", "--set", "search.max_uses=1"}), (Words{"c3"}));
  }
  // One user has the answer on stdout, and the segment of a user named twice is the user's.
  const Words one{"search", "data", "--model", "model", "--user", "c3"};
  const std::string answer = must_run(one).out;
  EXPECT_EQ(must_run({"search", "data", "--model", "model", "--user", "c3", "--user", "c3"}).out, answer);
  EXPECT_EQ(must_run({"search", "data", "--model", "model", "--user", "c3", "--user", "c3", "--together"}).out, answer);
  must_run({"complete", "data", "--items", "p1", "--model", "model", "--user", "c3", "--user", "c3"});
  expect_failure({"complete", "data", "--items", "p1", "--model", "model", "--user", "c3", "--user", "c4"}, 2,
                 "--user");
}

TEST_F(StreamsTest, AnItemThatIsNamedTwiceIsNamedOnce) {
  prepare_model();
  const auto out = [&](const Words& more) {
    Words words{"search", "data", "--model", "model", "--together"};
    words.insert(words.end(), more.begin(), more.end());
    return must_run(words).out;
  };
  EXPECT_EQ(out({"--set", "search.must_have=p3,p3,p3,p3,p3"}), out({"--set", "search.must_have=p3"}));
  EXPECT_EQ(out({"--set", "search.forbidden=p3,p3"}), out({"--set", "search.forbidden=p3"}));
  EXPECT_EQ(out({"--set", "search.categories=aisle 1,aisle 1"}), out({"--set", "search.categories=aisle 1"}));
  EXPECT_EQ(must_run({"complete", "data", "--items", "p1,p1", "--items", "p1"}).out,
            must_run({"complete", "data", "--items", "p1"}).out);
}

TEST_F(StreamsTest, ADashIsNoPath) {
  for (const Words& words :
       {Words{"solve", "-"}, Words{"mine", "-"}, Words{"import", "-", "--config", "shop.toml", "--out", "o"},
        Words{"import", "shop.csv", "--config", "-", "--out", "o"}, Words{"config", "--settings", "-"},
        Words{"score", "data", "--model", "model", "--out", "o", "--users", "-"},
        Words{"complete", "data", "--file", "-"}, Words{"complete", "data", "--items", "p1", "--like", "-"}}) {
    SCOPED_TRACE(::testing::PrintToString(words));
    expect_failure(words, 2, " is -, which is no path here");
    expect_failure(words, 2, "/dev/stdin is the standard input");
  }
  for (const Words& words : {Words{"train", "-", "--out", "o"}, Words{"evaluate", "data", "--model", "-"}}) {
    expect_failure(words, 2, " is -, which is no path here");
  }
  const Finished piped = in_shell("echo 'linear = [1, 2]' | \"$0\" \"$@\"", {"solve", "/dev/stdin"});
  EXPECT_EQ(piped.code, 0) << piped.err;
  EXPECT_TRUE(has(piped.out, "value     3\n")) << piped.out;
}

TEST_F(StreamsTest, WholeNumbersAreNamedShortly) {
  write_bytes(home() / "sales.txt", "1 2:3:1 2\n");
  for (const char* value : {"0", "-3", "1.5", "x", "99999999999999999999"}) {
    const std::string what = std::string(value) + " is no whole number of 1 or more";
    for (const Words& words :
         {Words{"mine", "sales.txt", "--top", value}, Words{"complete", "data", "--items", "p1", "--k", value},
          Words{"complete", "data", "--items", "p1", "--size", value}}) {
      expect_failure(words, 2, what);
      EXPECT_LT(run(words).err.size(), 150u);
    }
  }
  for (const char* seed : {"-1", "1.5", "x", "18446744073709551615"}) {
    expect_failure({"config", "--seed", seed}, 2, std::string("--seed: ") + seed + " is no whole number of 0 or more");
  }
  EXPECT_TRUE(has(must_run({"config", "--seed", "9223372036854775807"}).out, "seed = 9223372036854775807"));
}

}  // namespace
}  // namespace sheaf
