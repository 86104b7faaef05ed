#pragma once
/// What a run leaves for people and programs: bundles.csv, bundles.jsonl, users.csv, metrics.json, report.html. None of
/// them holds a time or a path: the same run gives the same bytes.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "host/app/bundle_quality.hpp"
#include "host/app/quality.hpp"
#include "host/app/searches.hpp"
#include "host/app/session.hpp"
#include "host/report/csv_cells.hpp"
#include "host/text/format.hpp"

namespace sheaf::report {

/// One line an offer.
std::string bundles_csv(const data::Prepared& prepared, const std::vector<app::Offer>& offers, const CsvCells& cells);
/// One JSON object a line, the same facts with lists as lists.
std::string bundles_jsonl(const data::Prepared& prepared, const std::vector<app::Offer>& offers,
                          const std::vector<double>& bounds = {});
nlohmann::json offer_json(const data::Prepared& prepared, const app::Offer& offer, size_t rank);

/// What each user is offered: the items that score highest, and the user's own bundle.
struct UserScores {
  std::vector<int32_t> users;
  int64_t length = 0;
  std::vector<int32_t> items;                     // [users, length], -1 for none
  std::vector<Bundle> bundles;                    // one a user
  std::vector<std::vector<app::Reason>> reasons;  // one an item of each bundle
  std::vector<double> bounds;                     // one a bundle (app::bounds_of), or empty
};
std::string users_csv(const data::Prepared& prepared, const UserScores& scores, const CsvCells& cells);
std::string users_jsonl(const data::Prepared& prepared, const UserScores& scores);

/// Everything that the page shows.
struct Page {
  const app::Session* session = nullptr;
  const config::Config* config = nullptr;
  const TrainReport* training = nullptr;
  const Partners* partners = nullptr;
  const app::CatalogSearch* search = nullptr;
  const std::vector<double>* user_convergence = nullptr;
  const app::Quality* quality = nullptr;
  const app::BundleQuality* bundles = nullptr;
  std::vector<int32_t> heat_items;  // the rows of the association heat map
  std::vector<double> heat_values;  // [heat_items, heat_items]
  std::string version;              // "0.1.0 (revision)"
};
/// How purchases respond to discounts, and what the offers' discounts add.
std::string response_table(const Page& page);
/// One self-contained HTML page: no script, no outside file.
std::string report_html(const Page& page);

/// Foreseen against found, for the page.
std::string reliability_tables(const app::Quality& quality);

}  // namespace sheaf::report
