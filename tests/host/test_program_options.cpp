// The options of every command: each is heeded or refused, and what they were called before.

#include <map>
#include <set>
#include <sstream>

#include "tests/host/program_test.hpp"

namespace sheaf {
namespace {

using Words = std::vector<std::string>;

/// The options of a command, each with the uses in which it would change nothing. The program refuses those.
using OptionUses = std::map<std::string, std::vector<Words>>;

const std::set<std::string> kCommonOptions{"--json", "--quiet", "--device", "--seed", "--set", "--settings"};
constexpr size_t kMaxOptions = 10;

const std::map<std::string, OptionUses>& option_uses() {
  static const std::map<std::string, OptionUses> uses{
      {"demo", {{"--out", {}}}},
      {"import", {{"--config", {}}, {"--out", {}}}},
      {"train", {{"--out", {}}, {"--resume", {}}, {"--checkpoint-seconds", {}}}},
      {"tune", {{"--space", {}}, {"--out", {}}, {"--trials", {}}, {"--rounds", {}}, {"--parallel", {}}}},
      {"associate",
       {{"--model", {{"data", "--by", "lift", "--model", "model"}}},
        {"--out", {}},
        {"--item", {}},
        {"--by", {}},
        {"--k", {}},
        {"--min-score", {}},
        {"--min-count", {{"data", "--by", "cosine", "--model", "model", "--min-count", "2"}}},
        {"--category-rule", {}},
        {"--symmetric", {}}}},
      {"search",
       {{"--model", {{"data", "--like", "given.csv", "--out", "o", "--model", "model"}}},
        {"--out",
         {{"data", "--model", "model", "--item", "p1", "--out", "o"},
          {"data", "--model", "model", "--together", "--out", "o"},
          {"data", "--model", "model", "--user", "c1", "--front", "--out", "o"},
          {"data", "--model", "model", "--user", "c1", "--write-problem", "p.toml", "--out", "o"}}},
        {"--user", {{"data", "--like", "given.csv", "--out", "o", "--user", "c1"}}},
        {"--users", {{"data", "--like", "given.csv", "--out", "o", "--users", "users.txt"}}},
        {"--item", {{"data", "--like", "given.csv", "--out", "o", "--item", "p1"}}},
        {"--together",
         {{"data", "--like", "given.csv", "--out", "o", "--together"},
          {"data", "--model", "model", "--item", "p1", "--together"}}},
        {"--bound",
         {{"data", "--like", "given.csv", "--out", "o", "--bound"},
          {"data", "--model", "model", "--user", "c1", "--bound"},
          {"data", "--model", "model", "--item", "p1", "--bound"},
          {"data", "--model", "model", "--together", "--bound"},
          {"data", "--model", "model", "--user", "c1", "--front", "--bound"},
          {"data", "--model", "model", "--user", "c1", "--write-problem", "p.toml", "--bound"}}},
        {"--like", {}},
        {"--write-problem",
         {{"data", "--like", "given.csv", "--out", "o", "--write-problem", "p.toml"},
          {"data", "--model", "model", "--write-problem", "p.toml"}}},
        {"--front",
         {{"data", "--like", "given.csv", "--out", "o", "--front"}, {"data", "--model", "model", "--front"}}}}},
      {"solve",
       {{"--format", {{"problem.toml", "--front", "--format", "qkp"}}},
        {"--method", {{"problem.toml", "--front", "--method", "portfolio"}}},
        {"--time-limit", {{"problem.toml", "--front", "--time-limit", "0"}}},
        {"--maximize",
         {{"problem.toml", "--maximize"},
          {"problem.toml", "--format", "qkp", "--maximize"},
          {"problem.toml", "--front", "--maximize"}}},
        {"--no-bound",
         {{"problem.toml", "--front", "--no-bound"}, {"problem.toml", "--method", "exact", "--no-bound"}}},
        {"--front", {{"problem.toml", "--format", "qubo", "--front"}}},
        {"--population", {{"problem.toml", "--population", "128"}}},
        {"--generations", {{"problem.toml", "--generations", "200"}}}}},
      {"mine", {{"--top", {{"sales.txt", "--top", "0"}}}}},
      {"complete",
       {{"--model",
         {{"data", "--items", "p1", "--model", "model"}, {"data", "--file", "given.csv", "--model", "model"}}},
        {"--items", {{"data", "--file", "given.csv", "--items", "p1"}}},
        {"--user", {{"data", "--file", "given.csv", "--user", "c1"}, {"data", "--items", "p1", "--user", "c1"}}},
        {"--size", {{"data", "--file", "given.csv", "--size", "4"}}},
        {"--k", {{"data", "--items", "p1", "--size", "4", "--k", "10"}}},
        {"--like", {}},
        {"--file", {{"data", "--items", "p1", "--file", "given.csv"}}}}},
      {"score", {{"--model", {}}, {"--out", {}}, {"--user", {}}, {"--users", {}}}},
      {"evaluate", {{"--model", {}}, {"--out", {}}}},
      {"devices", {{"--no-measure", {}}}},
      {"config", {}},
      {"bench",
       {{"--suite", {}},
        {"--filter", {}},
        {"--out", {{"--list", "--out", "bench.json"}}},
        {"--markdown", {{"--list", "--markdown", "bench.md"}}},
        {"--list", {}}}},
  };
  return uses;
}

/// The first word of each line of `text` that begins with two blanks and `start`, as of a list in a help text.
std::set<std::string> listed(const std::string& text, const std::string& start) {
  std::set<std::string> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("  " + start) && line.size() > 2 && line[2] != ' ') {
      found.insert(line.substr(2, line.find_first_of(" ,=", 2) - 2));
    }
  }
  return found;
}

// A setting that the subcommand does not heed is refused, not forgotten.
TEST_F(ProgramTest, SettingsWithoutEffectAreRefused) {
  write_bytes(home() / "problem.toml", "linear = [3, 1, 2]\nmax_size = 2\n");
  const auto refused = [&](std::vector<std::string> words, const std::string& setting) {
    words.insert(words.end(), {"--set", setting});
    expect_failure(words, 2, "--set " + setting + " has no effect here");
  };
  refused({"solve", "problem.toml"}, "search.budget=5");
  refused({"solve", "problem.toml", "--front"}, "search.islands=2");
  refused({"mine", "problem.toml"}, "search.budget=5");
  refused({"import", "shop.csv", "--config", "shop.toml", "--out", "d"}, "model.dim=8");
  refused({"devices"}, "search.budget = 5");
  must_run({"solve", "problem.toml", "--set", "search.islands=2", "--set", "run.seed = 3"});
  // A settings file may serve several subcommands.
  write_bytes(home() / "settings.toml", "[search]\nbudget = 5.0\n");
  must_run({"solve", "problem.toml", "--settings", "settings.toml"});
  expect_failure({"solve", "problem.toml", "--set", "search.buget=5"}, 2, "did you mean 'search.budget'?");
}

TEST_F(ProgramTest, EveryOptionIsHeededOrRefused) {
  prepare_model();
  write_bytes(home() / "problem.toml", "linear = [1, 2]\n");
  write_bytes(home() / "given.csv", "bundle,item\n1,p1\n1,p2\n");
  const std::string help = must_run({"--help"}).out;
  std::set<std::string> verbs;
  for (const auto& [verb, options] : option_uses()) {
    verbs.insert(verb);
    std::set<std::string> own = listed(must_run({verb, "--help"}).out, "--");
    for (const std::string& common : kCommonOptions) EXPECT_EQ(own.erase(common), 1u) << verb << " lacks " << common;
    EXPECT_LE(own.size(), kMaxOptions) << verb;
    std::set<std::string> known;
    for (const auto& [option, refused] : options) {
      known.insert(option);
      for (Words words : refused) {
        words.insert(words.begin(), verb);
        SCOPED_TRACE(::testing::PrintToString(words));
        expect_failure(words, 2, option);
      }
    }
    EXPECT_EQ(own, known) << verb << ": the table of this test has other options than the program";
  }
  EXPECT_EQ(listed(help.substr(help.find("Subcommands:")), ""), verbs);
}

TEST_F(ProgramTest, AnEmptyValueIsNoMissingOption) {
  for (const char* option : {"--item", "--users", "--like", "--write-problem", "--out"}) {
    expect_failure({"search", "data", "--model", "model", option, ""}, 2, std::string(option) + " is given, but");
  }
  expect_failure({"solve", ""}, 2, "FILE is given, but its value is empty");
}

TEST_F(ProgramTest, UserNamesAUserInEveryCommand) {
  // The word after the id is not one more user.
  expect_failure({"search", "--user", "c1", "none", "--model", "model", "--out", "o"}, 3, "none");
  expect_failure({"score", "--user", "c1", "none", "--model", "model", "--out", "o"}, 3, "none");
  expect_failure({"search", "data", "--model", "model", "--user", "c1", "--user", "c2", "--front"}, 2, "--together");
  expect_failure({"search", "data", "--model", "model", "--users", "u.txt", "--item", "p1"}, 2, "--together");
}

TEST_F(ProgramTest, FormerSpellingsNameTheNewOnes) {
  struct Former {
    Words words;
    std::string what, mend;
  };
  const std::vector<Former> all{
      {{"search", "--problem", "tea.toml"}, "--problem is gone", "use sheaf solve tea.toml\n"},
      {{"search", "--problem=tea.toml", "--method", "exact"}, "--problem is gone", "use sheaf solve tea.toml\n"},
      {{"search", "--problem", "my tea.toml", "--pareto"},
       "--problem is gone",
       "use sheaf solve 'my tea.toml' --front"},
      {{"search", "--problem", "sales.txt", "--format", "utility"}, "--problem is gone", "use sheaf mine sales.txt\n"},
      {{"search", "data", "--format=utility"}, "--format utility is gone", "use sheaf mine FILE\n"},
      {{"search", "data", "--pareto"}, "it is called --front now", "use --front"},
      {{"solve", "front.toml", "--pareto"}, "it is called --front now", "use --front"},
      {{"solve", "--problem", "tea.toml"}, "the file is named without it", "use sheaf solve tea.toml\n"},
      {{"search", "data", "--time-limit", "3"},
       "--time-limit is an option of sheaf solve",
       "sheaf solve FILE --time-l"},
      {{"search", "data", "--population", "3"}, "--population is an option of sheaf solve", "sheaf solve FILE --pop"},
      {{"search", "data", "--top", "3"}, "--top is an option of sheaf mine", "use sheaf mine FILE --top"}};
  for (const Former& former : all) {
    SCOPED_TRACE(::testing::PrintToString(former.words));
    expect_failure(former.words, 2, "sheaf " + former.words[0] + ": --");
    expect_failure(former.words, 2, former.what);
    expect_failure(former.words, 2, former.mend);
    EXPECT_EQ(std::ranges::count(run(former.words).err, '\n'), 2);
  }
}

}  // namespace
}  // namespace sheaf
