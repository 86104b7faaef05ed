// demo: the main job from raw purchases to bundles, on the data that ships inside.

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "engine/io/file_io.hpp"
#include "engine/models/model_file.hpp"
#include "host/app/association.hpp"
#include "host/app/bundle_quality.hpp"
#include "host/app/joint.hpp"
#include "host/app/training.hpp"
#include "host/cli/bundle_text.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/console.hpp"
#include "host/cli/present.hpp"
#include "host/cli/workspace.hpp"
#include "host/data/import.hpp"
#include "host/report/report.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/range.hpp"

namespace sheaf::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDemoKind = "demo";
constexpr const char* kDefaultOut = "sheaf-demo";
constexpr size_t kOffersShown = 10;
constexpr int64_t kHeatItems = 24;

/// What SHEAF_DATASETS names; else beside the program, where it was built or installed, or where its sources were.
fs::path find_datasets() {
  std::error_code error;
  if (const char* named = std::getenv("SHEAF_DATASETS")) {
    if (fs::exists(fs::path(named) / "complete_journey.toml", error)) return named;
    throw DataError(fmt::format("SHEAF_DATASETS names {}, which holds no complete_journey.toml", named),
                    "name the folder datasets of the sources, or unset it");
  }
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  const std::vector<fs::path> places{program / "../share/sheaf/datasets", program / "../../../datasets",
                                     SHEAF_DATASETS};
  for (const fs::path& place : places) {
    if (fs::exists(place / "complete_journey.toml", error)) return place.lexically_normal();
  }
  throw DataError("the data that ships inside was not found in " + places.front().lexically_normal().string() + " or " +
                      places.back().string(),
                  "set SHEAF_DATASETS to the folder datasets of the sources, or use `sheaf import`");
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

/// The catalog's bundles; none, and why in `missing`, where no bundle meets the constraints: the rest of the job does
/// not need them.
app::CatalogSearch find_catalog(const app::Session& session, std::string& missing) {
  try {
    return app::search_catalog(session);
  } catch (const app::NoBundle& error) {
    missing = error.what();
    app::CatalogSearch none;
    none.fewer = missing;
    return none;
  }
}

/// The users' bundles likewise; without items where there are none.
SearchResult find_own(const app::Session& session, const std::vector<int32_t>& users, std::string& missing) {
  try {
    return app::search_users(session, users);
  } catch (const app::NoBundle& error) {
    missing = error.what();
    SearchResult none;
    for (const int32_t user : users) none.bundles.push_back(Bundle{user, {}, {}, 0.0f, 1.0f, 0.0f});
    return none;
  }
}

/// The best items and the bundle of every user, and the convergence of those searches.
std::pair<report::UserScores, std::vector<double>> score_everyone(const app::Session& session, std::string& missing) {
  const Range range("score");
  Context& context = session.context();
  report::UserScores scores;
  scores.users = app::all_ids(session.prepared.n_users);
  SearchResult own = find_own(session, scores.users, missing);
  scores.length = std::min(session.config().search.top_items, session.prepared.n_items);
  const Queries everyone = Queries::everyone(context, session.prepared.n_users);
  scores.items = session.scorer().top_k(context, everyone, scores.length).items.to_host();
  scores.bundles = std::move(own.bundles);
  for (const Bundle& bundle : scores.bundles) scores.reasons.push_back(app::reasons_of(session, bundle));
  return {std::move(scores), std::move(own.convergence)};
}

}  // namespace

void run_demo(const Options& options) {
  const Progress progress(options.quiet);
  const config::Config config = load_settings(options);
  const fs::path out = options.out.empty() ? fs::path(kDefaultOut) : options.out;
  io::FolderWriter writer(out, kDemoKind);
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
                                    text::with_commas(import_report.rows_read),
                                    text::with_commas(import_report.rows_kept), text::with_commas(prepared.n_users),
                                    text::with_commas(prepared.n_items), text::with_commas(prepared.n_baskets)));

  app::Session session(*context, config, std::move(prepared));
  const app::Training trained =
      app::train_model(session, {}, [&](const std::string& note) { progress.line("note: " + note); });
  io::save_model(session.model(), training_notes(config, session.prepared, trained), writer.path() / "model");
  phases.done("train", training_text(trained.report));
  if (trained.refitted_lines > 0) progress.line("             " + refit_text(trained));
  note_known_validation(session, progress);

  const PairCounts& counts = session.pair_counts();
  const Partners partners = app::associate(session, counts, config.associate.k);
  phases.done("associate", fmt::format("{} pairs counted in {} baskets; {} partners an item by {}",
                                       text::with_commas(static_cast<int64_t>(counts.counts.size()) / 2),
                                       text::with_commas(counts.n_baskets), partners.k, session.association_by()));

  std::string catalog_missing, users_missing;
  const app::CatalogSearch search = find_catalog(session, catalog_missing);
  phases.done("search", catalog_missing.empty() ? fmt::format("{} of {} searches feasible, {} bundles chosen",
                                                              search.n_feasible, search.n_anchors, search.offers.size())
                                                : "no bundle for the catalog");
  if (!search.fewer.empty()) progress.line("             " + search.fewer);

  auto [scores, convergence] = score_everyone(session, users_missing);
  phases.done("score", text::with_commas(session.prepared.n_users) + " users, " +
                           (users_missing.empty() ? "each with a bundle of their own" : "none with a bundle"));
  if (!users_missing.empty()) progress.line("             " + users_missing);

  const app::Quality quality = app::evaluate(session, scores.bundles);
  const app::BundleQuality bundles = app::measure_bundle_quality(
      session,
      {users_missing.empty() ? scores.bundles : std::vector<Bundle>(), search.offers, users_missing, catalog_missing});
  phases.done("evaluate",
              fmt::format("{} users with purchases in the test period", quality.ranked.front().at.front().n_users));

  const Range range("report");
  report::Page page{.session = &session,
                    .config = &config,
                    .training = &trained.report,
                    .partners = &partners,
                    .search = &search,
                    .user_convergence = &convergence,
                    .quality = &quality,
                    .bundles = &bundles,
                    .heat_items = {},
                    .heat_values = {},
                    .version = version_text()};
  page.heat_items = app::most_wanted(session, kHeatItems);
  page.heat_values = app::association_matrix(session, page.heat_items);
  const app::PriceResponses& responses = session.price_responses();
  const UsedResponse used = app::used_response(session);
  nlohmann::json measured = app::to_json(quality);
  measured["bundles"] = app::to_json(bundles);
  measured["price_response"] = app::to_json(responses, used);
  if (app::ObjectiveTerms::parse(config.search.objective).is_joint()) {
    measured["chances"] = app::to_json(session.joint());
  }
  const std::string metrics = measured.dump(2) + "\n";
  const report::CsvCells cells(config.run.guard_formulas);
  io::write_file(writer.path() / "bundles.csv", report::bundles_csv(session.prepared, search.offers, cells));
  io::write_file(writer.path() / "bundles.jsonl", report::bundles_jsonl(session.prepared, search.offers));
  io::write_file(writer.path() / "users.csv", report::users_csv(session.prepared, scores, cells));
  io::write_file(writer.path() / "metrics.json", metrics);
  io::write_file(writer.path() / "report.html", report::report_html(page));
  writer.commit({{"settings", result_settings(config)}, {"program", version_text()}});
  phases.done("report", "bundles.csv, bundles.jsonl, users.csv, metrics.json, report.html");
  progress.line(fmt::format("{:.1f} s in all, peak memory {}\n", phases.total(), as_bytes(peak_memory_bytes())));

  if (options.json) {
    nlohmann::json offers = nlohmann::json::array();
    for (size_t r = 0; r < search.offers.size(); ++r)
      offers.push_back(report::offer_json(session.prepared, search.offers[r], r + 1));
    print(nlohmann::json{{"bundles", offers}, {"quality", measured}, {"out", out.string()}}.dump(
              2, ' ', false, nlohmann::json::error_handler_t::replace) +
          "\n");
    return;
  }
  const std::string offers = search.offers.empty()
                                 ? std::string()
                                 : offers_text(session.prepared, search.offers, kOffersShown) +
                                       app::objective_text(config, search.period_days, session.prepared.currency) +
                                       "\n\n" + app::verdict_text(search.offers, config) + "\n";
  print(offers + app::response_text(responses, used) + "\n" + quality_text(quality, session.prepared.currency) + "\n" +
        bundle_quality_short(bundles, session.prepared.currency) +
        "\nReport: " + fs::absolute(out / "report.html").string() + "\n");
}

}  // namespace sheaf::cli
