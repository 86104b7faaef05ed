// The front of a problem of several objectives, from a file or built from a data set.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/optimize/pareto.hpp"
#include "host/cli/console.hpp"
#include "host/cli/solve_problem.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {
namespace {

constexpr int64_t kPopulation = 128, kGenerations = 200;

std::string objective_name(const ParetoProblem& problem, size_t objective) {
  const std::string& name = problem.objectives[objective].name;
  return name.empty() ? fmt::format("objective {}", objective + 1) : name;
}

std::string candidate_name(const ParetoProblem& problem, int32_t item) {
  const std::vector<std::string>& names = problem.rules.names;
  return names.empty() ? std::to_string(item) : names[static_cast<size_t>(item)];
}

std::string front_json(const ParetoProblem& problem, const Front& front) {
  nlohmann::ordered_json json;
  json["objectives"] = nlohmann::json::array();
  for (size_t m = 0; m < problem.objectives.size(); ++m) {
    json["objectives"].push_back(nlohmann::ordered_json{{"name", objective_name(problem, m)},
                                                        {"maximize", problem.objectives[m].maximize},
                                                        {"reference", problem.objectives[m].reference}});
  }
  json["feasible"] = front.feasible;
  json["hypervolume"] = front.hypervolume;
  json["front"] = nlohmann::json::array();
  for (const FrontSet& set : front.sets) {
    nlohmann::ordered_json entry{{"values", set.values}, {"items", set.items}};
    for (const int32_t item : set.items) {
      if (!problem.rules.names.empty()) entry["names"].push_back(candidate_name(problem, item));
    }
    json["front"].push_back(std::move(entry));
  }
  json["violation"] = front.violation;
  json["evaluations"] = front.evaluations;
  json["seconds"] = front.seconds;
  return json.dump() + "\n";
}

std::string front_text(const ParetoProblem& problem, const Front& front) {
  std::vector<std::string> headings;
  for (size_t m = 0; m < problem.objectives.size(); ++m) headings.push_back(">" + objective_name(problem, m));
  headings.emplace_back("items");
  Table table(headings);
  for (const FrontSet& set : front.sets) {
    std::vector<std::string> row;
    for (const double value : set.values) row.push_back(fmt::format("{}", value + 0.0));
    std::string items;
    for (const int32_t item : set.items) items += (items.empty() ? "" : " ") + candidate_name(problem, item);
    row.push_back(items);
    table.add(row);
  }
  return fmt::format("{}\nhypervolume  {}\n", table.str(), front.hypervolume);
}

}  // namespace

void print_front(Context& context, const ParetoProblem& problem, const Options& options, const std::string& source,
                 uint64_t seed) {
  const Front front = find_front(context, problem,
                                 {.population = options.population.value_or(kPopulation),
                                  .generations = options.generations.value_or(kGenerations),
                                  .seed = seed});
  if (options.json) {
    print(front_json(problem, front));
  } else if (front.feasible) {
    print(front_text(problem, front));
  }
  if (front.feasible) return;
  throw DataError(fmt::format("{}: no set was found that meets all constraints; the nearest violates them by {:.6g}",
                              source, front.violation),
                  "relax a constraint; with one objective the program names those that clash");
}

}  // namespace sheaf::cli
