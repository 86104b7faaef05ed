#include "host/problems/problem_file.hpp"

#include <fast_float/fast_float.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <sstream>
#include <string_view>

#include "engine/data/shown.hpp"
#include "host/problems/problem_text.hpp"
#include "host/problems/problem_toml.hpp"
#include "host/text/read_text.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::problems {
namespace {

/// Blanks in place of lines that begin with `c` or `#`: the comments of QUBO files.
std::string without_comments(std::string text) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const size_t first = std::min(text.find_first_not_of(" \t", begin), end);
    const std::string_view line = std::string_view(text).substr(first, end - first);
    const std::string_view word = line.substr(0, line.find_first_of(" \t\r"));
    if (word == "c" || line.starts_with('#')) text.replace(first, end - first, end - first, ' ');
    begin = end + 1;
  }
  return text;
}

/// Numbers between blanks, and the line of each.
class Numbers {
 public:
  Numbers(const std::filesystem::path& path, std::string text) : path_(path.string()), text_(std::move(text)) {
    skip();
    if (at_ == text_.size()) throw DataError(path_ + ": the file is empty", "give a problem in the format's order");
  }

  double real(const char* what) {
    const std::string_view word = next(what);
    double value = 0.0;
    const auto [end, error] = fast_float::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size() || !std::isfinite(value)) {
      fail(fmt::format("'{}' is not a finite number ({})", text::shown(word), what),
           "write a number such as 12 or 0.5");
    }
    if (std::abs(value) > kMaxNumber) {
      fail(fmt::format("{} is {}, beyond {:g}", what, value, kMaxNumber), "give all numbers in a larger unit");
    }
    if (is_rounded(word, value)) {
      fail(fmt::format("{} is {}, which a double rounds to {:.0f}", what, text::shown(word), value), kRoundedMend);
    }
    return value;
  }

  int64_t whole(const char* what, int64_t low, int64_t high) {
    const double value = real(what);
    if (value != std::floor(value) || value < static_cast<double>(low) || value > static_cast<double>(high)) {
      fail(fmt::format("{} is {}", what, value), fmt::format("give a whole number of {} .. {}", low, high));
    }
    return static_cast<int64_t>(value);
  }

  /// Passes over a first line that begins with a letter: the name in published files.
  void skip_name() {
    if (std::isalpha(static_cast<unsigned char>(text_[at_])) == 0) return;
    while (at_ < text_.size() && text_[at_] != '\n') ++at_;
  }

  std::string_view peek() {
    skip();
    return word();
  }

  /// The next word as it is.
  std::string_view take(const char* what) { return next(what); }

  /// How many words are left before the comments.
  int64_t left() const {
    int64_t count = 0;
    for (size_t at = at_; at < text_.size() && !comments_at(at); ++at) {
      count += !blank(text_[at]) && (at == 0 || blank(text_[at - 1])) ? 1 : 0;
    }
    return count;
  }

  void finish() {
    skip();
    if (at_ == text_.size() || comments_at(at_)) return;
    line_of_last_ = line_;
    fail("more numbers than the counts announce", "mend the counts or remove what follows");
  }

  [[noreturn]] void fail(const std::string& what, const std::string& mend) const {
    throw DataError(fmt::format("{} line {}: {}", path_, line_of_last_, what), mend);
  }

 private:
  static bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

  /// What published files say of themselves after the weights.
  bool comments_at(size_t at) const { return std::string_view(text_).substr(at).starts_with("Comments"); }

  void skip() {
    for (; at_ < text_.size() && blank(text_[at_]); ++at_) line_ += text_[at_] == '\n' ? 1 : 0;
  }

  std::string_view next(const char* what) {
    skip();
    line_of_last_ = line_;
    if (at_ == text_.size())
      fail(fmt::format("the file ends before {}", what), "the file is truncated; fetch it again");
    const std::string_view found = word();
    at_ += found.size();
    return found;
  }

  std::string_view word() const {
    size_t end = at_;
    while (end < text_.size() && !blank(text_[end])) ++end;
    return std::string_view(text_).substr(at_, end - at_);
  }

  std::string path_, text_;
  size_t at_ = 0;
  int64_t line_ = 1, line_of_last_ = 1;
};

void start(BundleProblem& problem, int64_t n) {
  problem.n = n;
  problem.linear.assign(static_cast<size_t>(n), 0.0);
  problem.pair.assign(static_cast<size_t>(n * n), 0.0);
}

BundleProblem read_qkp(const std::filesystem::path& path) {
  Numbers numbers(path, text::read_text(path));
  numbers.skip_name();
  BundleProblem problem;
  start(problem, numbers.whole("the number of candidates", 1, kMaxCandidates));
  const auto n = static_cast<size_t>(problem.n);
  for (double& term : problem.linear) term = numbers.real("a linear term");
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = i + 1; j < n; ++j) problem.pair[i * n + j] = problem.pair[j * n + i] = numbers.real("a pair term");
  }
  WeightLimit limit;
  limit.name = "capacity";
  // Published files have the kind of the constraint before it: 0 for at most.
  const std::string_view kind = numbers.peek();
  if ((kind == "0" || kind == "1") && numbers.left() == problem.n + 2 &&
      numbers.whole("the kind of the constraint", 0, 1) == 1) {
    numbers.fail("the constraint is an equation (kind 1)", "a knapsack has kind 0, at most");
  }
  limit.upper = numbers.real("the capacity");
  if (!(limit.upper > 0.0)) {
    numbers.fail(fmt::format("the capacity is {}", limit.upper),
                 "give a positive one; if a 0 stands for the kind of the constraint, a number is missing after it");
  }
  for (size_t i = 0; i < n; ++i) {
    limit.weights.push_back(numbers.real("a weight"));
    if (limit.weights.back() < 0.0) {
      numbers.fail(fmt::format("the weight of candidate {} is {}", i + 1, limit.weights.back()),
                   "weights must not be negative here; the TOML format allows them");
    }
  }
  numbers.finish();
  problem.limits.push_back(std::move(limit));
  return problem;
}

using Entries = std::map<std::pair<int64_t, int64_t>, double>;  // of a matrix, from 0

/// x'Qx as it is written: an entry above the diagonal and its twin below both count.
BundleProblem problem_of(int64_t n, const Entries& entries, double sign) {
  BundleProblem problem;
  start(problem, n);
  for (const auto& [place, value] : entries) {
    const auto [i, j] = place;
    if (i == j) {
      problem.linear[static_cast<size_t>(i)] += sign * value;
    } else {
      problem.pair[static_cast<size_t>(i * n + j)] += sign * value;
      problem.pair[static_cast<size_t>(j * n + i)] += sign * value;
    }
  }
  return problem;
}

/// n nnz, then lines `i j value`, from 1.
BundleProblem read_qubo_matrix(Numbers& numbers, double sign) {
  const int64_t n = numbers.whole("the number of variables", 1, kMaxCandidates);
  const int64_t nnz = numbers.whole("the number of entries", 0, n * n);
  Entries entries;
  for (int64_t k = 0; k < nnz; ++k) {
    const int64_t i = numbers.whole("an index", 1, n);
    const int64_t j = numbers.whole("an index", 1, n);
    const double value = numbers.real("an entry");
    if (!entries.emplace(std::pair{i - 1, j - 1}, value).second) {
      numbers.fail(fmt::format("the entry {} {} stands twice", i, j), "add the two up into one");
    }
    const auto other = entries.find({j - 1, i - 1});
    if (i != j && other != entries.end() && other->second != value) {
      numbers.fail(fmt::format("the entry {} {} is {}, but {} {} is {}", i, j, value, j, i, other->second),
                   "give one triangle alone, or both alike");
    }
  }
  numbers.finish();
  return problem_of(n, entries, sign);
}

/// `p qubo topology maxNodes nNodes nCouplers`, then the nodes `i i value`, then the couplers `i j value` with i < j,
/// from 0: the format of qbsolv and D-Wave.
BundleProblem read_qubo_nodes(Numbers& numbers, double sign) {
  numbers.take("the letter p");
  if (const std::string_view kind = numbers.take("the word qubo"); kind != "qubo") {
    numbers.fail(fmt::format("the line is p {}", kind.substr(0, 40)), "only p qubo is read");
  }
  numbers.take("the topology");
  const int64_t n = numbers.whole("the number of variables", 1, kMaxCandidates);
  const int64_t n_nodes = numbers.whole("the number of nodes", 0, n);
  const int64_t n_couplers = numbers.whole("the number of couplers", 0, n * (n - 1) / 2);
  Entries entries;
  for (int64_t k = 0; k < n_nodes + n_couplers; ++k) {
    const int64_t i = numbers.whole("an index", 0, n - 1);
    const int64_t j = numbers.whole("an index", 0, n - 1);
    if (k < n_nodes ? i != j : i >= j) {
      numbers.fail(fmt::format("{} {} is no {}", i, j, k < n_nodes ? "node" : "coupler"),
                   fmt::format("the line p announces {} nodes (i i value), then {} couplers (i j value with i < j)",
                               n_nodes, n_couplers));
    }
    if (!entries.emplace(std::pair{i, j}, numbers.real("an entry")).second) {
      numbers.fail(fmt::format("the entry {} {} stands twice", i, j), "add the two up into one");
    }
  }
  numbers.finish();
  return problem_of(n, entries, sign);
}

void read_qubo(const std::filesystem::path& path, ProblemFile& file) {
  Numbers numbers(path, without_comments(text::read_text(path)));
  const bool nodes = numbers.peek() == "p";
  file.first = nodes ? 0 : 1;
  file.problem = nodes ? read_qubo_nodes(numbers, file.sign) : read_qubo_matrix(numbers, file.sign);
}

/// What is wrong with a file is an error of data, and names the file.
template <class Read>
void as_data_error(const std::filesystem::path& path, const Read& read) {
  try {
    read();
  } catch (const UsageError& error) {
    const std::string what = error.what();
    throw DataError(what.starts_with(path.string()) ? what : path.string() + ": " + what, error.hint());
  }
}

}  // namespace

ProblemFormat problem_format(const std::string& name) {
  if (name == "toml") return ProblemFormat::toml;
  if (name == "qkp") return ProblemFormat::qkp;
  if (name == "qubo") return ProblemFormat::qubo;
  throw UsageError("no problem format is called " + name,
                   name == "utility" ? "a file of transactions is for sheaf mine FILE" : "use one of toml, qkp, qubo");
}

ProblemFormat problem_format_of(const std::filesystem::path& path) {
  std::string ending = path.extension() == ".gz" ? path.stem().extension().string() : path.extension().string();
  std::ranges::transform(ending, ending.begin(), [](unsigned char c) { return std::tolower(c); });
  if (ending == ".toml") return ProblemFormat::toml;
  if (ending == ".qkp") return ProblemFormat::qkp;
  if (ending == ".qubo") return ProblemFormat::qubo;
  // A pipe can be read once.
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none)) return ProblemFormat::toml;
  std::istringstream text(without_comments(text::read_text(path)));
  std::string first, second;
  text >> first >> second;
  const auto begins_a_number = [](const std::string& word) {
    const size_t digit = word.find_first_not_of("+-");
    return digit < word.size() && std::isdigit(static_cast<unsigned char>(word[digit])) != 0;
  };
  if (first == "p" && second == "qubo") return ProblemFormat::qubo;
  if (begins_a_number(first)) {
    throw UsageError(path.string() + ": the file begins with a number, so it is not TOML",
                     "say what it is: --format qkp or --format qubo");
  }
  const bool is_name = !first.empty() && first.find_first_of("=[\"'") == std::string::npos;
  return is_name && begins_a_number(second) ? ProblemFormat::qkp : ProblemFormat::toml;
}

ProblemFile read_problem(const std::filesystem::path& path, ProblemFormat format, bool maximize) {
  if (maximize && format != ProblemFormat::qubo) {
    throw UsageError("--maximize is for QUBO files", "leave it out: the other formats are maximised");
  }
  ProblemFile file;
  as_data_error(path, [&] {
    switch (format) {
      case ProblemFormat::toml: file.problem = read_problem_toml(path); break;
      case ProblemFormat::qkp: file.problem = read_qkp(path); break;
      case ProblemFormat::qubo:
        file.sign = maximize ? 1.0 : -1.0;
        read_qubo(path, file);
        break;
    }
    file.problem.validate();
  });
  file.problem.integral = is_integral(file.problem);
  return file;
}

ParetoProblem read_pareto(const std::filesystem::path& path) {
  ParetoProblem problem;
  as_data_error(path, [&] {
    problem = read_pareto_toml(path);
    problem.validate();
  });
  return problem;
}

}  // namespace sheaf::problems
