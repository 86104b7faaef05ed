// train, associate, evaluate.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/checkpoint/file_io.hpp"
#include "engine/checkpoint/folder.hpp"
#include "engine/checkpoint/model_io.hpp"
#include "host/app/pipeline.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/console.hpp"
#include "host/cli/present.hpp"
#include "host/cli/workspace.hpp"
#include "host/report/report.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {
namespace {

constexpr const char* kAssociationKind = "association";
constexpr const char* kEvaluationKind = "evaluation";
constexpr size_t kPairsShown = 20;

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

/// One listed pair with everything that was counted of it.
struct PairFacts {
  int32_t item, partner;
  double score, support, confidence, lift;
  int64_t count;
};

std::vector<PairFacts> pair_facts(const Partners& partners, const PairCounts& counts) {
  std::vector<PairFacts> pairs;
  for (int64_t i = 0; i < partners.n_items; ++i) {
    for (int64_t r = 0; r < partners.k; ++r) {
      const auto at = static_cast<size_t>(i * partners.k + r);
      const auto item = static_cast<int32_t>(i);
      const int32_t partner = partners.items[at];
      if (partner < 0) break;
      pairs.push_back({item, partner, static_cast<double>(partners.scores[at]),
                       counts.measure(association::Measure::support, item, partner),
                       counts.measure(association::Measure::confidence, item, partner),
                       counts.measure(association::Measure::lift, item, partner), counts.count(item, partner)});
    }
  }
  return pairs;
}

std::string pairs_csv(const data::Prepared& prepared, const std::vector<PairFacts>& pairs) {
  std::string out = "item_id,item_name,partner_id,partner_name,score,baskets,support,confidence,lift\n";
  for (const PairFacts& p : pairs) {
    out += fmt::format(
        "{},{},{},{},{:.6g},{},{:.6g},{:.6g},{:.6g}\n", quoted(std::string(prepared.item_ids[p.item])),
        quoted(std::string(prepared.item_names[p.item])), quoted(std::string(prepared.item_ids[p.partner])),
        quoted(std::string(prepared.item_names[p.partner])), p.score, p.count, p.support, p.confidence, p.lift);
  }
  return out;
}

}  // namespace

void run_train(const Options& options) {
  const Progress progress(options.quiet);
  checkpoint::check_target(options.out, checkpoint::kModelKind);
  Workspace work(options);
  const app::TrainedModel trained =
      app::train_model(*work.context, work.dataset, work.config, [&](const EpochReport& epoch) {
        if (std::isfinite(epoch.validation_ndcg) || epoch.epoch == 1) progress.line(epoch_text(epoch));
      });
  checkpoint::save_model(trained.model.state(), training_notes(work.config, work.dataset.prepared, trained.report),
                         options.out);
  progress.line(fmt::format("wrote {} in {:.1f} s on {}", options.out.string(), trained.seconds,
                            to_string(work.context->device())));
  const EpochReport& best = trained.report.epochs[static_cast<size_t>(trained.report.best_epoch - 1)];
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

void run_associate(const Options& options) {
  const Progress progress(options.quiet);
  checkpoint::check_target(options.out, kAssociationKind);
  Workspace work(options);
  std::unique_ptr<PreferenceModel> model;
  if (work.config.associate.by == "cosine") {
    if (options.model.empty()) {
      throw UsageError("associate.by = cosine needs a model",
                       "give --model, or --set associate.by=lift to count baskets");
    }
    model = work.load_model(options.model);
  }
  const PairCounts counts = app::count_training_pairs(*work.context, work.dataset, work.config);
  const Partners partners = app::associate(*work.context, model.get(), counts, work.config, work.config.associate.k);
  std::vector<PairFacts> pairs = pair_facts(partners, counts);

  checkpoint::FolderWriter writer(options.out);
  checkpoint::OutputFile file(writer.path() / "pairs.csv");
  file.append(pairs_csv(work.dataset.prepared, pairs));
  file.finish();
  writer.commit(kAssociationKind, {{"by", work.config.associate.by}, {"pairs", pairs.size()}});
  progress.line("wrote " + options.out.string());

  std::ranges::stable_sort(pairs, std::ranges::greater{}, &PairFacts::score);
  std::erase_if(pairs, [](const PairFacts& p) { return p.item > p.partner; });
  pairs.resize(std::min(pairs.size(), kPairsShown));
  const auto& prepared = work.dataset.prepared;
  if (options.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const PairFacts& p : pairs) {
      list.push_back({{"item", std::string(prepared.item_ids[p.item])},
                      {"item_name", std::string(prepared.item_names[p.item])},
                      {"partner", std::string(prepared.item_ids[p.partner])},
                      {"partner_name", std::string(prepared.item_names[p.partner])},
                      {"score", p.score},
                      {"baskets", p.count},
                      {"support", p.support},
                      {"confidence", p.confidence},
                      {"lift", p.lift}});
    }
    print(list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    return;
  }
  Table table({"item", "partner", ">" + work.config.associate.by, ">baskets", ">support", ">confidence", ">lift"});
  for (const PairFacts& p : pairs) {
    table.add({shortened(std::string(prepared.item_names[p.item]), 36),
               shortened(std::string(prepared.item_names[p.partner]), 36), fmt::format("{:.4f}", p.score),
               std::to_string(p.count), fmt::format("{:.5f}", p.support), fmt::format("{:.3f}", p.confidence),
               fmt::format("{:.2f}", p.lift)});
  }
  print(table.str());
}

void run_evaluate(const Options& options) {
  const Progress progress(options.quiet);
  if (!options.out.empty()) checkpoint::check_target(options.out, kEvaluationKind);
  Workspace work(options);
  const std::unique_ptr<PreferenceModel> model = work.load_model(options.model);
  const PairCounts counts = app::count_training_pairs(*work.context, work.dataset, work.config);
  const SearchResult own =
      app::search_users(*work.context, work.dataset, *model, counts, work.config, work.all_users());
  const app::Quality quality = app::evaluate(*work.context, work.dataset, *model, work.config, own.bundles);
  const std::string json = app::to_json(quality).dump(2) + "\n";
  if (!options.out.empty()) {
    checkpoint::FolderWriter writer(options.out);
    checkpoint::OutputFile file(writer.path() / "metrics.json");
    file.append(json);
    file.finish();
    writer.commit(kEvaluationKind, nlohmann::json::object());
    progress.line("wrote " + options.out.string());
  }
  print(options.json ? json : quality_text(quality, work.dataset.prepared.currency));
}

}  // namespace sheaf::cli
