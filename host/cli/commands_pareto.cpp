// search --pareto: the front of a problem of several objectives, from a file or built from a data set.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/optimize/pareto.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/console.hpp"
#include "host/cli/solve_problem.hpp"
#include "host/problems/problem_file.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {
namespace {

std::string name_of(const ParetoProblem& problem, size_t objective) {
  const std::string& name = problem.objectives[objective].name;
  return name.empty() ? fmt::format("objective {}", objective + 1) : name;
}

std::string item_name(const ParetoProblem& problem, int32_t item) {
  const std::vector<std::string>& names = problem.rules.names;
  return names.empty() ? std::to_string(item) : names[static_cast<size_t>(item)];
}

std::string as_json(const ParetoProblem& problem, const Front& front) {
  nlohmann::ordered_json json;
  json["objectives"] = nlohmann::json::array();
  for (size_t m = 0; m < problem.objectives.size(); ++m) {
    json["objectives"].push_back(nlohmann::ordered_json{{"name", name_of(problem, m)},
                                                        {"maximize", problem.objectives[m].maximize},
                                                        {"reference", problem.objectives[m].reference}});
  }
  json["feasible"] = front.feasible;
  json["hypervolume"] = front.hypervolume;
  json["front"] = nlohmann::json::array();
  for (const FrontSet& set : front.sets) {
    nlohmann::ordered_json entry{{"values", set.values}, {"items", set.items}};
    for (const int32_t item : set.items) {
      if (!problem.rules.names.empty()) entry["names"].push_back(item_name(problem, item));
    }
    json["front"].push_back(std::move(entry));
  }
  json["violation"] = front.violation;
  json["evaluations"] = front.evaluations;
  json["seconds"] = front.seconds;
  return json.dump() + "\n";
}

std::string as_text(const ParetoProblem& problem, const Front& front) {
  std::vector<std::string> headings;
  for (size_t m = 0; m < problem.objectives.size(); ++m) headings.push_back(">" + name_of(problem, m));
  headings.emplace_back("items");
  Table table(headings);
  for (const FrontSet& set : front.sets) {
    std::vector<std::string> row;
    for (const double value : set.values) row.push_back(fmt::format("{:.6g}", value));
    std::string items;
    for (const int32_t item : set.items) items += (items.empty() ? "" : " ") + item_name(problem, item);
    row.push_back(items);
    table.add(row);
  }
  return fmt::format("{}\nhypervolume  {}\n", table.str(), front.hypervolume);
}

}  // namespace

void refuse_front_options(const Options& options) {
  if (options.format != "toml" && !options.problem.empty()) {
    throw UsageError("--pareto reads TOML, not " + options.format,
                     "write [[objective]] tables; see host/data/README.md");
  }
  if (options.method == "portfolio" && !(options.time_limit > 0.0) && !options.maximize && !options.no_bound) return;
  throw UsageError("--method, --time-limit, --maximize and --no-bound are not for --pareto",
                   "use --population and --generations");
}

void print_front(Context& context, const ParetoProblem& problem, const Options& options, const std::string& source,
                 uint64_t seed) {
  const Front front = find_front(context, problem,
                                 {.population = options.population, .generations = options.generations, .seed = seed});
  if (options.json) {
    print(as_json(problem, front));
  } else if (front.feasible) {
    print(as_text(problem, front));
  }
  if (front.feasible) return;
  throw DataError(fmt::format("{}: no set was found that meets all constraints; the nearest violates them by {:.6g}",
                              source, front.violation),
                  "relax a constraint; with one objective the program names those that clash");
}

void run_pareto(const Options& options) {
  refuse_front_options(options);
  const ParetoProblem problem = problems::read_pareto(options.problem);
  const config::Config config = load_settings(options);
  const std::unique_ptr<Context> context = make_context(config);
  print_front(*context, problem, options, options.problem.string(), static_cast<uint64_t>(config.run.seed));
}

}  // namespace sheaf::cli
