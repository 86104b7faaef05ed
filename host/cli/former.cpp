#include "host/cli/former.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sheaf::cli {
namespace {

/// What `--option VALUE` or `--option=VALUE` says; empty without a value.
std::optional<std::string> value_of_option(const std::vector<std::string>& words, const std::string& option) {
  for (size_t w = 1; w < words.size(); ++w) {
    if (words[w].starts_with(option + "=")) return words[w].substr(option.size() + 1);
    if (words[w] == option) return w + 1 < words.size() ? words[w + 1] : std::string();
  }
  return std::nullopt;
}

/// As a shell reads it as one word.
std::string as_word(const std::string& text) {
  if (text.find_first_of(" \t'\"\\$*?(){}[]<>|&;#~`!") == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

std::optional<FormerSpelling> former_spelling(const std::vector<std::string>& words) {
  if (words.empty()) return std::nullopt;
  const std::string& verb = words.front();
  const bool search = verb == "search", solve = verb == "solve", mine = verb == "mine";
  if (!search && !solve && !mine) return std::nullopt;
  const auto has = [&](const char* option) { return value_of_option(words, option).has_value(); };
  const bool utility = value_of_option(words, "--format").value_or("") == "utility";
  if (const auto problem = value_of_option(words, "--problem")) {
    const std::string file = problem->empty() || problem->starts_with("-") ? "FILE" : as_word(*problem);
    const bool front = has("--pareto") || has("--front");
    return FormerSpelling{
        search ? "--problem is gone: a file has a command of its own"
               : "--problem is gone: the file is named without it",
        (mine || utility ? "use sheaf mine " : "use sheaf solve ") + file + (front ? " --front" : "")};
  }
  if (utility) {
    return FormerSpelling{"--format utility is gone: a file of transactions has a command of its own",
                          "use sheaf mine FILE"};
  }
  if (!mine && has("--pareto")) {
    return FormerSpelling{"--pareto is gone: it is called --front now",
                          fmt::format("use --front; sheaf {} --help shows an example", verb)};
  }
  if (!search) return std::nullopt;
  for (const char* option :
       {"--format", "--method", "--time-limit", "--maximize", "--no-bound", "--population", "--generations"}) {
    if (!has(option)) continue;
    return FormerSpelling{
        fmt::format("{} is an option of sheaf solve now", option),
        fmt::format("write the problem with --write-problem FILE, then use sheaf solve FILE {}", option)};
  }
  if (has("--top")) return FormerSpelling{"--top is an option of sheaf mine now", "use sheaf mine FILE --top"};
  return std::nullopt;
}

}  // namespace sheaf::cli
