// associate: pairs of items that belong together, or one item's partners by every measure.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "engine/io/file_io.hpp"
#include "engine/io/folder.hpp"
#include "host/app/association.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/console.hpp"
#include "host/cli/related_items.hpp"
#include "host/cli/workspace.hpp"
#include "host/data/find_item.hpp"
#include "host/report/report.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {
namespace {

using association::Measure;

constexpr const char* kAssociationKind = "association";
constexpr const char* kPairsStart = "item_id,item_name,partner_id,partner_name";
constexpr size_t kPairsShown = 20, kSeparateShown = 10;
constexpr size_t kPartnerWidth = 36;
constexpr std::array kMeasures{Measure::support,    Measure::confidence, Measure::lift,  Measure::leverage,
                               Measure::conviction, Measure::jaccard,    Measure::cosine};

/// One listed pair with everything that was counted of it.
struct PairFacts {
  int32_t item, partner;
  double score;
  int64_t baskets;
  double expected;  // baskets with both if the two had nothing to do with each other
  std::array<double, kMeasures.size()> measures;

  double lift() const { return measures[2]; }
};

/// Rows of `lists` in order, each by descending score, then ascending id.
std::vector<PairFacts> pair_facts(const HostCsr& lists, const PairCounts& counts) {
  std::vector<PairFacts> pairs;
  const auto n = static_cast<double>(std::max<int64_t>(counts.n_baskets, 1));
  for (int64_t i = 0; i < lists.n_rows(); ++i) {
    const auto first = static_cast<std::ptrdiff_t>(pairs.size());
    const auto item = static_cast<int32_t>(i);
    for (auto e = lists.row_offsets[static_cast<size_t>(i)]; e < lists.row_offsets[static_cast<size_t>(i) + 1]; ++e) {
      const int32_t partner = lists.columns[static_cast<size_t>(e)];
      PairFacts& p = pairs.emplace_back();
      p.item = item;
      p.partner = partner;
      p.score = static_cast<double>(lists.values[static_cast<size_t>(e)]);
      p.baskets = counts.count(item, partner);
      p.expected = static_cast<double>(counts.item_counts[static_cast<size_t>(item)]) *
                   static_cast<double>(counts.item_counts[static_cast<size_t>(partner)]) / n;
      for (size_t m = 0; m < kMeasures.size(); ++m) p.measures[m] = counts.measure(kMeasures[m], item, partner);
    }
    std::stable_sort(pairs.begin() + first, pairs.end(),
                     [](const PairFacts& a, const PairFacts& b) { return a.score > b.score; });
  }
  return pairs;
}

std::string pairs_csv(const data::Prepared& prepared, const std::vector<PairFacts>& pairs,
                      const report::CsvCells& cells) {
  std::string out = std::string(kPairsStart) + ",score,baskets,expected";
  for (const Measure measure : kMeasures) out += std::string(",") + to_string(measure);
  out += "\n";
  for (const PairFacts& p : pairs) {
    out += fmt::format("{},{},{},{},{:.6g},{},{:.6g}", cells.text(prepared.item_ids[p.item]),
                       cells.text(prepared.item_names[p.item]), cells.text(prepared.item_ids[p.partner]),
                       cells.text(prepared.item_names[p.partner]), p.score, p.baskets, p.expected);
    for (const double value : p.measures) out += fmt::format(",{:.6g}", value);
    out += "\n";
  }
  return out;
}

/// JSON has no infinity: conviction of an item that never comes without its partner is null.
nlohmann::json json_number(double value) { return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(); }

nlohmann::json to_json(const data::Prepared& prepared, const PairFacts& p) {
  nlohmann::json json{{"item", std::string(prepared.item_ids[p.item])},
                      {"item_name", std::string(prepared.item_names[p.item])},
                      {"partner", std::string(prepared.item_ids[p.partner])},
                      {"partner_name", std::string(prepared.item_names[p.partner])},
                      {"score", json_number(p.score)},
                      {"baskets", p.baskets},
                      {"expected", p.expected}};
  for (size_t m = 0; m < kMeasures.size(); ++m) json[to_string(kMeasures[m])] = json_number(p.measures[m]);
  return json;
}

std::string as_text(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string name_of(const data::Prepared& prepared, int32_t item) {
  return text::shortened(std::string(prepared.item_names[item]), kPartnerWidth);
}

std::string pairs_table(const data::Prepared& prepared, const std::vector<PairFacts>& pairs, const std::string& by) {
  Table table({"item", "partner", ">" + by, ">baskets", ">by chance", ">support", ">confidence", ">lift"});
  for (const PairFacts& p : pairs) {
    table.add({name_of(prepared, p.item), name_of(prepared, p.partner), fmt::format("{:.4f}", p.score),
               std::to_string(p.baskets), fmt::format("{:.1f}", p.expected), fmt::format("{:.5f}", p.measures[0]),
               fmt::format("{:.3f}", p.measures[1]), fmt::format("{:.2f}", p.lift())});
  }
  return table.str();
}

/// Each pair once, whichever way comes first.
void keep_one_way(std::vector<PairFacts>& pairs) {
  std::set<std::pair<int32_t, int32_t>> seen;
  std::erase_if(pairs, [&](const PairFacts& p) { return !seen.insert(std::minmax(p.item, p.partner)).second; });
}

/// The highest scores first.
std::vector<PairFacts> best_pairs(std::vector<PairFacts> pairs) {
  std::ranges::stable_sort(pairs, std::ranges::greater{}, &PairFacts::score);
  keep_one_way(pairs);
  pairs.resize(std::min(pairs.size(), kPairsShown));
  return pairs;
}

/// Listed pairs that are bought together less often than chance would have it: those that miss the most baskets first.
std::vector<PairFacts> separate_pairs(std::vector<PairFacts> pairs) {
  const auto missing = [](const PairFacts& p) { return p.expected - static_cast<double>(p.baskets); };
  std::erase_if(pairs, [](const PairFacts& p) { return p.lift() >= 1.0; });
  std::ranges::stable_sort(pairs, std::ranges::greater{}, missing);
  keep_one_way(pairs);
  pairs.resize(std::min(pairs.size(), kSeparateShown));
  return pairs;
}

double cosine(const std::vector<float>& vectors, int64_t dim, int32_t i, int32_t j) {
  double ij = 0, ii = 0, jj = 0;
  for (int64_t c = 0; c < dim; ++c) {
    const auto a = static_cast<double>(vectors[static_cast<size_t>(i * dim + c)]);
    const auto b = static_cast<double>(vectors[static_cast<size_t>(j * dim + c)]);
    ij += a * b;
    ii += a * a;
    jj += b * b;
  }
  return ii > 0 && jj > 0 ? ij / std::sqrt(ii * jj) : 0.0;
}

/// Cosines of learned vectors, a column each of the table of one item.
struct Learned {
  std::string name;
  std::vector<float> vectors;
  int64_t dim;
};

std::vector<Learned> learned_columns(const Workspace& work) {
  std::vector<Learned> columns;
  if (!work.session.has_model() || work.session.item_vectors().empty()) return columns;
  for (const char* by : {"cosine", "gcn"}) {
    const Vectors& vectors = work.session.learned_vectors(by);
    columns.push_back({by, vectors.values.to_host(), vectors.dim});
  }
  return columns;
}

void print_item(const Workspace& work, const std::vector<PairFacts>& pairs, int32_t item, const PairCounts& counts,
                const std::vector<Learned>& learned, bool as_json) {
  const data::Prepared& prepared = work.session.prepared;
  if (as_json) {
    nlohmann::json list = nlohmann::json::array();
    for (const PairFacts& p : pairs) {
      nlohmann::json& json = list.emplace_back(to_json(prepared, p));
      for (const Learned& l : learned) json[l.name] = cosine(l.vectors, l.dim, p.item, p.partner);
    }
    nlohmann::json json = RelatedItems(work.session, item).to_json(work.config.associate.k);
    json["partners"] = std::move(list);
    print(as_text(json));
    return;
  }
  std::vector<std::string> titles{"partner", ">baskets", ">by chance"};
  for (const Measure measure : kMeasures) titles.push_back(std::string(">") + to_string(measure));
  for (const Learned& l : learned) titles.push_back(">" + l.name);
  Table table(std::move(titles));
  for (const PairFacts& p : pairs) {
    std::vector<std::string> cells{name_of(prepared, p.partner), std::to_string(p.baskets),
                                   fmt::format("{:.1f}", p.expected)};
    for (const double value : p.measures) cells.push_back(fmt::format("{:.4g}", value));
    for (const Learned& l : learned) cells.push_back(fmt::format("{:.3f}", cosine(l.vectors, l.dim, item, p.partner)));
    table.add(std::move(cells));
  }
  print(fmt::format("{} ({}), in {} of {} training baskets; partners by {}\n", prepared.item_names[item],
                    prepared.item_ids[item], counts.item_counts[static_cast<size_t>(item)], counts.n_baskets,
                    work.session.association_by()) +
        table.str() + RelatedItems(work.session, item).text());
}

bool is_csv(const std::filesystem::path& path) { return path.extension() == ".csv"; }

/// Into the folder of `writer`, or without one into the file `out`.
void write_pairs(const Workspace& work, const std::filesystem::path& out, std::optional<io::FolderWriter>& writer,
                 const std::vector<PairFacts>& pairs) {
  const std::string csv = pairs_csv(work.session.prepared, pairs, report::CsvCells(work.config.run.guard_formulas));
  if (!writer) {
    io::replace_file(out, csv);
    return;
  }
  io::write_file(writer->path() / "pairs.csv", csv);
  io::write_file(writer->path() / "relations.csv", relations_csv(work.session));
  writer->commit({{"by", work.session.association_by()}, {"pairs", pairs.size()}});
}

void print_pairs(const Workspace& work, const std::vector<PairFacts>& pairs, bool as_json) {
  const data::Prepared& prepared = work.session.prepared;
  const std::vector<PairFacts> best = best_pairs(pairs);
  if (as_json) {
    nlohmann::json list = nlohmann::json::array();
    for (const PairFacts& p : best) list.push_back(to_json(prepared, p));
    print(as_text(list));
    return;
  }
  std::string out = pairs_table(prepared, best, work.session.association_by());
  const std::vector<PairFacts> separate = separate_pairs(pairs);
  if (!separate.empty()) {
    out += "\nBelong together, but are bought separately:\n" +
           pairs_table(prepared, separate, work.session.association_by());
  }
  print(out);
}

}  // namespace

void run_associate(const Options& options) {
  const Progress progress(options.quiet);
  std::optional<io::FolderWriter> writer;
  if (is_csv(options.out)) {
    io::check_file_target(options.out, {kPairsStart});
  } else if (!options.out.empty()) {
    writer.emplace(options.out, kAssociationKind);
  }
  Workspace work(options);
  const config::Config::Associate& settings = work.config.associate;
  const bool learned = app::is_learned(settings.by);
  if (learned && options.model.empty()) {
    throw UsageError("associate.by = " + settings.by + " needs a model", "give --model, or --by lift to count baskets");
  }
  if (!learned && options.item.empty()) {
    refuse_given({{"--model", !options.model.empty()}}, "on pairs by " + settings.by,
                 "leave it out: this measure counts baskets");
  }
  const int32_t item = options.item.empty() ? -1 : data::find_item_by_name(work.session.prepared, options.item);
  if (!options.model.empty()) work.load_model(options.model);
  if (!learned && work.session.has_model()) {
    refuse_given({{"--model", work.session.item_vectors().empty()}}, "on pairs by " + settings.by,
                 "leave it out: this model has no vectors of items");
  }

  const auto names_measure = [](const std::string& assignment) { return assignment.starts_with("associate.by="); };
  if (learned && work.session.association_by() != settings.by &&
      (std::ranges::any_of(options.flags, names_measure) || std::ranges::any_of(options.set, names_measure))) {
    work.session.learned_vectors(settings.by);  // says that the model has none
  }
  if (app::is_learned(work.session.association_by())) {
    const bool counts = std::ranges::any_of(
        options.flags, [](const std::string& flag) { return flag.starts_with("associate.min_count="); });
    refuse_given({{"--min-count", counts}}, "on partners by " + settings.by,
                 "leave it out: only counted measures need baskets; --min-score works for all");
  }
  const auto [partners, counts] = app::associate_and_count(work.session, settings.k);
  HostCsr lists = partners.to_csr();
  if (settings.symmetric) lists = symmetrised(lists);
  std::vector<PairFacts> pairs = pair_facts(lists, counts);
  if (pairs.empty() && !work.session.prepared.has_pairs()) {
    progress.line("note: " + app::no_pairs(work.session) +
                  "; --by cosine or gcn, with --model, goes by what the same users buy");
  }
  if (!options.out.empty()) {
    write_pairs(work, options.out, writer, pairs);
    progress.line("wrote " + options.out.string());
  }
  if (item < 0) {
    print_pairs(work, pairs, options.json);
    return;
  }
  std::erase_if(pairs, [item](const PairFacts& p) { return p.item != item; });
  print_item(work, pairs, item, counts, learned_columns(work), options.json);
}

}  // namespace sheaf::cli
