// solve: one bundle problem from a file.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "host/cli/commands.hpp"
#include "host/cli/solve_problem.hpp"
#include "host/problems/problem_file.hpp"
#include "host/text/read_text.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {
namespace {

/// UsageError for options that this kind of problem or method does not read.
void check_solve_options(const Options& options) {
  if (options.front) {
    if (options.format.value_or("toml") != "toml") {
      throw UsageError("--front reads TOML, not --format " + *options.format,
                       "write [[objective]] tables; see host/data/README.md");
    }
    refuse_given({{"--method", options.method.has_value()},
                  {"--time-limit", options.time_limit.has_value()},
                  {"--maximize", options.maximize},
                  {"--no-bound", options.no_bound}},
                 "with --front", "leave it out; --population and --generations set the work");
    return;
  }
  refuse_given({{"--population", options.population.has_value()}, {"--generations", options.generations.has_value()}},
               "without --front", "leave it out, or add --front; --time-limit sets the work for one objective");
  if (options.method == "exact" && options.time_limit.value_or(0.0) == 0.0) {
    refuse_given({{"--no-bound", options.no_bound}}, "with --method exact and no time limit",
                 "leave it out: the method always ends with a proof");
  }
}

/// The set of an earlier answer, what --json printed; search.warm_start names its file.
std::vector<int32_t> known_set(const std::string& path, const problems::ProblemFile& file) {
  if (path.empty()) return {};
  const auto refuse = [&](const std::string& what) {
    throw DataError(path + ": " + what, "give what `sheaf solve --json` printed for this problem");
  };
  std::vector<int32_t> items;
  try {
    const nlohmann::json answer = nlohmann::json::parse(text::read_text(path));
    for (const nlohmann::json& item : answer.at("items")) {
      const int64_t id = item.get<int64_t>() - answer.at("items_count_from").get<int64_t>();
      if (id < 0 || id >= file.problem.n) refuse(fmt::format("the problem has no item {}", item.get<int64_t>()));
      items.push_back(static_cast<int32_t>(id));
    }
  } catch (const nlohmann::json::exception&) {
    refuse("no answer to a problem");
  }
  std::ranges::sort(items);
  if (std::ranges::adjacent_find(items) != items.end()) refuse("an item is there twice");
  return items;
}

void solve_front_file(const Options& options) {
  const config::Config config = load_settings(options, {"run"});
  if (!options.format && problems::problem_format_of(options.file) != problems::ProblemFormat::toml) {
    throw UsageError("--front reads TOML, and " + options.file.string() + " is none",
                     "write [[objective]] tables; see host/data/README.md");
  }
  const ParetoProblem problem = problems::read_pareto(options.file);
  const std::unique_ptr<Context> context = make_context(config);
  print_front(*context, problem, options, options.file.string(), static_cast<uint64_t>(config.run.seed));
}

}  // namespace

void run_solve(const Options& options) {
  check_solve_options(options);
  if (options.front) {
    solve_front_file(options);
    return;
  }
  const config::Config config =
      load_settings(options, {"run", "search.islands", "search.migrate_every", "search.warm_start"});
  const problems::ProblemFormat format =
      options.format ? problems::problem_format(*options.format) : problems::problem_format_of(options.file);
  const problems::ProblemFile file = problems::read_problem(options.file, format, options.maximize);
  const std::unique_ptr<Context> context = make_context(config);
  print_answer(*context, file, options, config, known_set(config.search.warm_start, file), options.file.string());
}

}  // namespace sheaf::cli
