// train, evaluate.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/io/file_io.hpp"
#include "engine/io/folder.hpp"
#include "engine/models/model_file.hpp"
#include "host/app/bundle_quality.hpp"
#include "host/app/checkpoint_folder.hpp"
#include "host/app/joint.hpp"
#include "host/app/learned_rows.hpp"
#include "host/app/quality.hpp"
#include "host/app/training.hpp"
#include "host/cli/bundle_text.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/console.hpp"
#include "host/cli/present.hpp"
#include "host/cli/workspace.hpp"
#include "host/report/report.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {
namespace {

constexpr const char* kEvaluationKind = "evaluation";

}  // namespace

void run_train(const Options& options) {
  const Progress progress(options.quiet);
  io::FolderWriter writer(options.out, io::kModelKind);
  Workspace work(options);
  const auto note = [&](const std::string& line) { progress.line("note: " + line); };
  std::filesystem::path place = io::behind_link(options.out);
  place += ".checkpoints";
  app::CheckpointFolder checkpoints(place, work.config, work.session.prepared,
                                    {.seconds = options.checkpoint_seconds, .resume = options.resume, .on_note = note});
  double shown_rate = std::numeric_limits<double>::quiet_NaN();  // of the last line
  const app::Training trained = [&] {
    try {
      return app::train_model(
          work.session,
          [&](const EpochReport& epoch) {
            if (!std::isfinite(epoch.validation_ndcg) && epoch.epoch != 1) return;
            progress.line(epoch_text(epoch, shown_rate));
            shown_rate = epoch.learning_rate;
          },
          note, &checkpoints);
    } catch (const Interrupted&) {
      if (checkpoints.has_put()) note("the last epoch is kept in " + place.string() + "; --resume goes on from it");
      throw;
    }
  }();
  io::save_model(work.session.model(), training_notes(work.config, work.session.prepared, trained), writer);
  checkpoints.clear();
  if (trained.held_back_baskets > 0) {
    progress.line(
        fmt::format("no validation period: choices and chances are those of a model that did not see the newest {} "
                    "training baskets",
                    trained.held_back_baskets));
  } else if (!trained.calibrated) {
    progress.line("no validation period and too few baskets to hold some back: chances are not calibrated");
  }
  if (trained.refitted_lines > 0) progress.line(refit_text(trained));
  progress.line(fmt::format("wrote {} in {:.1f} s on {}", options.out.string(), trained.seconds,
                            to_string(work.context->device())));
  const EpochReport& best = trained.best();
  if (options.json) {
    print(nlohmann::json{{"epochs", trained.report.epochs.size()},
                         {"best_epoch", trained.report.best_epoch},
                         {"stopped_early", trained.report.stopped_early},
                         {"train_loss", best.train_loss},
                         {"validation_ndcg", best.validation_ndcg},
                         {"validation_recall", best.validation_recall}}
              .dump(2) +
          "\n");
    return;
  }
  print(fmt::format("kept {}\n", epoch_text(best)));
}

void run_evaluate(const Options& options) {
  const Progress progress(options.quiet);
  std::optional<io::FolderWriter> writer;
  if (!options.out.empty()) writer.emplace(options.out, kEvaluationKind);
  Workspace work(options);
  const nlohmann::json learned = work.load_model(options.model);
  const app::Session& session = work.session;
  std::vector<std::string> notes;
  for (std::string note : {app::check_unseen(learned, session.prepared, {work.config.search.history == "train"}),
                           known_validation(session)}) {
    if (!note.empty()) notes.push_back(std::move(note));
  }
  const app::FoundBundles found = app::find_bundles(session);
  const app::Quality quality = app::evaluate(session, found.users);
  const app::BundleQuality bundles = app::measure_bundle_quality(session, found);
  const app::PriceResponses& responses = session.price_responses();
  const UsedResponse used = app::used_response(session);
  nlohmann::json measured = app::to_json(quality);
  measured["bundles"] = app::to_json(bundles);
  measured["price_response"] = app::to_json(responses, used);
  measured["notes"] = notes;
  std::string chances;
  if (app::ObjectiveTerms::parse(work.config.search.objective).is_joint()) {
    measured["chances"] = app::to_json(session.joint());
    chances = app::joint_text(session.joint());
  }
  const std::string json = measured.dump(2) + "\n";
  if (writer) {
    io::write_file(writer->path() / "metrics.json", json);
    writer->commit(nlohmann::json::object());
    progress.line("wrote " + options.out.string());
  }
  const std::string& currency = session.prepared.currency;
  std::string noted;
  for (const std::string& note : notes) noted += "note: " + note + "\n";
  print(options.json ? json
                     : noted + quality_text(quality, currency) + "\n" + bundle_quality_text(bundles, currency) + "\n" +
                           app::response_text(responses, used) + "\n" + chances + reliability_text(quality));
}

}  // namespace sheaf::cli
