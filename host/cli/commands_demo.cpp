// demo: the main job from raw purchases to bundles, on the data that ships inside.

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "engine/checkpoint/file_io.hpp"
#include "engine/checkpoint/model_io.hpp"
#include "host/app/pipeline.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/console.hpp"
#include "host/cli/present.hpp"
#include "host/cli/workspace.hpp"
#include "host/data/import.hpp"
#include "host/report/report.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDemoKind = "demo";
constexpr const char* kDefaultOut = "sheaf-demo";
constexpr size_t kOffersShown = 10;
constexpr size_t kHeatItems = 24;

/// Beside the program, where it was built or installed, or where its sources were.
fs::path find_datasets() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  const std::vector<fs::path> places{program / "../share/sheaf/datasets", program / "../../../datasets",
                                     SHEAF_DATASETS};
  for (const fs::path& place : places) {
    if (fs::exists(place / "complete_journey.toml", error)) return place.lexically_normal();
  }
  throw DataError("the data that ships inside was not found in " + places.front().lexically_normal().string() + " or " +
                      places.back().string(),
                  "run the program from the folder where it was built, or use `sheaf import`");
}

/// Prints each phase with its time when it is over.
class Phases {
 public:
  Phases(const Progress& progress, int n) : progress_(progress), n_(n) {}
  void done(const std::string& name, const std::string& what) {
    const auto now = std::chrono::steady_clock::now();
    progress_.line(fmt::format("[{}/{}] {:<10} {:6.2f} s  {}", ++at_, n_, name,
                               std::chrono::duration<double>(now - last_).count(), what));
    last_ = now;
  }
  double total() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  const Progress& progress_;
  int n_, at_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now(), last_ = start_;
};

double peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

/// The most wanted items and their pairwise association, for the heat map.
void fill_heat_map(Context& context, const PreferenceModel& model, const config::Config& config, report::Page& page) {
  const std::vector<float> wanted = mean_probability(context, model.scorer(context));
  std::vector<int32_t> items(wanted.size());
  for (size_t i = 0; i < items.size(); ++i) items[i] = static_cast<int32_t>(i);
  std::ranges::stable_sort(items, std::ranges::greater{}, [&](int32_t i) { return wanted[static_cast<size_t>(i)]; });
  items.resize(std::min(items.size(), kHeatItems));
  const std::vector<float> vectors = model.item_vectors(context).to_host();
  const double scale = config.associate.scale == "dim" ? 1.0 / static_cast<double>(model.dim()) : 1.0;
  const auto product = [&](int32_t i, int32_t j) {
    double sum = 0;
    for (int64_t c = 0; c < model.dim(); ++c) {
      sum += static_cast<double>(vectors[static_cast<size_t>(i * model.dim() + c)]) *
             static_cast<double>(vectors[static_cast<size_t>(j * model.dim() + c)]);
    }
    return sum;
  };
  for (const int32_t i : items) {
    for (const int32_t j : items) {
      const double lengths = std::sqrt(product(i, i) * product(j, j));
      page.heat_values.push_back(lengths > 0 ? scale * std::max(0.0, product(i, j) / lengths) : 0.0);
    }
  }
  page.heat_items = std::move(items);
}

void write_file(const checkpoint::FolderWriter& writer, const char* name, const std::string& text) {
  checkpoint::OutputFile file(writer.path() / name);
  file.append(text);
  file.finish();
}

}  // namespace

void run_demo(const Options& options) {
  const Progress progress(options.quiet);
  const config::Config config = load_settings(options);
  const fs::path out = options.out.empty() ? fs::path(kDefaultOut) : options.out;
  checkpoint::check_target(out, kDemoKind);
  checkpoint::FolderWriter writer(out);
  const std::unique_ptr<Context> context = make_context(config);
  progress.line(fmt::format(
      "Sheaf {} on {}, seed {}", version_text(),
      context->on_cpu() ? fmt::format("cpu ({} threads)", context->n_threads()) : to_string(context->device()),
      config.run.seed));
  Phases phases(progress, 7);

  const fs::path datasets = find_datasets();
  auto [prepared, import_report] =
      data::import_file(datasets / "complete_journey" / "transactions.csv.gz",
                        data::load_import_config(datasets / "complete_journey.toml"), context->n_threads());
  data::save_prepared(prepared, writer.path() / "data");
  phases.done("import", fmt::format("{} lines read, {} kept: {} users, {} items, {} baskets",
                                    report::with_commas(import_report.rows_read),
                                    report::with_commas(import_report.rows_kept), report::with_commas(prepared.n_users),
                                    report::with_commas(prepared.n_items), report::with_commas(prepared.n_baskets)));

  const app::Dataset dataset(std::move(prepared), config);
  const app::TrainedModel trained = app::train_model(*context, dataset, config);
  checkpoint::save_model(trained.model.state(), training_notes(config, dataset.prepared, trained.report),
                         writer.path() / "model");
  const EpochReport& best = trained.report.epochs[static_cast<size_t>(trained.report.best_epoch - 1)];
  phases.done("train", fmt::format("{} epochs, the best is {} with validation NDCG@10 {:.4f}",
                                   trained.report.epochs.size(), trained.report.best_epoch, best.validation_ndcg));

  const PairCounts counts = app::count_training_pairs(*context, dataset, config);
  const Partners partners = app::associate(*context, &trained.model, counts, config, config.associate.k);
  phases.done("associate", fmt::format("{} pairs counted in {} baskets; {} partners an item by {}",
                                       report::with_commas(static_cast<int64_t>(counts.counts.size()) / 2),
                                       report::with_commas(counts.n_baskets), partners.k, config.associate.by));

  const app::CatalogSearch search = app::search_catalog(*context, dataset, trained.model, counts, config);
  phases.done("search", fmt::format("{} of {} searches feasible, {} bundles chosen", search.n_feasible,
                                    search.n_anchors, search.offers.size()));

  std::vector<int32_t> users(static_cast<size_t>(dataset.prepared.n_users));
  for (size_t u = 0; u < users.size(); ++u) users[u] = static_cast<int32_t>(u);
  const SearchResult own = app::search_users(*context, dataset, trained.model, counts, config, users);
  report::UserScores scores;
  scores.users = users;
  scores.length = std::min(config.search.top_items, dataset.prepared.n_items);
  scores.items = top_items(*context, trained.model.scorer(*context), nullptr, scores.length).items.to_host();
  scores.bundles = own.bundles;
  phases.done("score",
              fmt::format("{} users, each with a bundle of their own", report::with_commas(dataset.prepared.n_users)));

  const app::Quality quality = app::evaluate(*context, dataset, trained.model, config, own.bundles);
  phases.done("evaluate",
              fmt::format("{} users with purchases in the test period", quality.ranked.front().at.front().n_users));

  report::Page page{.dataset = &dataset,
                    .config = &config,
                    .training = &trained.report,
                    .partners = &partners,
                    .search = &search,
                    .user_convergence = &own.convergence,
                    .quality = &quality,
                    .heat_items = {},
                    .heat_values = {},
                    .version = version_text()};
  fill_heat_map(*context, trained.model, config, page);
  const std::string metrics = app::to_json(quality).dump(2) + "\n";
  write_file(writer, "bundles.csv", report::bundles_csv(dataset.prepared, search.offers));
  write_file(writer, "bundles.jsonl", report::bundles_jsonl(dataset.prepared, search.offers));
  write_file(writer, "users.csv", report::users_csv(dataset.prepared, scores));
  write_file(writer, "metrics.json", metrics);
  write_file(writer, "report.html", report::report_html(page));
  writer.commit(kDemoKind, {{"settings", config.show()}, {"program", version_text()}});
  phases.done("report", "bundles.csv, bundles.jsonl, users.csv, metrics.json, report.html");
  progress.line(fmt::format("{:.1f} s in all, peak memory {}\n", phases.total(), as_bytes(peak_memory_bytes())));

  if (options.json) {
    nlohmann::json offers = nlohmann::json::array();
    for (size_t r = 0; r < search.offers.size(); ++r)
      offers.push_back(report::offer_json(dataset.prepared, search.offers[r], r + 1));
    print(nlohmann::json{{"bundles", offers}, {"quality", app::to_json(quality)}, {"out", out.string()}}.dump(
              2, ' ', false, nlohmann::json::error_handler_t::replace) +
          "\n");
    return;
  }
  print(offers_text(dataset.prepared, search.offers, kOffersShown) + "\n" +
        quality_text(quality, dataset.prepared.currency) + "\nReport: " + fs::absolute(out / "report.html").string() +
        "\n");
}

}  // namespace sheaf::cli
