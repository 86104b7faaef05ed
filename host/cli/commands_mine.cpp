// mine: the sets of items with the highest utility in a file of transactions.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/mining/high_utility.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/console.hpp"
#include "host/problems/utility_file.hpp"

namespace sheaf::cli {
namespace {

UtilityParams utility_params(const config::Config& config, const Options& options) {
  UtilityParams params;
  params.count = options.top;
  params.min_size = config.search.min_size;
  params.max_size = config.search.max_size;
  params.candidates = std::min<int64_t>(config.search.candidates, genetic::kMaxCandidates - 1);
  params.search.seed = static_cast<uint64_t>(config.run.seed);
  return params;
}

std::string sets_json(const problems::UtilityFile& file, const std::vector<UtilitySet>& sets) {
  nlohmann::ordered_json json{{"transactions", file.transactions.rows.n_rows()}, {"items", file.ids.size()}};
  json["sets"] = nlohmann::json::array();
  for (const UtilitySet& set : sets) {
    nlohmann::ordered_json entry{{"utility", set.utility}, {"transactions", set.n_transactions}};
    for (const int32_t item : set.items) entry["items"].push_back(file.ids[static_cast<size_t>(item)]);
    json["sets"].push_back(std::move(entry));
  }
  return json.dump() + "\n";
}

std::string sets_text(const problems::UtilityFile& file, const std::vector<UtilitySet>& sets) {
  Table table({">utility", ">transactions", "items"});
  for (const UtilitySet& set : sets) {
    std::string items;
    for (const int32_t item : set.items) {
      items += fmt::format("{}{}", items.empty() ? "" : " ", file.ids[static_cast<size_t>(item)]);
    }
    table.add({fmt::format("{}", set.utility), std::to_string(set.n_transactions), items});
  }
  return table.str();
}

}  // namespace

void run_mine(const Options& options) {
  const config::Config config =
      load_settings(options, {"run", "search.min_size", "search.max_size", "search.candidates"});
  const problems::UtilityFile file = problems::read_utility(options.file);
  const std::unique_ptr<Context> context = make_context(config);
  const std::vector<UtilitySet> sets = high_utility_sets(*context, file.transactions, utility_params(config, options));
  print(options.json ? sets_json(file, sets) : sets_text(file, sets));
}

}  // namespace sheaf::cli
