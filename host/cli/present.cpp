#include "host/cli/present.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "host/cli/console.hpp"
#include "host/data/timestamp.hpp"
#include "host/report/report.hpp"

namespace sheaf::cli {
namespace {

using text::shortened;
using text::with_commas;

constexpr size_t kNameWidth = 44;

std::string number(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "–";
}

/// Rows, baskets and times of the parts of a split.
std::string parts_text(const data::ImportReport& report) {
  constexpr std::array<const char*, 3> kNames{"train", "validation", "test"};
  std::vector<std::string> titles{"part", ">rows", ">baskets"};
  if (report.has_times) titles.insert(titles.end(), {"first", "last"});
  const bool temporal = report.test_after.has_value();
  if (temporal) titles.emplace_back("baskets that begin");
  Table table(titles);
  for (size_t part = 0; part < kNames.size(); ++part) {
    const data::ImportReport::Part& of = report.parts[part];
    const bool any = report.split_rows[part] > 0;
    std::vector<std::string> cells{kNames[part], with_commas(report.split_rows[part]), with_commas(of.baskets)};
    if (report.has_times) {
      cells.push_back(any ? data::time_text(of.first) : "–");
      cells.push_back(any ? data::time_text(of.last) : "–");
    }
    if (temporal) {
      cells.push_back(part == data::kTrain
                          ? "until " + data::time_text(*report.validation_after)
                          : "after " +
                                data::time_text(part == data::kTest ? *report.test_after : *report.validation_after));
    }
    table.add(std::move(cells));
  }
  return table.str();
}

/// "7", "march.csv 7"
std::string place_of(const data::ImportReport::Example& example) {
  return fmt::format("{}{}{}", example.file, example.file.empty() ? "" : " ", example.line);
}

/// Values that were read as something else than they say; empty if there are none.
std::string values_text(const std::vector<data::ImportReport::ValueCount>& values) {
  using Kind = data::ImportReport::ValueKind;
  if (values.empty()) return {};
  Table table({"column", "values", ">number", "first line"});
  for (const auto& count : values) {
    const std::string what = count.kind == Kind::trimmed  ? "blanks at an end, taken off"
                             : count.kind == Kind::padded ? "blanks at an end, kept"
                             : count.marker.empty()       ? "missing: only blanks"
                                                          : "missing: " + count.marker;
    table.add({count.column, what, with_commas(count.values), place_of(count.first)});
  }
  return "\n" + table.str();
}

}  // namespace

std::string import_text(const data::Prepared& prepared, const data::ImportReport& report) {
  std::string out = fmt::format("{}: {} rows read, {} kept\n\n", prepared.name, with_commas(report.rows_read),
                                with_commas(report.rows_kept));
  Table table({"rule", "a row breaks it when", ">break it", ">dropped", "first lines"});
  for (const auto& rule : report.rules) {
    std::string examples;
    for (const auto& example : rule.examples) {
      examples +=
          fmt::format("{}{}: {}", examples.empty() ? "" : ", ", place_of(example), shortened(example.value, 14));
    }
    table.add(
        {rule.name, rule.meaning, with_commas(rule.breaks), rule.active ? with_commas(rule.dropped) : "off", examples});
  }
  out += table.str();
  out += values_text(report.values);
  if (!report.time_formats.empty()) {
    Table formats({"format of times", ">rows"});
    for (const auto& [format, rows] : report.time_formats) formats.add({format, with_commas(rows)});
    out += "\n" + formats.str();
  }
  out += fmt::format("\n{} users, {} items, {} baskets{}\n\n", with_commas(report.n_users), with_commas(report.n_items),
                     with_commas(report.n_baskets),
                     report.has_times ? fmt::format(", from {} to {}", data::time_text(prepared.timestamp.front()),
                                                    data::time_text(prepared.timestamp.back()))
                                      : "");
  out += parts_text(report);
  if (!report.categories.empty()) {
    Table categories({"category by the words of names", ">items"});
    for (const auto& [category, items] : report.categories) categories.add({category, with_commas(items)});
    out += "\n" + categories.str();
  }
  if (const auto& vectors = report.vectors) {
    out += fmt::format("\nvectors of {} dimensions: {} items have none, of {}; {} of other ids left out\n",
                       with_commas(vectors->dim), with_commas(vectors->missing), with_commas(vectors->items),
                       with_commas(vectors->unknown));
  }
  if (!report.warnings.empty()) out += "\n";
  for (const std::string& warning : report.warnings) out += "warning: " + warning + "\n";
  return out;
}

std::string epoch_text(const EpochReport& epoch, double shown_rate) {
  std::string text =
      epoch.what.empty() ? fmt::format("epoch {:3}  loss {:.5f}", epoch.epoch, epoch.train_loss) : epoch.what;
  if (std::isfinite(epoch.validation_ndcg)) {
    text += fmt::format("  validation NDCG {:.4f}  Recall {:.4f}{}", epoch.validation_ndcg, epoch.validation_recall,
                        epoch.best ? "  best" : "");
  }
  if (std::isfinite(shown_rate) && std::isfinite(epoch.learning_rate) && epoch.learning_rate != shown_rate) {
    text += fmt::format("  learning rate {:.3g}", epoch.learning_rate);
  }
  return text;
}

std::string training_text(const TrainReport& report) {
  const EpochReport& best = report.epochs[static_cast<size_t>(report.best_epoch - 1)];
  const std::string tried = best.what.empty()
                                ? fmt::format("{} epochs, the best is {}", report.epochs.size(), best.epoch)
                                : fmt::format("{} tried, the best is {}", report.epochs.size(), best.what);
  return fmt::format("{} with validation NDCG@10 {:.4f}", tried, best.validation_ndcg);
}

std::string refit_text(const app::Training& trained) {
  return fmt::format("learned again, as chosen, from {} lines up to {}", with_commas(trained.refitted_lines),
                     data::time_text(trained.learned_from.at("train").at("last_timestamp").get<int64_t>()));
}

std::string quality_text(const app::Quality& quality, const std::string& currency) {
  Table table({">K", "ranking", ">Recall@K", ">NDCG@K", ">HR@K", ">MRR@K", ">coverage@K"});
  for (size_t at = 0; at < quality.ranked.front().at.size(); ++at) {
    for (const auto& ranked : quality.ranked) {
      const RankingSummary& row = ranked.at[at];
      table.add({std::to_string(row.k), ranked.name, number(row.recall, 4), number(row.ndcg, 4),
                 number(row.hit_rate, 4), number(row.mrr, 4), number(100 * row.coverage, 1) + " %"});
    }
  }
  std::string out = table.str();
  out += fmt::format("({} users with purchases in the test period; full catalog{})\n",
                     quality.ranked.front().at.front().n_users,
                     quality.through_validation ? "; history through validation" : "");
  out += fmt::format("{} pairs, one drawn item for each bought one: accuracy {}, AUC {}, log-loss {}, Brier {}\n",
                     with_commas(quality.n_pairs), number(quality.accuracy, 3), number(quality.auc, 3),
                     number(quality.log_loss, 3), number(quality.brier, 3));
  const BundleSummary& b = quality.bundles;
  if (b.n_bundles > 0) {
    out += fmt::format(
        "{} users' bundles: {} % feasible, mean value {}, mean price {} {}, {} % of the catalog, overlap {} items\n",
        with_commas(b.n_bundles), number(100 * b.feasible, 1), number(b.mean_value, 5), number(b.mean_price, 2),
        currency, number(100 * b.coverage, 1), number(b.mean_overlap, 2));
  }
  return out;
}

std::string reliability_text(const app::Quality& quality) {
  if (quality.purchase_reliability.empty()) return "";
  Table table({"chance", ">baskets: items", ">foreseen", ">found", ">purchases: pairs", ">foreseen", ">found"});
  const auto cells = [](const std::vector<ReliabilityBin>& bins, size_t b) -> std::array<std::string, 3> {
    if (bins.empty() || bins[b].n == 0) return {"–", "–", "–"};
    return {with_commas(bins[b].n), number(bins[b].foreseen, 4), number(bins[b].found, 4)};
  };
  for (size_t b = 0; b < quality.purchase_reliability.size(); ++b) {
    const auto [items, item_foreseen, item_found] = cells(quality.basket_reliability, b);
    const auto [pairs, foreseen, found] = cells(quality.purchase_reliability, b);
    const ReliabilityBin& bin = quality.purchase_reliability[b];
    table.add(
        {fmt::format("{:g} to {:g}", bin.low, bin.high), items, item_foreseen, item_found, pairs, foreseen, found});
  }
  return table.str() +
         "(baskets: an item that the user had bought, in one basket of the test period; purchases: an item at the head "
         "of "
         "the model's list, in the period)\n";
}

std::string offers_text(const data::Prepared& prepared, const std::vector<app::Offer>& offers, size_t count) {
  Table table({">#", "items", ">price", ">discount", ">offer", ">expected value", ">added revenue", ">added margin",
               ">lift", ">baskets", ">audience", "suits best"});
  for (size_t r = 0; r < std::min(count, offers.size()); ++r) {
    const app::Offer& offer = offers[r];
    const auto& items = offer.bundle.items;
    for (size_t m = 0; m < items.size(); ++m) {
      const auto at = static_cast<size_t>(items[m]);
      const std::string name = shortened(std::string(prepared.item_names[items[m]]), kNameWidth);
      if (m == 0) {
        std::string users;
        for (const int32_t user : offer.users)
          users += (users.empty() ? "" : ", ") + std::string(prepared.user_ids[user]);
        table.add({std::to_string(r + 1), name, fmt::format("{:.2f}", offer.price),
                   fmt::format("{:.0f} %", 100 * offer.discount), fmt::format("{:.2f}", offer.offer_price),
                   fmt::format("{:.2f}", offer.expected_value), text::with_interval(offer.increment.revenue),
                   text::with_interval(offer.increment.margin), fmt::format("{:.2f}", offer.lift),
                   number(offer.expected_baskets, 1), fmt::format("{:.1f}", offer.audience), users});
      } else {
        table.add(
            {"", "+ " + name, fmt::format("{:.2f}", prepared.item_price[at]), "", "", "", "", "", "", "", "", ""});
      }
    }
  }
  return table.str();
}

std::string user_bundle_text(const data::Prepared& prepared, const Bundle& bundle,
                             const std::vector<app::Reason>& reasons) {
  if (bundle.items.empty()) return fmt::format("user {}  nothing is left\n", prepared.user_ids[bundle.subject]);
  std::string out = fmt::format("user {}  value {:.5f}", prepared.user_ids[bundle.subject], bundle.value);
  if (bundle.discount > 0) out += fmt::format("  discount {:.0f} %", 100 * static_cast<double>(bundle.discount));
  out += '\n';
  for (size_t m = 0; m < bundle.items.size(); ++m) {
    const auto at = static_cast<size_t>(bundle.items[m]);
    out += fmt::format("  {:8.2f} {}  P {:.3f}  {} ({})", prepared.item_price[at], prepared.currency,
                       bundle.probability[m], prepared.item_names[bundle.items[m]],
                       prepared.category_names[prepared.item_category[at]]);
    const app::Reason& reason = reasons[m];
    out += reason.bought > 0 ? fmt::format(": bought {} time{}", reason.bought, reason.bought > 1 ? "s" : "")
                             : ": new to the user";
    if (reason.partner >= 0) {
      out +=
          fmt::format(", with {} {:.1f} times as often as by chance", prepared.item_names[reason.partner], reason.lift);
    }
    out += '\n';
  }
  return out;
}

}  // namespace sheaf::cli
