// search DATA for one problem: solved with a bound, its front, or written to a file.

#include "engine/io/file_io.hpp"
#include "host/app/association.hpp"
#include "host/app/single_problem.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/solve_problem.hpp"
#include "host/cli/workspace.hpp"
#include "host/data/find_item.hpp"
#include "host/problems/write_problem.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {
namespace {

std::string source_text(const data::Prepared& prepared, const app::Audience& audience) {
  if (audience.anchor >= 0) return "the problem around " + std::string(prepared.item_names[audience.anchor]);
  if (audience.users.empty()) return "the problem of all users";
  if (audience.users.size() > 1) return "the problem of " + std::to_string(audience.users.size()) + " users";
  return "the problem of user " + std::string(prepared.user_ids[audience.users.front()]);
}

void check_one_problem(const Options& options) {
  if (options.model.empty()) {
    throw UsageError("a problem of a data set needs --model", "sheaf search --help shows an example");
  }
  refuse_given({{"--out", !options.out.empty()}}, "with --item, --together, --front or --write-problem",
               "leave it out: they answer on stdout; --write-problem names its own file");
  refuse_given({{"--bound", options.bound}}, "on one problem",
               "leave it out: the answer has its bound; a front or a written problem has none");
  const bool names_users = !options.users.empty() || !options.users_file.empty();
  const bool several = options.users.size() > 1 || !options.users_file.empty();
  if (several && !options.together) {
    throw UsageError("several users are several problems", "add --together for one bundle for all of them");
  }
  if (options.together && !names_users) {
    refuse_given({{"--together", !options.item.empty()}}, "with --item and no users",
                 "leave it out, or name users; the bundle is for all users then");
  }
  if (!options.together && !names_users && options.item.empty()) {
    throw UsageError(
        options.front ? "--front does not say whose problem" : "--write-problem does not say whose problem",
        "add --user ID, --item NAME, or --together for all users");
  }
}

}  // namespace

void run_one_problem(const Options& options) {
  check_one_problem(options);
  // A written problem begins with one of these.
  if (!options.write_problem.empty()) {
    io::check_file_target(options.write_problem, {"linear = [", "names = [", "min_size = "});
  }
  Workspace work(options);
  const app::Audience audience{
      .users = work.named_users(options),
      .anchor = options.item.empty() ? -1 : data::find_item_by_name(work.session.prepared, options.item)};
  work.load_model(options.model);
  note_known_validation(work.session, Progress(options.quiet));
  const std::string source = source_text(work.session.prepared, audience);
  if (options.front) {
    const ParetoProblem problem = app::build_front(work.session, audience);
    if (options.write_problem.empty()) {
      print_front(*work.context, problem, options, source, static_cast<uint64_t>(work.config.run.seed));
    } else {
      io::replace_file(options.write_problem, problems::pareto_toml(problem));
    }
    return;
  }
  const app::SingleProblem one = app::build_problem(work.session, audience);
  if (options.write_problem.empty()) {
    try {
      print_answer(*work.context, {one.built.problem}, options, work.config, one.start, source);
    } catch (const DataError& error) {
      const std::string why = app::no_pairs(work.session);
      if (why.empty()) throw;
      throw DataError(std::string(error.what()) + "; " + why, app::kNoPairsMend);
    }
  } else {
    io::replace_file(options.write_problem, problems::problem_toml(one.built.problem));
  }
}

}  // namespace sheaf::cli
