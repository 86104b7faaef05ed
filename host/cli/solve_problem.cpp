#include "host/cli/solve_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/optimize/branch_and_bound.hpp"
#include "engine/optimize/infeasibility.hpp"
#include "engine/optimize/lagrangian_bound.hpp"
#include "host/cli/console.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {
namespace {

constexpr int64_t kConflictNodes = 20000;  // of each search that looks for the clash
constexpr int64_t kProofNodes = 100000;    // without a time limit: a second at 256 candidates

/// Shares of the time limit when a bound is asked for.
struct Times {
  double search, bound, proof;
};

SearchMethod method_of(const Options& options) { return search_method(options.method.value_or("portfolio")); }

Times split_time(const Options& options) {
  const double all = options.time_limit.value_or(0.0);
  return options.no_bound ? Times{all, 0.0, 0.0} : Times{0.5 * all, 0.25 * all, 0.25 * all};
}

BundleAnswer search_set(Context& context, const BundleProblem& problem, const Options& options,
                        const config::Config& config, double seconds, const std::vector<int32_t>& known) {
  SolveParams params;
  params.method = method_of(options);
  params.start = known;
  params.seed = static_cast<uint64_t>(config.run.seed);
  params.islands = config.search.islands;
  params.migrate_every = config.search.migrate_every;
  params.time_limit = seconds;
  if (seconds > 0.0) params.rounds = 0;
  params.keep_on_interrupt = true;
  return solve(context, problem, params);
}

/// Branch and bound from the answer.
void prove(const BundleProblem& problem, double seconds, BundleAnswer& answer) {
  ExactParams exact{.time_limit = seconds, .node_limit = seconds > 0.0 ? 0 : kProofNodes, .keep_on_interrupt = true};
  if (answer.feasible) exact.start = answer.items;
  const BundleAnswer proof = solve_exact(problem, exact);
  answer.seconds += proof.seconds;
  answer.evaluations += proof.evaluations;
  answer.proven = proof.proven;
  answer.interrupted = proof.interrupted;
  if (proof.feasible) {
    answer.items = proof.items;
    answer.value = proof.value;
    answer.violation = proof.violation;
    answer.feasible = true;
  }
  if (proof.proven) answer.upper_bound = answer.feasible ? answer.value : -std::numeric_limits<double>::infinity();
}

/// The search, then a bound, then, if they differ, branch and bound from the answer. An interrupt ends it with what was
/// found.
BundleAnswer find_answer(Context& context, const BundleProblem& problem, const Options& options,
                         const config::Config& config, const std::vector<int32_t>& known) {
  const Times times = split_time(options);
  const bool exact = method_of(options) == SearchMethod::exact;
  BundleAnswer answer =
      exact
          ? solve_exact(problem, {.time_limit = times.search + times.proof, .start = known, .keep_on_interrupt = true})
          : search_set(context, problem, options, config, times.search, known);
  if (options.no_bound || answer.proven || answer.interrupted) return answer;
  try {
    const UpperBound bound =
        upper_bound(context, problem, {.time_limit = times.bound, .value = answer.value, .has_value = answer.feasible});
    answer.upper_bound = bound.bound;
    answer.seconds += bound.seconds;
    answer.proven = answer.feasible ? bound.bound <= answer.value : std::isinf(bound.bound) && bound.bound < 0.0;
  } catch (const Interrupted&) {
    answer.interrupted = true;
  }
  if (!exact && !answer.proven && !answer.interrupted) prove(problem, times.proof, answer);
  return answer;
}

nlohmann::json finite_or_null(double x) { return std::isfinite(x) ? nlohmann::json(x) : nlohmann::json(); }

nlohmann::ordered_json conflict_json(const Conflict& conflict) {
  nlohmann::ordered_json json{{"constraints", conflict.constraints}, {"irreducible", conflict.irreducible}};
  json["relaxations"] = nlohmann::json::array();
  for (const Relaxation& one : conflict.relaxations) {
    nlohmann::ordered_json entry{{"constraint", one.constraint}};
    if (one.drop) {
      entry["drop"] = true;
    } else {
      entry["from"] = one.from;
      entry["to"] = one.to;
    }
    json["relaxations"].push_back(std::move(entry));
  }
  return json;
}

std::string conflict_text(const Conflict& conflict) {
  std::string text;
  for (const std::string& constraint : conflict.constraints) text += "clash     " + constraint + "\n";
  for (const Relaxation& one : conflict.relaxations) {
    text += one.drop ? fmt::format("helps     without {}\n", one.constraint)
                     : fmt::format("helps     {} -> {}\n", one.constraint, one.to);
  }
  return text;
}

std::string answer_json(const problems::ProblemFile& file, const BundleAnswer& answer, const Conflict& conflict) {
  nlohmann::ordered_json json;
  std::vector<int32_t> items(answer.items);
  for (int32_t& item : items) item += file.first;
  json["value"] = file.sign * answer.value + 0.0;
  json["items"] = items;
  json["items_count_from"] = file.first;
  if (!file.problem.names.empty()) {
    json["names"] = nlohmann::json::array();
    for (const int32_t item : answer.items) json["names"].push_back(file.problem.names[static_cast<size_t>(item)]);
  }
  json["feasible"] = answer.feasible;
  json["violation"] = answer.violation;
  json["bound"] = finite_or_null(file.sign * answer.upper_bound + 0.0);
  json["gap"] = answer.feasible ? finite_or_null(gap_of(answer.upper_bound, answer.value)) : nlohmann::json();
  json["proven"] = answer.proven;
  json["method"] = name_of(answer.method);
  json["evaluations"] = answer.evaluations;
  json["seconds"] = answer.seconds;
  if (answer.interrupted) json["interrupted"] = true;
  if (!answer.feasible) json["conflict"] = conflict_json(conflict);
  return json.dump() + "\n";
}

std::string answer_text(const problems::ProblemFile& file, const BundleAnswer& answer, const Conflict& conflict) {
  std::string items;
  for (const int32_t item : answer.items) {
    items += items.empty() ? "" : " ";
    items +=
        file.problem.names.empty() ? std::to_string(item + file.first) : file.problem.names[static_cast<size_t>(item)];
  }
  std::string text = fmt::format("value     {}\nitems     {}\nfeasible  {}\n", file.sign * answer.value + 0.0, items,
                                 answer.feasible ? "yes" : fmt::format("no, violation {:.6g}", answer.violation));
  if (std::isfinite(answer.upper_bound)) {
    text += fmt::format("bound     {}\n", file.sign * answer.upper_bound + 0.0);
    const double gap = gap_of(answer.upper_bound, answer.value);
    if (answer.feasible && std::isfinite(gap)) text += fmt::format("gap       {:.4f} %\n", 100.0 * gap);
  }
  if (answer.feasible) text += fmt::format("proven    {}\n", answer.proven ? "optimal" : "no");
  return text + conflict_text(conflict);
}

}  // namespace

void print_answer(Context& context, const problems::ProblemFile& file, const Options& options,
                  const config::Config& config, const std::vector<int32_t>& known, const std::string& source) {
  const BundleAnswer answer = find_answer(context, file.problem, options, config, known);
  Conflict conflict;
  if (!answer.feasible && answer.proven && !answer.interrupted)
    conflict = find_conflict(file.problem, kConflictNodes, file.first);
  print(options.json ? answer_json(file, answer, conflict) : answer_text(file, answer, conflict));
  if (answer.interrupted) throw Interrupted("the bundle search; this is the best set until then");
  if (answer.feasible) return;
  throw DataError(
      source + (answer.proven ? ": no set meets all constraints" : ": no set was found that meets all constraints"),
      answer.proven          ? "relax a constraint"
      : options.file.empty() ? "relax a constraint, or use --write-problem FILE, then sheaf solve FILE --time-limit"
                             : "relax a constraint, or give a longer --time-limit");
}

}  // namespace sheaf::cli
