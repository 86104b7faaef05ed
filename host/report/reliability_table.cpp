#include <fmt/format.h>

#include "host/report/report.hpp"
#include "host/report/svg.hpp"

namespace sheaf::report {
namespace {

std::string table(const std::string& caption, const std::string& trials, const std::vector<ReliabilityBin>& bins) {
  std::string out = fmt::format(
      "<p>{} Mean distance of foreseen and found: {:.4f}.</p>\n<table>\n<tr><th>Chance</th><th class=\"n\">{}</th><th "
      "class=\"n\">Foreseen</th><th class=\"n\">Found</th></tr>\n",
      caption, calibration_error(bins), trials);
  for (const ReliabilityBin& bin : bins) {
    if (bin.n == 0) continue;
    out += fmt::format(
        "<tr><td>{:g} to {:g}</td><td class=\"n\">{}</td><td class=\"n\">{:.4f}</td><td class=\"n\">{:.4f}</td></tr>\n",
        bin.low, bin.high, text::with_commas(bin.n), bin.foreseen, bin.found);
  }
  return out + "</table>\n";
}

}  // namespace

std::string reliability_tables(const app::Quality& quality) {
  std::string out;
  if (!quality.basket_reliability.empty()) {
    out += table(
        "The chance that a basket of the test period holds an item which its user had bought before: what bundles "
        "are made from.",
        "Items of baskets", quality.basket_reliability);
  }
  if (!quality.purchase_reliability.empty()) {
    out += table("The model's chance that a user buys an item in the test period, of the 100 at the head of each list.",
                 "Pairs", quality.purchase_reliability);
  }
  return out.empty() ? "<p>There is no test period to judge them by.</p>\n" : out;
}

}  // namespace sheaf::report
