// Bundle problems from files, through the reader and through the program.

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "host/problems/problem_file.hpp"
#include "host/problems/utility_file.hpp"
#include "host/problems/write_problem.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/paths.hpp"
#include "tests/common/process.hpp"
#include "tests/common/temp_folder.hpp"

namespace sheaf::problem_file_test {
namespace {

using problems::ProblemFormat;

constexpr const char* kQkp = "3\n1 2 4\n8 0\n16\n5\n2 3 9\n";  // 0 and 1 fit: 1 + 2 + 8
constexpr const char* kQubo = "3 4\n1 1 -2\n2 2 -3\n1 2 4\n3 3 1\n";
constexpr const char* kToml = R"(linear = [1, 2.5, 4]
names = ["tea", "milk", "cup"]
pairs = [[0, 1, 8], [2, 1, 16]]
min_size = 1
max_size = 2
category = [0, 0, 1]
forbidden_pairs = [[2, 1]]
[[limit]]
name = "price"
weights = [2, 3, 9]
upper = 12
[[category_range]]
category = 1
min = 0
max = 1
)";

class ProblemFileTest : public ::testing::Test {
 protected:
  std::filesystem::path file(const std::string& text) const {
    test::write_bytes(folder_.path() / "problem", text);
    return folder_.path() / "problem";
  }
  problems::ProblemFile read(const std::string& text, ProblemFormat format, bool maximize = false) const {
    return problems::read_problem(file(text), format, maximize);
  }
  /// What the reader says of a bad file, with its mend.
  std::string refusal(const std::string& text, ProblemFormat format) const {
    try {
      read(text, format);
    } catch (const DataError& error) {
      return std::string(error.what()) + " | " + error.hint();
    }
    return "accepted";
  }
  void expect_refused(const std::string& text, ProblemFormat format, const std::string& part) const {
    const std::string message = refusal(text, format);
    EXPECT_NE(message.find(part), std::string::npos) << text << "\n-> " << message;
    EXPECT_NE(message.find(folder_.path().string()), std::string::npos) << message;
  }

  test::TempFolder folder_;
};

TEST_F(ProblemFileTest, ReadsQkp) {
  const BundleProblem problem = read(kQkp, ProblemFormat::qkp).problem;
  EXPECT_EQ(value_of(problem, {0, 1}), 11.0);
  EXPECT_EQ(value_of(problem, {0, 1, 2}), 31.0);
  EXPECT_EQ(violation_of(problem, {0, 1}), 0.0);
  EXPECT_GT(violation_of(problem, {2}), 0.0);
  EXPECT_TRUE(problem.integral);
}

// A name, the kind of the constraint, comments: as the instances of the literature are written.
TEST_F(ProblemFileTest, ReadsPublishedQkp) {
  const std::string text = "r_3_100_1\n3\n1 2 4\n8 0\n16\n\n0\n5\n2 3 9\n\nComments\nDensity : 100.00 %\nSeed : 1\n";
  const BundleProblem problem = read(text, ProblemFormat::qkp).problem, plain = read(kQkp, ProblemFormat::qkp).problem;
  EXPECT_EQ(problem.linear, plain.linear);
  EXPECT_EQ(problem.pair, plain.pair);
  EXPECT_EQ(problem.limits[0].weights, plain.limits[0].weights);
  EXPECT_EQ(problem.limits[0].upper, 5.0);
}

TEST_F(ProblemFileTest, QuboIsMinimisedUnlessTold) {
  const problems::ProblemFile least = read(kQubo, ProblemFormat::qubo);
  EXPECT_EQ(least.sign * value_of(least.problem, {0, 1}), -1.0);
  const problems::ProblemFile most = read(kQubo, ProblemFormat::qubo, true);
  EXPECT_EQ(most.sign * value_of(most.problem, {0, 1}), -1.0);
  EXPECT_EQ(value_of(least.problem, {1}), 3.0);
  // Both triangles: x'Qx holds both.
  const problems::ProblemFile both = read("2 2\n1 2 3\n2 1 3\n", ProblemFormat::qubo, true);
  EXPECT_EQ(value_of(both.problem, {0, 1}), 6.0);
}

constexpr const char* kNodes = "c a comment\np qubo 0 3 3 1\n0 0 -2\n1 1 -3\nc p qubo 9\n2 2 1\n0 1 4\n";

// The format of qbsolv and D-Wave: counted from 0, otherwise the same problem.
TEST_F(ProblemFileTest, ReadsQuboWithNodesAndCouplers) {
  const problems::ProblemFile plain = read(kQubo, ProblemFormat::qubo), nodes = read(kNodes, ProblemFormat::qubo);
  EXPECT_EQ(nodes.problem.linear, plain.problem.linear);
  EXPECT_EQ(nodes.problem.pair, plain.problem.pair);
  EXPECT_EQ(std::pair(nodes.first, plain.first), std::pair(0, 1));
  EXPECT_EQ(read("# by hand\nc\n" + std::string(kQubo), ProblemFormat::qubo).problem.pair, plain.problem.pair);
  expect_refused("p cnf 3 2\n", ProblemFormat::qubo, "line 1: the line is p cnf");
  expect_refused("c\np qubo 0 2 1 1\n0 0 1\n1 0 2\n", ProblemFormat::qubo, "line 4: 1 0 is no coupler");
  expect_refused("p qubo 0 2 2 0\n0 0 1\n0 1 2\n", ProblemFormat::qubo, "line 3: 0 1 is no node");
  expect_refused("p qubo 0 2 2 0\n0 0 1\n0 0 2\n", ProblemFormat::qubo, "line 3: the entry 0 0 stands twice");
  expect_refused("p qubo 0 2 2 0\n0 0 1\n2 2 2\n", ProblemFormat::qubo, "line 3: an index is 2");
  expect_refused("p qubo 0 2 1 0\n0 0 1\n1 1 2\n", ProblemFormat::qubo, "line 3: more numbers");
  expect_refused("p qubo 0 300 1 0\n", ProblemFormat::qubo, "line 1: the number of variables is 300");
}

TEST_F(ProblemFileTest, TheFormatIsToldByTheEndingAndTheText) {
  const auto format_of = [&](const std::string& name, const std::string& text) {
    test::write_bytes(folder_.path() / name, text);
    return problems::problem_format_of(folder_.path() / name);
  };
  EXPECT_EQ(format_of("a.qubo", kQubo), ProblemFormat::qubo);
  EXPECT_EQ(format_of("a.QUBO", kToml), ProblemFormat::qubo);
  EXPECT_EQ(format_of("a.qkp", kQkp), ProblemFormat::qkp);
  EXPECT_EQ(format_of("a.qkp.gz", kQkp), ProblemFormat::qkp);
  EXPECT_EQ(format_of("a.toml", kQkp), ProblemFormat::toml);
  EXPECT_EQ(format_of("a.txt", kNodes), ProblemFormat::qubo);
  EXPECT_EQ(format_of("b.txt", std::string("jeu_3_1\n") + kQkp), ProblemFormat::qkp);
  for (const char* text : {kToml, "# 1 2\nlinear=[1]\n", "linear = 1\n", "[[objective]]\n", "", "\"a\" 1"}) {
    EXPECT_EQ(format_of("c.txt", text), ProblemFormat::toml) << text;
  }
  EXPECT_EQ(problems::problem_format_of(folder_.path() / "none"), ProblemFormat::toml);
  for (const char* text : {kQkp, kQubo, "\xef\xbb\xbf 3\n", "-3\n"}) {
    EXPECT_THROW(format_of("d.txt", text), UsageError) << text;
  }
  const auto run = [&](const std::string& name, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"solve", (folder_.path() / name).string(), "--json", "--device", "cpu"};
    words.insert(words.end(), more.begin(), more.end());
    return test::Process(test::program_path(), words, folder_.path()).finish();
  };
  test::write_bytes(folder_.path() / "a.qubo", kQubo);
  EXPECT_EQ(nlohmann::json::parse(run("a.qubo").out)["value"], -3.0);
  EXPECT_EQ(run("a.qubo", {"--maximize"}).code, 0);
  EXPECT_EQ(run("a.qubo", {"--front"}).code, 2);
  const auto numbers = run("d.txt");
  EXPECT_EQ(numbers.code, 2);
  EXPECT_NE(numbers.err.find("--format qkp or --format qubo"), std::string::npos) << numbers.err;
}

TEST_F(ProblemFileTest, AByteOrderMarkIsNoPartOfAFile) {
  const std::string mark = "\xef\xbb\xbf";
  EXPECT_EQ(read(mark + kQkp, ProblemFormat::qkp).problem.linear, read(kQkp, ProblemFormat::qkp).problem.linear);
  EXPECT_EQ(read(mark + kQubo, ProblemFormat::qubo).problem.pair, read(kQubo, ProblemFormat::qubo).problem.pair);
  EXPECT_EQ(read(mark + kNodes, ProblemFormat::qubo).first, 0);
  EXPECT_EQ(read(mark + kToml, ProblemFormat::toml).problem.names, read(kToml, ProblemFormat::toml).problem.names);
  EXPECT_EQ(problems::read_pareto(file(mark + "[[objective]]\nlinear = [1]\n")).objectives.size(), 1u);
  EXPECT_EQ(problems::read_utility(file(mark + "7 8:3:1 2\n")).ids, (std::vector<int64_t>{7, 8}));
}

// Thousands of levels would end the parser's stack, and with it the program.
TEST_F(ProblemFileTest, TomlThatNestsTooDeepIsRefusedByItsLine) {
  const auto repeat = [](const std::string& part, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += part;
    return text;
  };
  for (const int levels : {65, 60000}) {
    for (const std::string& text :
         {"a" + repeat(".a", levels) + " = 1\n", "[a" + repeat(" . a", levels) + "]\n",
          "a" + repeat(".\"a\"", levels) + " = 1\n", "a = " + repeat("[", levels) + repeat("]", levels) + "\n",
          "a = " + repeat("{a.b = ", levels) + "1" + repeat("}", levels) + "\n",
          "a = " + repeat("{a" + repeat(".a", 20) + " = ", levels / 5) + "1" + repeat("}", levels / 5) + "\n"}) {
      expect_refused("linear = [1]\n" + text, ProblemFormat::toml, "line 2: tables and lists are more than 64 deep");
    }
  }
  // Dots that nest nothing: of numbers, in texts and in comments.
  const std::string dots = repeat(".a", 100), three(3, '\'');
  const BundleProblem flat =
      read("linear = [" + repeat("1.5, ", 99) + "2.5]  # " + dots + "\nnames = [" + three + dots + "\n" + dots + three +
               ", \"" + dots + "\\\"" + dots + "\", '" + dots + "'" + repeat(", 'a.b'", 97) +
               "]\nlimit = [{weights = [" + repeat("0.5,", 99) + "0.5], upper = 1.5}]\n",
           ProblemFormat::toml)
          .problem;
  EXPECT_EQ(flat.n, 100);
  EXPECT_EQ(flat.limits.size(), 1u);
  const auto done = test::Process(test::program_path(),
                                  {"config", "--set", "model.dim={a" + repeat(".a", 50000) + "=1}"}, folder_.path())
                        .finish();
  EXPECT_EQ(done.code, 2) << done.err.substr(0, 300);
}

// 2^53 + 1 is no double.
TEST_F(ProblemFileTest, AWholeNumberThatWouldBeRoundedIsRefused) {
  const std::string toml = "line 2: linear holds 9007199254740993, which a double rounds to 9007199254740992";
  expect_refused("linear = [1,\n9007199254740993]\n", ProblemFormat::toml, toml);
  expect_refused("linear = [1]\n[[limit]]\nweights = [1]\nupper = -9007199254740993\n", ProblemFormat::toml,
                 "line 4: upper holds -9007199254740993");
  expect_refused("1\n9007199254740993\n5\n3\n", ProblemFormat::qkp, "line 2: a linear term is 9007199254740993");
  expect_refused("1 1\n1 1 -9007199254740993\n", ProblemFormat::qubo, "line 2: an entry is -9007199254740993");
  const BundleProblem exact =
      read("linear = [9007199254740992, -9223372036854775808, 1152921504606846976]\n", ProblemFormat::toml).problem;
  EXPECT_EQ(exact.linear, (std::vector<double>{0x1.0p53, -0x1.0p63, 0x1.0p60}));
  EXPECT_EQ(read("1\n1152921504606846976\n5\n007\n", ProblemFormat::qkp).problem.limits[0].weights[0], 7.0);
}

TEST_F(ProblemFileTest, LimitsOfWholeNumbersAreExact) {
  const auto value = [&](const std::string& text) {
    const auto done =
        test::Process(test::program_path(), {"solve", file(text).string(), "--json", "--device", "cpu"}, folder_.path())
            .finish();
    EXPECT_EQ(done.code, 0) << done.err;
    const auto json = nlohmann::json::parse(done.out);
    EXPECT_EQ(json["proven"], true);
    EXPECT_EQ(json["violation"], 0.0);
    return json["value"].get<double>();
  };
  const std::string two = "linear = [1, 1]\n[[limit]]\nweights = ";
  EXPECT_EQ(value(two + "[1000000000, 1]\nupper = 1000000000\n"), 1.0);
  EXPECT_EQ(value(two + "[1000000000, 1]\nupper = 1000000001\n"), 2.0);
  EXPECT_EQ(value(two + "[4e-10, 8e-10]\nupper = 1e-9\n"), 1.0);
  EXPECT_EQ(value(two + "[4e-10, 6e-10]\nupper = 1e-9\n"), 2.0);
  EXPECT_EQ(value(two + "[0.1, 0.2]\nlower = 0.3\nupper = 0.3\n"), 2.0);
}

TEST_F(ProblemFileTest, ReadsToml) {
  const BundleProblem problem = read(kToml, ProblemFormat::toml).problem;
  EXPECT_EQ(value_of(problem, {0, 1}), 11.5);
  EXPECT_EQ(violation_of(problem, {0, 2}), 0.0);
  EXPECT_EQ(violation_of(problem, {1, 2}), 1.0);
  EXPECT_EQ(problem.limits[0].name, "price");
  EXPECT_FALSE(problem.integral);
}

// host/data/README.md shows every key in one file, and its answer.
TEST_F(ProblemFileTest, TheExampleOfThePageHoldsEveryKey) {
  const std::string page = test::read_bytes(test::datasets_path().parent_path() / "host/data/README.md");
  const size_t begin = page.find("linear = [1,");
  const std::string example = page.substr(begin, page.find("```", begin) - begin);
  const BundleProblem problem = read(example, ProblemFormat::toml).problem;
  for (const char* key : {"linear", "pairs", "names", "min_size", "max_size", "must_have", "forbidden",
                          "forbidden_pairs", "exclusive_groups", "category", "min_categories", "[[category_range]]",
                          "min", "max", "[[limit]]", "name", "weights", "lower", "upper"}) {
    const std::string line = std::string("\n") + key;
    EXPECT_NE(("\n" + example).find(key[0] == '[' ? line : line + " ="), std::string::npos) << key;
  }
  EXPECT_EQ(violation_of(problem, {0, 1, 3}), 0.0);
  const auto answer =
      test::Process(test::program_path(), {"solve", file(example).string(), "--device", "cpu"}, folder_.path())
          .finish();
  EXPECT_NE(page.find(answer.out), std::string::npos) << answer.out;
}

TEST_F(ProblemFileTest, WhatIsWrittenIsReadBack) {
  BundleProblem written = read(kToml, ProblemFormat::toml).problem;
  written.names[1] = "a \"quoted\"\\name, a\ttab \xc3\xa9";
  written.linear[0] = 0.1 + 0.2;
  written.linear[1] = -1e-17;
  written.limits[0].lower = -1.0 / 3.0;
  written.limits.push_back({.name = "", .weights = {1, 2, 3}, .lower = 1.0});
  written.min_categories = 1;
  written.must_have = {2};
  written.forbidden = {0, 1};
  written.exclusive_groups = {{0, 1}, {1, 2}};
  const BundleProblem back = read(problems::problem_toml(written), ProblemFormat::toml).problem;
  EXPECT_EQ(back.n, written.n);
  EXPECT_EQ(back.names, written.names);
  EXPECT_EQ(back.linear, written.linear);
  EXPECT_EQ(back.pair, written.pair);
  EXPECT_EQ(back.category, written.category);
  EXPECT_EQ(back.must_have, written.must_have);
  EXPECT_EQ(back.forbidden, written.forbidden);
  EXPECT_EQ(back.forbidden_pairs, written.forbidden_pairs);
  EXPECT_EQ(back.exclusive_groups, written.exclusive_groups);
  EXPECT_EQ(std::pair(back.min_size, back.max_size), std::pair(written.min_size, written.max_size));
  EXPECT_EQ(back.min_categories, 1);
  ASSERT_EQ(back.limits.size(), 2u);
  for (size_t l = 0; l < 2; ++l) {
    EXPECT_EQ(back.limits[l].name, written.limits[l].name);
    EXPECT_EQ(back.limits[l].weights, written.limits[l].weights);
    EXPECT_EQ(back.limits[l].lower, written.limits[l].lower);
    EXPECT_EQ(back.limits[l].upper, written.limits[l].upper);
  }
  ASSERT_EQ(back.category_ranges.size(), 1u);
  EXPECT_EQ(back.category_ranges[0].category, 1);
  EXPECT_EQ(back.category_ranges[0].max_items, 1);
}

TEST_F(ProblemFileTest, BadFilesAreRefusedByLineAndValue) {
  for (const ProblemFormat format : {ProblemFormat::qkp, ProblemFormat::qubo}) {
    expect_refused("", format, "empty");
    expect_refused("257 1\n", format, "line 1: the number of");
    expect_refused("0\n", format, "is 0");
  }
  expect_refused("x\n", ProblemFormat::qubo, "'x' is not a finite number");
  expect_refused("x\ny\n", ProblemFormat::qkp, "line 2: 'y' is not a finite number");
  expect_refused("x\n", ProblemFormat::qkp, "ends before the number of candidates");
  expect_refused("3\n1 2 4\n8 0\n16\n1\n5\n2 3 9\n", ProblemFormat::qkp, "line 5: the constraint is an equation");
  expect_refused("3\n1 2 4\n8 0\n16\n0\n5\n2 3\n", ProblemFormat::qkp, "line 5: the capacity is 0");
  expect_refused("3\n1 2 4\n8 0\n16\n0\n5\n2\n", ProblemFormat::qkp, "line 5: the capacity is 0");
  expect_refused("3\n1 2 4\n8 0\n16\n-5\n2 3 9\n", ProblemFormat::qkp, "line 5: the capacity is -5");
  expect_refused("linear = [1, 2]\n[[limit]]\nname = \"price\"\nweights = [1, 2]\n", ProblemFormat::toml,
                 "line 2: a limit has neither lower nor upper");
  expect_refused("3\n1 2 4\n8 0\n16\n5\n2 3", ProblemFormat::qkp, "truncated");
  expect_refused("3\n1 nan 4\n", ProblemFormat::qkp, "line 2: 'nan'");
  expect_refused("3\n1 2 4\n8 0\n16\n5\n2 -3 9\n", ProblemFormat::qkp, "line 6: the weight of candidate 2 is -3");
  expect_refused(std::string(kQkp) + "7\n", ProblemFormat::qkp, "line 7: more numbers");
  expect_refused("2 2\n1 2 3\n2 1 4\n", ProblemFormat::qubo, "line 3: the entry 2 1 is 4, but 1 2 is 3");
  expect_refused("2 1\n1 3 3\n", ProblemFormat::qubo, "line 2: an index is 3");
  expect_refused("2 2\n1 2 3\n1 2 3\n", ProblemFormat::qubo, "stands twice");
  expect_refused("2 2\n1 2 3\n", ProblemFormat::qubo, "truncated");
  expect_refused("linear = [1, nan]\n", ProblemFormat::toml, "line 1: linear is not a finite number");
  expect_refused("lnear = [1]\n", ProblemFormat::toml, "did you mean 'linear'");
  expect_refused("linear = [1, 2]\npairs = [[0, 2, 1]]\n", ProblemFormat::toml, "line 2: pairs is 2");
  expect_refused("linear = [1, 2]\npairs = [[0, 1, 1], [1, 0, 2]]\n", ProblemFormat::toml, "stands twice");
  expect_refused("linear = [1, 2]\n[[limit]]\nweights = [1]\n", ProblemFormat::toml, "line 3: weights has 1 values");
  expect_refused("linear = [1, 2]\nmin_size = 2\nmax_size = 1\n", ProblemFormat::toml, "sizes 2 .. 1");
  expect_refused("linear = [1\n", ProblemFormat::toml, "line");
  // Sums of such numbers would not be finite.
  const std::string mend = "beyond 1e+30 | give all numbers in a larger unit";
  for (const char* huge : {"1e308", "-1e308", "1.1e30"}) {
    expect_refused(std::string("linear = [1, 2,\n") + huge + "]\n", ProblemFormat::toml, "line 2: linear holds ");
    expect_refused(std::string("linear = [") + huge + "]\n", ProblemFormat::toml, mend);
    expect_refused(std::string("linear = [1, 2]\npairs = [[0, 1, ") + huge + "]]\n", ProblemFormat::toml,
                   "line 2: pairs holds ");
    expect_refused(std::string("linear = [1]\n[[limit]]\nupper = 1\nweights = [") + huge + "]\n", ProblemFormat::toml,
                   "line 4: weights holds ");
    expect_refused(std::string("2\n1 ") + huge + "\n8\n5\n2 3\n", ProblemFormat::qkp, "line 2: a linear term is ");
    expect_refused(std::string("1 1\n1 1 ") + huge + "\n", ProblemFormat::qubo, mend);
  }
  // A name is a text, or a whole number as text.
  for (const char* none : {"1.5", "true", "[1]", "''", "1979-05-27"}) {
    expect_refused(std::string("linear = [1, 2]\nnames = [\"a\",\n") + none + "]\n", ProblemFormat::toml,
                   "line 3: names holds ");
    expect_refused(std::string("linear = [1]\n[[limit]]\nname = ") + none + "\nweights = [1]\nupper = 1\n",
                   ProblemFormat::toml, "line 3: name holds ");
  }
  EXPECT_THROW(problems::read_problem(folder_.path() / "none", ProblemFormat::qkp, false), DataError);
  EXPECT_THROW(read(kQkp, ProblemFormat::qkp, true), UsageError);
}

TEST_F(ProblemFileTest, NamesMayBeNumbers) {
  const BundleProblem problem =
      read("linear = [1, 2, 3]\nnames = [101, \"0102\", -3]\n[[limit]]\nname = 7\nweights = [1, 1, 1]\nupper = 2\n",
           ProblemFormat::toml)
          .problem;
  EXPECT_EQ(problem.names, (std::vector<std::string>{"101", "0102", "-3"}));
  EXPECT_EQ(problem.limits[0].name, "7");
  const ParetoProblem front = problems::read_pareto(file("[[objective]]\nname = 4\nlinear = [1]\n"));
  EXPECT_EQ(front.objectives[0].name, "4");
}

// The largest numbers that are allowed, in sums of all of them.
TEST_F(ProblemFileTest, TheLargestNumbersHaveAFiniteValueAndBound) {
  std::string text = "linear = [";
  for (int i = 0; i < 40; ++i) text += i > 0 ? ", 1e30" : "1e30";
  text += "]\npairs = [";
  for (int i = 0; i < 40; ++i) {
    for (int j = 0; j < i; ++j) text += "[" + std::to_string(i) + ", " + std::to_string(j) + ", 1e30],";
  }
  const auto done = test::Process(test::program_path(),
                                  {"solve", file(text + "]\n").string(), "--json", "--device", "cpu"}, folder_.path())
                        .finish();
  ASSERT_EQ(done.code, 0) << done.err;
  const auto json = nlohmann::json::parse(done.out);
  EXPECT_NEAR(json["value"].get<double>() / 1e30, 820.0, 1e-9);  // 40 + 40 * 39 / 2
  EXPECT_NEAR(json["bound"].get<double>() / 1e30, 820.0, 1e-3);
  EXPECT_EQ(json["items"].size(), 40u);
}

TEST_F(ProblemFileTest, TheProgramPrintsValueItemsBoundAndGap) {
  const auto run = [&](const std::string& text, const std::vector<std::string>& more) {
    std::vector<std::string> words{"solve", file(text).string(), "--json", "--device", "cpu"};
    words.insert(words.end(), more.begin(), more.end());
    return test::Process(test::program_path(), words, folder_.path()).finish();
  };
  for (const char* method : {"portfolio", "exact"}) {
    const auto done = run(kQkp, {"--format", "qkp", "--method", method});
    ASSERT_EQ(done.code, 0) << done.err;
    const auto json = nlohmann::json::parse(done.out);
    EXPECT_EQ(json["value"], 11.0);
    EXPECT_EQ(json["items"], (std::vector<int>{0, 1}));
    EXPECT_EQ(json["feasible"], true);
    EXPECT_EQ(json["bound"], 11.0);
    EXPECT_EQ(json["gap"], 0.0);
    EXPECT_EQ(json["proven"], true);
  }
  const auto least = nlohmann::json::parse(run(kQubo, {"--format", "qubo"}).out);
  EXPECT_EQ(least["value"], -3.0);
  EXPECT_EQ(least["items"], std::vector<int>{2});
  EXPECT_EQ(least["bound"], -3.0);
  const auto most = nlohmann::json::parse(run(kQubo, {"--format", "qubo", "--maximize"}).out);
  EXPECT_EQ(most["value"], 1.0);
  EXPECT_EQ(most["items"], std::vector<int>{3});

  const auto nothing = run("linear = [1, 2]\nmust_have = [0]\nforbidden = [0]\n", {});
  EXPECT_EQ(nothing.code, 3);
  EXPECT_NE(nothing.err.find("no set meets all constraints"), std::string::npos) << nothing.err;
  EXPECT_EQ(nlohmann::json::parse(nothing.out)["feasible"], false);
  const auto clash = nlohmann::json::parse(nothing.out)["conflict"];
  EXPECT_EQ(clash["constraints"], (std::vector<std::string>{"must have 0", "forbidden 0"}));
  EXPECT_EQ(clash["relaxations"].size(), 2u);
  EXPECT_EQ(run("", {"--format", "qkp"}).code, 3);
  EXPECT_EQ(run(kQkp, {"--format", "qpk"}).code, 2);
  EXPECT_NE(run(kQkp, {"--format", "utility"}).err.find("sheaf mine FILE"), std::string::npos);
  EXPECT_EQ(run(kQkp, {"--format", "qkp", "--method", "best"}).code, 2);
}

TEST_F(ProblemFileTest, IslandsAreASetting) {
  const auto run = [&](const std::string& islands) {
    return test::Process(test::program_path(),
                         {"solve", file(kQkp).string(), "--format", "qkp", "--json", "--no-bound", "--device", "cpu",
                          "--set", "search.islands=" + islands},
                         folder_.path())
        .finish();
  };
  const auto one = nlohmann::json::parse(run("1").out), four = nlohmann::json::parse(run("4").out);
  EXPECT_EQ(one["items"], four["items"]);
  EXPECT_GT(four["evaluations"], 2 * one["evaluations"].get<int64_t>());
  EXPECT_EQ(run("0").code, 2);
}

/// A knapsack of 200 that nothing proves within a minute.
std::string long_problem() {
  std::string text = "200\n";
  uint32_t state = 1;
  const auto next = [&](uint32_t n) { return std::to_string((state = state * 1664525u + 1013904223u) / 65536u % n); };
  for (int i = 0; i < 200; ++i) text += next(100) + " ";
  for (int i = 0; i < 200 * 199 / 2; ++i) text += next(4) == "0" ? next(100) + " " : "0 ";
  text += "\n3000\n";
  for (int i = 0; i < 200; ++i) text += std::to_string(1 + std::stoi(next(50))) + " ";
  return text;
}

TEST_F(ProblemFileTest, CtrlCGivesTheBestSetUntilThen) {
  const std::string path = file(long_problem()).string();
  for (const char* method : {"portfolio", "exact"}) {
    const auto interrupted_after = [&](std::chrono::milliseconds wait) {
      test::Process process(
          test::program_path(),
          {"solve", path, "--format", "qkp", "--time-limit", "60", "--json", "--device", "cpu", "--method", method},
          folder_.path());
      std::this_thread::sleep_for(wait);
      process.signal(SIGINT);
      return process.finish();
    };
    // A busy machine starts programs slowly: before the search begins there is no set yet.
    test::Finished done;
    for (std::chrono::milliseconds wait{700}; done.out.empty() && wait.count() < 30'000; wait *= 3) {
      done = interrupted_after(wait);
    }
    EXPECT_EQ(done.code, 5) << done.err;
    EXPECT_NE(done.err.find("interrupted during the bundle search"), std::string::npos) << done.err;
    const auto json = nlohmann::json::parse(done.out);
    EXPECT_EQ(json["interrupted"], true);
    EXPECT_EQ(json["feasible"], true);
    EXPECT_GT(json["value"], 0.0);
    EXPECT_EQ(json["proven"], false);
  }
}

TEST_F(ProblemFileTest, TheTimeLimitIsKept) {
  const std::string path = file(long_problem()).string();
  struct Seconds {
    double counted, outside;  // what the program says, and what its process took beside that
  };
  const auto seconds_of = [&](const char* method, const char* limit) {
    const auto start = std::chrono::steady_clock::now();
    const auto done = test::Process(test::program_path(),
                                    {"solve", path, "--format", "qkp", "--time-limit", limit, "--json", "--device",
                                     "cpu", "--method", method},
                                    folder_.path())
                          .finish();
    const double all = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    EXPECT_EQ(done.code, 0) << done.err;
    const double counted = nlohmann::json::parse(done.out)["seconds"];
    return Seconds{counted, all - counted};
  };
  for (const char* method : {"portfolio", "exact"}) {
    // A busy machine starts programs slowly, as the short run tells; a part that does not count would add a quarter.
    const Seconds brief = seconds_of(method, "0.2"), whole = seconds_of(method, "2");
    EXPECT_LT(whole.counted, 2.1) << method;
    EXPECT_LT(whole.outside - brief.outside, 0.3) << method;
  }
}

TEST_F(ProblemFileTest, RefusesTimesThatAreNone) {
  for (const char* limit : {"-1", "nan", "inf", "soon"}) {
    const auto done =
        test::Process(test::program_path(), {"solve", file(kQkp).string(), "--time-limit", limit}, folder_.path())
            .finish();
    EXPECT_EQ(done.code, 2) << limit;
    EXPECT_LT(done.err.size(), 150u) << done.err;
  }
}

TEST_F(ProblemFileTest, ReadsTransactionsWithUtilities) {
  const problems::UtilityFile read = problems::read_utility(file("# shop\n30 7:3.5:1 2.5\r\n\n7 100:2:2 0\n"));
  EXPECT_EQ(read.ids, (std::vector<int64_t>{7, 30, 100}));
  EXPECT_EQ(read.transactions.rows.row_offsets, (std::vector<int64_t>{0, 2, 4}));
  EXPECT_EQ(read.transactions.rows.columns, (std::vector<int32_t>{0, 1, 0, 2}));
  EXPECT_EQ(read.transactions.utilities, (std::vector<double>{2.5, 1.0, 2.0, 0.0}));
  const auto refused = [&](const std::string& text, const std::string& part) {
    try {
      problems::read_utility(file(text));
      ADD_FAILURE() << text << " accepted";
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(folder_.path().string()), std::string::npos) << error.what();
    }
  };
  refused("1:2:2\n1 2:3\n", "line 2: not three parts");
  refused("1 2:3:3\n", "line 1: 2 items, but 1 utilities");
  refused("1 2:4:1 2\n", "line 1: the total is 4, but the utilities add up to 3");
  refused("1 x:3:1 2\n", "line 1: 'x' is no item");
  refused("1 2:3:4 -1\n", "line 1: '-1' is no utility");
  refused("2 2:3:1 2\n", "line 1: item 2 stands twice");
  refused("1 2:2e39:1e39 1e39\n", "line 1: the utility 1e39 is beyond 1e+30");
  refused("1 2:16777217:16777216 2\n", "line 1: the total is 16777217, but the utilities add up to 16777218");
  refused("1:9007199254740993:9007199254740993\n", "line 1: the utility 9007199254740993 is one that a double rounds");
  refused("\n", "no transactions");
}

TEST_F(ProblemFileTest, TheProgramPrintsTheSetsOfMostUtility) {
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"mine", file("1 3 9:12:3 4 5\n1 3:9:4 5\n9 2:7:6 1\n").string(), "--json",
                                   "--device", "cpu"};
    words.insert(words.end(), more.begin(), more.end());
    return test::Process(test::program_path(), words, folder_.path()).finish();
  };
  const auto done = run({"--top", "2"});
  ASSERT_EQ(done.code, 0) << done.err;
  const auto sets = nlohmann::json::parse(done.out)["sets"];
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_EQ(sets[0]["items"], (std::vector<int>{1, 3}));
  EXPECT_EQ(sets[0]["utility"], 16.0);
  EXPECT_EQ(sets[0]["transactions"], 2);
  EXPECT_EQ(sets[1]["items"], (std::vector<int>{1, 3, 9}));
  EXPECT_EQ(run({"--top", "0"}).code, 2);
}

// Each is one more than a float32 holds.
TEST_F(ProblemFileTest, TheProgramPrintsWholeNumbersAsTheyAre) {
  const auto run = [&](const char* command, const std::string& text, const std::vector<std::string>& more) {
    std::vector<std::string> words{command, file(text).string(), "--device", "cpu"};
    words.insert(words.end(), more.begin(), more.end());
    return test::Process(test::program_path(), words, folder_.path()).finish();
  };
  const auto mined = run("mine", "1 2:16777218:16777217 1\n", {});
  EXPECT_NE(mined.out.find("16777218  "), std::string::npos) << mined.out;
  const std::string front =
      "min_size = 1\nmax_size = 1\n[[objective]]\nlinear = [100000000, 100000001, 100000002]\n"
      "[[objective]]\nlinear = [3, 2, 1]\n";
  const auto json = nlohmann::json::parse(run("solve", front, {"--front", "--json"}).out);
  ASSERT_EQ(json["front"].size(), 3u);
  const std::string text = run("solve", front, {"--front"}).out;
  for (const char* line :
       {"100000002            1  2\n", "100000001            2  1\n", "100000000            3  0\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << text;
  }
}

/// The program ends with code 5 within a second of the signal, which comes once it works.
class InterruptTest : public ProblemFileTest {
 protected:
  void expect_prompt(const std::vector<std::string>& words) const {
    SCOPED_TRACE(::testing::PrintToString(words));
    for (const int number : {SIGINT, SIGTERM}) {
      test::Process process(test::program_path(), words, folder_.path());
      std::this_thread::sleep_for(std::chrono::milliseconds(2000));
      const auto asked = std::chrono::steady_clock::now();
      process.signal(number);
      const auto done = process.finish();
      EXPECT_EQ(done.code, 5) << done.err;
      EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - asked).count(), 1.0);
    }
  }
};

TEST_F(InterruptTest, ARoundOfManyIslands) {
  expect_prompt(
      {"solve", file(long_problem()).string(), "--format", "qkp", "--device", "cpu", "--set", "search.islands=512"});
}

TEST_F(InterruptTest, AFrontOfManyGenerations) {
  std::string text = "max_size = 40\n";
  for (int m = 0; m < 2; ++m) {
    text += "[[objective]]\nlinear = [";
    for (int i = 0; i < 200; ++i) text += std::to_string((i * 37 + m * 61) % 101) + ",";
    text += "]\n";
  }
  expect_prompt(
      {"solve", file(text).string(), "--front", "--population", "256", "--generations", "10000", "--device", "cpu"});
}

TEST_F(InterruptTest, ATransactionOfManyItems) {
  std::string items, utilities;
  for (int i = 0; i < 50000; ++i) {
    items += std::to_string(i) + " ";
    utilities += "1 ";
  }
  expect_prompt({"mine", file(items + ":50000:" + utilities + "\n").string(), "--device", "cpu"});
}

constexpr const char* kPareto = R"(names = ["tea", "milk", "cup"]
min_size = 1
max_size = 2
category = [0, 0, 1]
[[objective]]
name = "revenue"
linear = [1, 2.5, 4]
pairs = [[0, 1, 8]]
[[objective]]
name = "diversity"
linear = [0, 0, 0]
category_value = 1
[[objective]]
name = "price"
linear = [2, 3, 9]
maximize = false
reference = 20
)";

// Of {0} {1} {2} {0,1} {0,2} {1,2}: revenue 1, 2.5, 4, 11.5, 5, 6.5; categories 1, 1, 1, 1, 2, 2; price 2, 3, 9, 5, 11,
// 12.
TEST_F(ProblemFileTest, TheProgramFindsTheFront) {
  const auto run = [&](const std::string& text, const std::vector<std::string>& more) {
    std::vector<std::string> words{"solve", file(text).string(), "--front", "--json", "--device", "cpu"};
    words.insert(words.end(), more.begin(), more.end());
    return test::Process(test::program_path(), words, folder_.path()).finish();
  };
  const auto done = run(kPareto, {"--generations", "20", "--population", "16"});
  ASSERT_EQ(done.code, 0) << done.err;
  const auto json = nlohmann::json::parse(done.out);
  ASSERT_EQ(json["front"].size(), 5u) << done.out;  // all but {2}
  EXPECT_EQ(json["front"][0]["items"], (std::vector<int>{0, 1}));
  EXPECT_EQ(json["front"][0]["names"], (std::vector<std::string>{"tea", "milk"}));
  EXPECT_EQ(json["front"][0]["values"], (std::vector<double>{11.5, 1.0, 5.0}));
  EXPECT_EQ(json["objectives"][2]["maximize"], false);
  // Above 0, 0, 20: one category 11.5 x 15 + 2.5 x 2 + 1 x 1; the second adds 6.5 x 8 + 5 x 1.
  EXPECT_EQ(json["hypervolume"], 178.5 + 57.0);
  EXPECT_EQ(json["feasible"], true);

  const auto nothing = run("must_have = [0]\nforbidden = [0]\n[[objective]]\nlinear = [1, 2]\n", {});
  EXPECT_EQ(nothing.code, 3);
  EXPECT_NE(nothing.err.find("no set was found"), std::string::npos) << nothing.err;
  EXPECT_EQ(nlohmann::json::parse(nothing.out)["front"].size(), 0u);
  EXPECT_EQ(run(kPareto, {"--population", "3"}).code, 2);
  EXPECT_EQ(run(kPareto, {"--format", "qkp"}).code, 2);
  EXPECT_EQ(run(kPareto, {"--method", "anneal"}).code, 2);
}

TEST_F(ProblemFileTest, ObjectivesThatAreWrittenAreReadBack) {
  ParetoProblem written = problems::read_pareto(file(kPareto));
  written.objectives[1].linear.clear();  // none is the same as zeros
  const ParetoProblem back = problems::read_pareto(file(problems::pareto_toml(written)));
  ASSERT_EQ(back.objectives.size(), written.objectives.size());
  EXPECT_EQ(back.rules.names, written.rules.names);
  for (size_t m = 0; m < back.objectives.size(); ++m) {
    EXPECT_EQ(back.objectives[m].name, written.objectives[m].name);
    EXPECT_EQ(back.objectives[m].pair, written.objectives[m].pair);
    EXPECT_EQ(back.objectives[m].category_value, written.objectives[m].category_value);
    EXPECT_EQ(back.objectives[m].maximize, written.objectives[m].maximize);
    EXPECT_EQ(back.objectives[m].reference, written.objectives[m].reference);
    const std::vector<int32_t> two{0, 1};
    EXPECT_EQ(value_of(back.rules, back.objectives[m], two), value_of(written.rules, written.objectives[m], two));
  }
}

TEST_F(ProblemFileTest, BadObjectivesAreRefusedByLineAndValue) {
  const auto refused = [&](const std::string& text, const std::string& part) {
    try {
      problems::read_pareto(file(text));
      ADD_FAILURE() << text << " accepted";
    } catch (const DataError& error) {
      EXPECT_NE((std::string(error.what()) + "; " + error.hint()).find(part), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(folder_.path().string()), std::string::npos) << error.what();
    }
  };
  refused("min_size = 1\n", "no objective");
  refused("linear = [1]\n[[objective]]\nlinear = [1]\n", "line 1: linear outside of an objective");
  refused("[[objective]]\nname = \"a\"\n", "the first objective has no linear");
  refused("[[objective]]\nlinear = [1, 2]\n[[objective]]\nlinear = [1]\n", "line 4: linear has 1 values, not 2");
  refused("[[objective]]\nlinear = [1, 2]\npairs = [[0, 2, 1]]\n", "line 3: pairs is 2");
  refused("[[objective]]\nlinear = [1]\nmaximise = true\n", "did you mean 'maximize'");
  refused("[[objective]]\nlinear = [1]\ncategory_value = 1e300\n", "line 3: category_value holds 1e+300, beyond");
  refused("[[objective]]\nlinear = [1]\nname = 1.5\n", "line 3: name holds something else than texts");
  refused("[[objective]]\nlinear = [1]\nmaximize = 1\n", "line 3: maximize is neither true nor false");
  refused("[[objective]]\nlinear = [1]\ncategory_value = 1\n", "counts categories");
  refused("[[objective]]\nlinear = [1, 2]\n[[limit]]\nweights = [1]\n", "line 4: weights has 1 values");
  expect_refused(kPareto, ProblemFormat::toml, "several objectives");
}

}  // namespace
}  // namespace sheaf::problem_file_test
