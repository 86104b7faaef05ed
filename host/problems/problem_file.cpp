#include "host/problems/problem_file.hpp"

#include <fast_float/fast_float.h>
#include <fmt/format.h>

#include <cctype>
#include <cmath>
#include <map>
#include <string_view>

#include "engine/data/shown.hpp"
#include "host/problems/problem_toml.hpp"
#include "host/text/read_text.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::problems {
namespace {

/// Numbers between blanks, and the line of each.
class Numbers {
 public:
  explicit Numbers(const std::filesystem::path& path) : path_(path.string()), text_(text::read_text(path)) {
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
  Numbers numbers(path);
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

BundleProblem read_qubo(const std::filesystem::path& path, double sign) {
  Numbers numbers(path);
  BundleProblem problem;
  start(problem, numbers.whole("the number of variables", 1, kMaxCandidates));
  const auto n = static_cast<size_t>(problem.n);
  const int64_t nnz = numbers.whole("the number of entries", 0, problem.n * problem.n);
  std::map<std::pair<int64_t, int64_t>, double> entries;
  for (int64_t k = 0; k < nnz; ++k) {
    const int64_t i = numbers.whole("an index", 1, problem.n);
    const int64_t j = numbers.whole("an index", 1, problem.n);
    const double value = numbers.real("an entry");
    if (!entries.emplace(std::pair{i, j}, value).second) {
      numbers.fail(fmt::format("the entry {} {} stands twice", i, j), "add the two up into one");
    }
    const auto other = entries.find({j, i});
    if (i != j && other != entries.end() && other->second != value) {
      numbers.fail(fmt::format("the entry {} {} is {}, but {} {} is {}", i, j, value, j, i, other->second),
                   "give one triangle alone, or both alike");
    }
  }
  numbers.finish();
  // x'Qx as it is written: an entry above the diagonal and its twin below both count.
  for (const auto& [place, value] : entries) {
    const auto i = static_cast<size_t>(place.first - 1), j = static_cast<size_t>(place.second - 1);
    if (i == j) {
      problem.linear[i] += sign * value;
    } else {
      problem.pair[i * n + j] += sign * value;
      problem.pair[j * n + i] += sign * value;
    }
  }
  return problem;
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
        file.first = 1;
        file.sign = maximize ? 1.0 : -1.0;
        file.problem = read_qubo(path, file.sign);
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
