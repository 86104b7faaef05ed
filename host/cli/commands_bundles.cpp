// search, score.

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "engine/checkpoint/file_io.hpp"
#include "engine/checkpoint/folder.hpp"
#include "host/app/pipeline.hpp"
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
constexpr size_t kShown = 10;

std::vector<std::string> read_ids(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) checkpoint::throw_errno("cannot read", path);
  std::vector<std::string> ids;
  for (std::string line; std::getline(file, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) ids.push_back(line);
  }
  if (ids.empty()) throw DataError(path.string() + ": the file names no user", "write one id a line");
  return ids;
}

std::string together_text(const app::Together& t, size_t n_chosen) {
  return fmt::format("{} of {} bundles chosen together in {} rounds: value {:.5f}, at most {:.5f} from these", n_chosen,
                     t.n_found, t.n_rounds, t.value, t.bound);
}

report::UserScores score_users(Workspace& work, const PreferenceModel& model, const std::vector<int32_t>& users,
                               const Progress& progress) {
  const Range range("score");
  const PairCounts counts = app::count_training_pairs(*work.context, work.dataset, work.config.associate.min_count);
  report::UserScores scores;
  scores.users = users;
  scores.length = std::min(work.config.search.top_items, work.dataset.prepared.n_items);
  const std::vector<int32_t> top =
      top_items(*work.context, model.scorer(*work.context), nullptr, scores.length).items.to_host();
  for (const int32_t user : users) {
    const auto begin = top.begin() + static_cast<std::ptrdiff_t>(user * scores.length);
    scores.items.insert(scores.items.end(), begin, begin + static_cast<std::ptrdiff_t>(scores.length));
  }
  std::optional<app::Together> together;
  scores.bundles = app::search_users(*work.context, work.dataset, model, counts, work.config, users, &together).bundles;
  for (const Bundle& bundle : scores.bundles) scores.reasons.push_back(app::reasons_of(work.dataset, counts, bundle));
  if (together) {
    const auto n = std::ranges::count(scores.bundles, 0.0f, &Bundle::violation);
    progress.line(together_text(*together, static_cast<size_t>(n)));
  }
  return scores;
}

}  // namespace

void run_search(const Options& options) {
  if (!options.problem.empty()) {
    run_problem(options);
    return;
  }
  if (options.data.empty() || options.model.empty() || options.out.empty()) {
    throw UsageError("a search needs DATA, --model and --out, or --problem", "sheaf search --help shows an example");
  }
  const Progress progress(options.quiet);
  checkpoint::check_target(options.out, kBundlesKind);
  Workspace work(options);
  const std::vector<int32_t> users = work.find_users(options.users);
  const std::unique_ptr<PreferenceModel> model = work.load_model(options.model);
  const auto& prepared = work.dataset.prepared;
  checkpoint::FolderWriter writer(options.out);
  std::string text, json;
  if (users.empty()) {
    const PairCounts counts = app::count_training_pairs(*work.context, work.dataset, work.config.associate.min_count);
    const app::CatalogSearch found = app::search_catalog(*work.context, work.dataset, *model, counts, work.config);
    if (found.together) {
      progress.line(fmt::format("{}, in {:.2f} s", together_text(*found.together, found.offers.size()), found.seconds));
    } else {
      progress.line(fmt::format("{} of {} searches found a bundle that meets the constraints, in {:.2f} s",
                                found.n_feasible, found.n_anchors, found.seconds));
    }
    json = report::bundles_jsonl(prepared, found.offers);
    text = offers_text(prepared, found.offers, kShown);
    checkpoint::write_file(writer.path() / "bundles.csv", report::bundles_csv(prepared, found.offers));
    checkpoint::write_file(writer.path() / "bundles.jsonl", json);
  } else {
    const report::UserScores scores = score_users(work, *model, users, progress);
    json = report::users_jsonl(prepared, scores);
    for (size_t u = 0; u < users.size(); ++u) text += user_bundle_text(prepared, scores.bundles[u], scores.reasons[u]);
    checkpoint::write_file(writer.path() / "users.csv", report::users_csv(prepared, scores));
    checkpoint::write_file(writer.path() / "users.jsonl", json);
  }
  writer.commit(kBundlesKind, {{"settings", work.config.show()}});
  progress.line("wrote " + options.out.string());
  print(options.json ? json : text);
}

void run_score(const Options& options) {
  const Progress progress(options.quiet);
  checkpoint::check_target(options.out, kScoresKind);
  Workspace work(options);
  std::vector<std::string> ids = options.users;
  if (!options.users_file.empty()) {
    const std::vector<std::string> more = read_ids(options.users_file);
    ids.insert(ids.end(), more.begin(), more.end());
  }
  const std::vector<int32_t> users = ids.empty() ? app::all_ids(work.dataset.prepared.n_users) : work.find_users(ids);
  const std::unique_ptr<PreferenceModel> model = work.load_model(options.model);
  const report::UserScores scores = score_users(work, *model, users, progress);
  const auto& prepared = work.dataset.prepared;
  checkpoint::FolderWriter writer(options.out);
  const std::string json = report::users_jsonl(prepared, scores);
  checkpoint::write_file(writer.path() / "users.csv", report::users_csv(prepared, scores));
  checkpoint::write_file(writer.path() / "users.jsonl", json);
  writer.commit(kScoresKind, {{"users", users.size()}, {"settings", work.config.show()}});
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
