// search --like: new bundles like those that people made.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/io/file_io.hpp"
#include "engine/io/folder.hpp"
#include "host/app/completion.hpp"
#include "host/app/like_search.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/console.hpp"
#include "host/cli/workspace.hpp"
#include "host/report/report.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {
namespace {

constexpr const char* kLikeKind = "bundles";
constexpr size_t kLikeShown = 10, kLikeNameWidth = 60;

void refuse_other_searches(const Options& options) {
  refuse_given({{"--model", !options.model.empty()},
                {"--user", !options.users.empty()},
                {"--users", !options.users_file.empty()},
                {"--item", !options.item.empty()},
                {"--together", options.together},
                {"--bound", options.bound},
                {"--write-problem", !options.write_problem.empty()},
                {"--front", options.front}},
               "with --like",
               "leave it out: --like searches for the catalog, from the file's bundles, names and categories alone");
  if (options.out.empty()) throw UsageError("--like needs --out", "sheaf search data --like bundles.csv --out like");
}

std::string_view category_of(const data::Prepared& prepared, int32_t item) {
  return prepared.category_names[prepared.item_category[static_cast<size_t>(item)]];
}

std::string like_csv(const data::Prepared& prepared, const std::vector<app::LikeBundle>& bundles,
                     const report::CsvCells& cells) {
  std::string out = "rank,item_ids,item_names,categories,size,price,currency,affinity,known_pairs\n";
  for (size_t r = 0; r < bundles.size(); ++r) {
    const app::LikeBundle& bundle = bundles[r];
    out += fmt::format("{},{},{},{},{},{:.2f},{},{:.6g},{}\n", r + 1,
                       cells.list_of(bundle.items, [&](int32_t i) { return prepared.item_ids[i]; }),
                       cells.list_of(bundle.items, [&](int32_t i) { return prepared.item_names[i]; }),
                       cells.list_of(bundle.items, [&](int32_t i) { return category_of(prepared, i); }),
                       bundle.items.size(), bundle.price, cells.text(prepared.currency), bundle.affinity,
                       bundle.known_pairs);
  }
  return out;
}

std::string like_jsonl(const data::Prepared& prepared, const std::vector<app::LikeBundle>& bundles) {
  std::string out;
  for (size_t r = 0; r < bundles.size(); ++r) {
    nlohmann::json items = nlohmann::json::array();
    for (const int32_t item : bundles[r].items) {
      items.push_back({{"id", std::string(prepared.item_ids[item])},
                       {"name", std::string(prepared.item_names[item])},
                       {"category", std::string(category_of(prepared, item))},
                       {"price", prepared.item_price[static_cast<size_t>(item)]}});
    }
    const nlohmann::json json{{"rank", r + 1},
                              {"items", items},
                              {"price", bundles[r].price},
                              {"currency", prepared.currency},
                              {"affinity", bundles[r].affinity},
                              {"known_pairs", bundles[r].known_pairs}};
    out += json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }
  return out;
}

std::string like_text(const data::Prepared& prepared, const std::vector<app::LikeBundle>& bundles) {
  Table table({">#", "items", ">affinity", ">known pairs"});
  for (size_t r = 0; r < std::min(bundles.size(), kLikeShown); ++r) {
    for (size_t m = 0; m < bundles[r].items.size(); ++m) {
      const std::string name =
          (m == 0 ? "" : "+ ") + text::shortened(std::string(prepared.item_names[bundles[r].items[m]]), kLikeNameWidth);
      table.add(m > 0
                    ? std::vector<std::string>{"", name, "", ""}
                    : std::vector<std::string>{std::to_string(r + 1), name, fmt::format("{:.4f}", bundles[r].affinity),
                                               std::to_string(bundles[r].known_pairs)});
    }
  }
  return table.str();
}

}  // namespace

void run_like(const Options& options) {
  refuse_other_searches(options);
  const Progress progress(options.quiet);
  io::FolderWriter writer(options.out, kLikeKind);
  Workspace work(options);
  const data::Prepared& prepared = work.session.prepared;
  const data::GivenBundles given = data::read_given_bundles(options.like, prepared, *work.context);
  progress.line(app::given_text(given));
  const CompletionScorer scorer = app::completion_scorer(work.session, &given);
  const app::LikeSearch found = app::search_like(work.session, scorer, given.matrix(prepared.n_items, 2));
  progress.line(fmt::format("{} searches, {} sets were given ones or lie within one, {} bundles taken, in {:.2f} s",
                            found.n_searches, found.n_copies, found.bundles.size(), found.seconds));
  const std::string json = like_jsonl(prepared, found.bundles);
  io::write_file(writer.path() / "bundles.csv",
                 like_csv(prepared, found.bundles, report::CsvCells(work.config.run.guard_formulas)));
  io::write_file(writer.path() / "bundles.jsonl", json);
  writer.commit({{"settings", result_settings(work.config)}});
  progress.line("wrote " + options.out.string());
  print(options.json ? json : like_text(prepared, found.bundles));
}

}  // namespace sheaf::cli
