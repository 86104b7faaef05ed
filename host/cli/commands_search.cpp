// search, score.

#include <fmt/format.h>

#include <algorithm>

#include "engine/io/file_io.hpp"
#include "engine/io/folder.hpp"
#include "engine/optimize/lagrangian_bound.hpp"
#include "host/app/joint.hpp"
#include "host/app/single_problem.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/console.hpp"
#include "host/cli/present.hpp"
#include "host/cli/workspace.hpp"
#include "host/report/report.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/range.hpp"

namespace sheaf::cli {
namespace {

constexpr const char* kBundlesKind = "bundles";
constexpr const char* kScoresKind = "scores";
constexpr size_t kBundlesShown = 10;
constexpr double kExact = 1e-5;  // a value is a float32 sum of up to a hundred terms

std::string together_text(const app::Together& t, size_t n_chosen) {
  return fmt::format("{} of {} bundles chosen together in {} rounds: value {:.5f}, at most {:.5f} from these", n_chosen,
                     t.n_found, t.n_rounds, t.value, t.bound);
}

/// How many of the bundles are the best there are.
std::string bounds_text(const std::vector<Bundle>& bundles, const std::vector<double>& bounds) {
  int64_t feasible = 0, best = 0;
  double worst = 0.0;
  for (size_t b = 0; b < bundles.size(); ++b) {
    if (bundles[b].violation > 0.0f) continue;
    const double gap = gap_of(bounds[b], static_cast<double>(bundles[b].value));
    ++feasible;
    best += gap <= kExact ? 1 : 0;
    worst = std::max(worst, gap);
  }
  return fmt::format("{} of {} bundles are the best of their candidates; largest gap to the bound {:.4f} %", best,
                     feasible, 100.0 * worst);
}

report::UserScores score_users(const app::Session& session, const std::vector<int32_t>& users, const Progress& progress,
                               bool bound) {
  const Range range("score");
  report::UserScores scores;
  scores.users = users;
  scores.length = std::min(session.config().search.top_items, session.prepared.n_items);
  scores.items =
      session.scorer().top_k(session.context(), Queries(session.context(), users), scores.length).items.to_host();
  std::optional<app::Together> together;
  scores.bundles = app::search_users(session, users, &together).bundles;
  for (const Bundle& bundle : scores.bundles) scores.reasons.push_back(app::reasons_of(session, bundle));
  if (bound) {
    scores.bounds = app::bounds_of(session, scores.bundles, false);
    progress.line(bounds_text(scores.bundles, scores.bounds));
  }
  if (together) {
    const auto n = std::ranges::count(scores.bundles, 0.0f, &Bundle::violation);
    progress.line(together_text(*together, static_cast<size_t>(n)));
  }
  return scores;
}

}  // namespace

void run_search(const Options& options) {
  if (!options.like.empty()) {
    run_like(options);
    return;
  }
  const bool one_user = options.users.size() == 1 && options.users_file.empty() && options.out.empty();
  if (options.front || options.together || one_user || !options.item.empty() || !options.write_problem.empty()) {
    run_one_problem(options);
    return;
  }
  if (options.model.empty() || options.out.empty()) {
    throw UsageError("bundles for the catalog or for users need --model and --out",
                     "sheaf search --help shows an example; one --user, --item and --together answer without --out");
  }
  const Progress progress(options.quiet);
  io::FolderWriter writer(options.out, kBundlesKind);
  Workspace work(options);
  const std::vector<int32_t> users = work.named_users(options);
  work.load_model(options.model);
  note_known_validation(work.session, progress);
  const auto& prepared = work.session.prepared;
  const report::CsvCells cells(work.config.run.guard_formulas);
  std::string text, json;
  if (users.empty()) {
    const app::CatalogSearch found = app::search_catalog(work.session);
    if (found.together) {
      progress.line(fmt::format("{}, in {:.2f} s", together_text(*found.together, found.offers.size()), found.seconds));
    } else {
      progress.line(
          fmt::format("{} of {} searches found a bundle that meets the constraints, {} searched in all, in {:.2f} s",
                      found.n_feasible, found.n_anchors, found.n_searches, found.seconds));
    }
    std::vector<double> bounds;
    if (options.bound) {
      std::vector<Bundle> bundles;
      for (const app::Offer& offer : found.offers) bundles.push_back(offer.bundle);
      bounds = app::bounds_of(work.session, bundles, true);
      progress.line(bounds_text(bundles, bounds));
    }
    json = report::bundles_jsonl(prepared, found.offers, bounds);
    if (!found.fewer.empty()) progress.line(found.fewer);
    text = offers_text(prepared, found.offers, kBundlesShown) +
           app::objective_text(work.config, found.period_days, prepared.currency) + "\n\n" +
           app::verdict_text(found.offers, work.config) + "\n" +
           app::response_text(work.session.price_responses(), app::used_response(work.session));
    io::write_file(writer.path() / "bundles.csv", report::bundles_csv(prepared, found.offers, cells));
    io::write_file(writer.path() / "bundles.jsonl", json);
  } else {
    const report::UserScores scores = score_users(work.session, users, progress, options.bound);
    json = report::users_jsonl(prepared, scores);
    for (size_t u = 0; u < users.size(); ++u) text += user_bundle_text(prepared, scores.bundles[u], scores.reasons[u]);
    io::write_file(writer.path() / "users.csv", report::users_csv(prepared, scores, cells));
    io::write_file(writer.path() / "users.jsonl", json);
  }
  writer.commit({{"settings", result_settings(work.config)}});
  progress.line("wrote " + options.out.string());
  print(options.json ? json : text);
}

void run_score(const Options& options) {
  const Progress progress(options.quiet);
  io::FolderWriter writer(options.out, kScoresKind);
  Workspace work(options);
  std::vector<int32_t> users = work.named_users(options);
  if (users.empty()) users = app::all_ids(work.session.prepared.n_users);
  work.load_model(options.model);
  note_known_validation(work.session, progress);
  const report::UserScores scores = score_users(work.session, users, progress, options.bound);
  const auto& prepared = work.session.prepared;
  const report::CsvCells cells(work.config.run.guard_formulas);
  const std::string json = report::users_jsonl(prepared, scores);
  io::write_file(writer.path() / "users.csv", report::users_csv(prepared, scores, cells));
  io::write_file(writer.path() / "users.jsonl", json);
  writer.commit({{"users", users.size()}, {"settings", result_settings(work.config)}});
  progress.line("wrote " + options.out.string());
  if (options.json) {
    print(json);
    return;
  }
  std::string text = fmt::format("{} users scored\n", users.size());
  for (size_t u = 0; u < std::min<size_t>(3, users.size()); ++u) {
    text += user_bundle_text(prepared, scores.bundles[u], scores.reasons[u]);
  }
  print(text);
}

}  // namespace sheaf::cli
