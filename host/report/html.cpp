#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/app/joint.hpp"
#include "host/report/bundle_tables.hpp"
#include "host/report/report.hpp"
#include "host/report/svg.hpp"

namespace sheaf::report {
namespace {

constexpr size_t kHeatName = 34;  // characters

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --soft: #5b6570; --line: #dfe4e9; --back: #f1f4f7; --a: #1f6feb; --b: #d97706; --c: #2da44e; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14181d; --ink: #e6e9ed; --soft: #a3adb8; --line: #343c45; --back: #1f262d; --a: #6aa5ff; --b: #f0a34a; --c: #56d07a; }
}
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); margin: 0 auto; max-width: 1180px; padding: 24px; background: var(--page); }
p, h1, figcaption, .fact { overflow-wrap: anywhere; } a { color: var(--a); }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 36px 0 8px; } h3 { font-size: 16px; margin: 18px 0 4px; }
p, figcaption { color: var(--soft); max-width: 80ch; margin: 4px 0 12px; }
.facts { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0; }
.fact { border: 1px solid var(--line); border-radius: 8px; padding: 10px 16px; min-width: 140px; }
.fact b { display: block; font-size: 22px; } .fact span { color: var(--soft); font-size: 13px; }
table { border-collapse: collapse; display: block; max-width: 100%; overflow-x: auto; font-size: 14px; }
td:first-child:not(.n) { min-width: 150px; } td.n + td:not(.n):nth-child(2) { min-width: 260px; }
th, td { text-align: left; padding: 6px 10px; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.model td { font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); gap: 20px; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 8px; padding: 10px; overflow-x: auto; min-width: 0; } figure.wide { grid-column: 1 / -1; }
svg { width: 100%; height: auto; font-family: inherit; }
.title { font-size: 14px; font-weight: 600; fill: var(--ink); } .label { font-size: 11px; fill: var(--soft); } .small { font-size: 10px; fill: var(--soft); }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); } .back { fill: var(--back); }
.line0, .line1, .line2 { fill: none; stroke-width: 2; } .line0 { stroke: var(--a); } .line1 { stroke: var(--b); } .line2 { stroke: var(--c); }
.fill0 { fill: var(--a); } .fill1 { fill: var(--b); } .fill2 { fill: var(--c); } .half { fill-opacity: 0.55; } .cell { fill: var(--a); }
@media (max-width: 640px) {
  body { padding: 14px; } h1 { font-size: 21px; } .fact { min-width: 0; flex: 1 1 40%; padding: 8px 10px; } .fact b { font-size: 18px; }
  th, td { padding: 5px 7px; } td:first-child:not(.n) { min-width: 110px; } td.n + td:not(.n):nth-child(2) { min-width: 200px; }
  svg { min-width: 420px; }
}
)";

std::string number(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "–";
}

std::string figure(const std::string& svg, const std::string& caption, bool wide = false) {
  return fmt::format("<figure{}>\n{}<figcaption>{}</figcaption>\n</figure>\n", wide ? " class=\"wide\"" : "", svg,
                     caption);
}

std::string fact(const std::string& value, const std::string& what) {
  return fmt::format("<div class=\"fact\"><b>{}</b><span>{}</span></div>\n", escape(value), escape(what));
}

std::string head_facts(const Page& page) {
  const auto& prepared = page.session->prepared;
  const auto& summary = prepared.import_summary;
  std::string out = "<div class=\"facts\">\n";
  out += fact(text::with_commas(summary.value("rows_read", int64_t{0})), "purchase lines read");
  out += fact(text::with_commas(prepared.n_interactions()), "lines kept");
  out += fact(text::with_commas(prepared.n_users), "users");
  out += fact(text::with_commas(prepared.n_items), "items");
  out += fact(text::with_commas(prepared.n_baskets), "baskets");
  out += fact(text::with_commas(static_cast<int64_t>(page.search->offers.size())), "bundles offered");
  return out + "</div>\n";
}

std::string offers_table(const Page& page) {
  const auto& prepared = page.session->prepared;
  std::string out =
      "<table>\n<tr><th class=\"n\">#</th><th>Items</th><th class=\"n\">Price</th><th class=\"n\">Discount</th><th "
      "class=\"n\">Offer</th><th class=\"n\">Expected value</th><th class=\"n\">Added revenue</th><th "
      "class=\"n\">Added margin</th><th "
      "class=\"n\">Lift</th><th class=\"n\">Baskets</th><th class=\"n\">Audience</th><th>Suits best</th></tr>\n";
  for (size_t r = 0; r < page.search->offers.size(); ++r) {
    const app::Offer& offer = page.search->offers[r];
    std::string items, users;
    for (const int32_t item : offer.bundle.items) {
      items +=
          fmt::format("{}{} <span class=\"label\">{}</span>", items.empty() ? "" : "<br>",
                      escape(std::string(prepared.item_names[item])),
                      escape(std::string(prepared.category_names[prepared.item_category[static_cast<size_t>(item)]])));
    }
    for (const int32_t user : offer.users)
      users += (users.empty() ? "" : ", ") + escape(std::string(prepared.user_ids[user]));
    out += fmt::format(
        "<tr><td class=\"n\">{}</td><td>{}</td><td class=\"n\">{:.2f}</td><td class=\"n\">{:.0f} %</td><td "
        "class=\"n\">{:.2f}</td><td class=\"n\">{:.2f}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td "
        "class=\"n\">{:.2f}</td><td class=\"n\">{}</td><td "
        "class=\"n\">{:.1f}</td><td>{}</td></tr>\n",
        r + 1, items, offer.price, 100 * offer.discount, offer.offer_price, offer.expected_value,
        text::with_interval(offer.increment.revenue), text::with_interval(offer.increment.margin), offer.lift,
        number(offer.expected_baskets, 1), offer.audience, users);
  }
  return out + "</table>\n";
}

std::string quality_table(const Page& page) {
  std::string out =
      "<table>\n<tr><th class=\"n\">K</th><th>Ranking</th><th class=\"n\">Recall@K</th><th class=\"n\">NDCG@K</th><th "
      "class=\"n\">Hit rate@K</th><th class=\"n\">MRR@K</th><th class=\"n\">Precision@K</th><th "
      "class=\"n\">Coverage@K</th></tr>\n";
  const auto& ranked = page.quality->ranked;
  for (size_t at = 0; at < ranked.front().at.size(); ++at) {
    for (size_t r = 0; r < ranked.size(); ++r) {
      const RankingSummary& row = ranked[r].at[at];
      out += fmt::format("<tr{}><td class=\"n\">{}</td><td>{}</td>", r == 0 ? " class=\"model\"" : "", row.k,
                         escape(ranked[r].name));
      for (const double value : {row.recall, row.ndcg, row.hit_rate, row.mrr, row.precision})
        out += fmt::format("<td class=\"n\">{}</td>", number(value, 4));
      out += fmt::format("<td class=\"n\">{} %</td></tr>\n", number(100 * row.coverage, 1));
    }
  }
  return out + "</table>\n";
}

std::string cleaning_table(const Page& page) {
  std::string out =
      "<table>\n<tr><th>Rule</th><th>A row breaks it when</th><th class=\"n\">Break it</th><th "
      "class=\"n\">Dropped</th><th>First "
      "lines</th></tr>\n";
  const auto& summary = page.session->prepared.import_summary;
  if (!summary.contains("rules")) return "";
  for (const auto& rule : summary["rules"]) {
    std::string examples;
    for (const auto& example : rule.at("examples")) {
      examples += fmt::format("{}line {}: {}", examples.empty() ? "" : "; ", example.at("line").get<int64_t>(),
                              escape(example.at("value").get<std::string>()));
    }
    out += fmt::format("<tr><td>{}</td><td>{}{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>\n",
                       escape(rule.at("name").get<std::string>()), escape(rule.at("meaning").get<std::string>()),
                       rule.at("active").get<bool>() ? "" : " (not applied)",
                       text::with_commas(rule.at("breaks").get<int64_t>()),
                       text::with_commas(rule.at("dropped").get<int64_t>()), examples);
  }
  return out + "</table>\n";
}

std::string training_charts(const Page& page) {
  const std::vector<EpochReport>& tried = page.training->epochs;
  const EpochReport& best = tried[static_cast<size_t>(page.training->best_epoch - 1)];
  if (!best.what.empty()) {  // a closed form: no epochs, but tries
    Series judged{"validation NDCG", {}};
    for (const EpochReport& one : tried)
      judged.points.emplace_back(static_cast<double>(one.epoch), one.validation_ndcg);
    return figure(line_chart("NDCG@10 on the validation period", "try", "NDCG@10", {judged}),
                  fmt::format("{} tried; {} was kept.", tried.size(), escape(best.what)));
  }
  Series loss{"training loss", {}}, ndcg{"validation NDCG", {}};
  for (const EpochReport& epoch : page.training->epochs) {
    loss.points.emplace_back(static_cast<double>(epoch.epoch), epoch.train_loss);
    ndcg.points.emplace_back(static_cast<double>(epoch.epoch), epoch.validation_ndcg);
  }
  return figure(line_chart("Loss", "epoch", "training loss", {loss}),
                fmt::format("{} epochs; the model of epoch {} was kept.", page.training->epochs.size(),
                            page.training->best_epoch)) +
         figure(line_chart("NDCG@10 on the validation period", "epoch", "NDCG@10", {ndcg}),
                "Training stops when this no longer rises.");
}

std::string search_chart(const Page& page) {
  const auto series = [](const char* name, const std::vector<double>& values) {
    Series s{name, {}};
    for (size_t g = 0; g < values.size(); ++g) s.points.emplace_back(static_cast<double>(g + 1), values[g]);
    return s;
  };
  return figure(line_chart("Search convergence", "round", "mean value F of the best bundle",
                           {series("catalog", page.search->convergence), series("users", *page.user_convergence)}),
                "Mean over the searches that had a feasible bundle by then.");
}

std::string coverage_chart(const Page& page) {
  std::vector<std::pair<std::string, double>> shares;
  for (const auto& row : page.quality->ranked) {
    shares.emplace_back(fmt::format("{}, top {}", row.name, row.at.back().k), row.at.back().coverage);
  }
  shares.emplace_back("users' bundles", page.quality->bundles.coverage);
  return figure(share_bars("Coverage: share of the catalog that anyone is shown", shares),
                "A shop that shows everyone the same few products leaves the rest unsold.");
}

}  // namespace

std::string report_html(const Page& page) {
  const auto& prepared = page.session->prepared;
  const auto& quality = *page.quality;
  std::vector<std::string> names;
  for (const int32_t item : page.heat_items)
    names.push_back(text::shortened(std::string(prepared.item_names[item]), kHeatName));
  const auto& b = quality.bundles;
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>Sheaf: "
      "{0}</title>\n<style>{1}</style>\n</head>\n<body>\n"
      "<h1>Bundles for {0}</h1>\n<p>Sheaf {2}, seed {3}.</p>\n",
      escape(prepared.name), kStyle, escape(page.version), page.config->run.seed);
  out += head_facts(page);
  out += fmt::format(
      "<h2>Bundles to offer</h2>\n<p>Prices in {}. {} Baskets: coming baskets of that period which are expected to "
      "hold at "
      "least two of the items; audience: users who are expected to buy at least two; expected value: baskets times the "
      "offer price. Lift is the mean over the pairs. Added revenue and margin: what the discount is expected to add in "
      "that period against no offer, with the interval of the <a href=\"#response\">price response</a>; below 0 it "
      "loses.{}</p>\n",
      escape(prepared.currency), escape(app::objective_text(*page.config, page.search->period_days, prepared.currency)),
      page.search->fewer.empty() ? "" : " " + escape(page.search->fewer) + ".");
  out += offers_table(page);
  out += "<h2 id=\"response\">What does a discount add?</h2>\n" + response_table(page);
  out += bundle_tables(*page.bundles, prepared.currency);
  out += "<h2>How good are the rankings?</h2>\n<p>Full catalog, against what users bought in the test period.</p>\n" +
         quality_table(page);
  out += fmt::format(
      "<p>On {} pairs, one drawn item for each bought one: accuracy {}, AUC {}, log-loss {}, Brier {}. The users' own "
      "bundles: {} % feasible, mean value {}, mean price {} {}.</p>\n",
      text::with_commas(quality.n_pairs), number(quality.accuracy, 3), number(quality.auc, 3),
      number(quality.log_loss, 3), number(quality.brier, 3), number(100 * b.feasible, 1), number(b.mean_value, 4),
      number(b.mean_price, 2), escape(prepared.currency));
  out += "<h2>Are the chances right?</h2>\n" + reliability_tables(quality);
  out += "<h2>Pictures</h2>\n<div class=\"charts\">\n" + training_charts(page);
  out += figure(histogram("Preference P(u, i)", "P on the even sample", 0, 1,
                          {{"bought", quality.preference_histogram}, {"drawn", quality.other_histogram}}),
                "Test purchases against as many drawn items.");
  out += search_chart(page);
  out += figure(heat_map("Association A(i, j) of the items that are wanted most", names, page.heat_values),
                "Pairs of a fuller colour belong together more.", true);
  out += coverage_chart(page);
  out += "</div>\n<h2>What the import did</h2>\n" + cleaning_table(page);
  return out + "</body>\n</html>\n";
}

}  // namespace sheaf::report
