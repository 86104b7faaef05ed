#include "host/report/bundle_tables.hpp"

#include <fmt/format.h>

#include <cmath>

#include "host/report/svg.hpp"
#include "host/text/format.hpp"

namespace sheaf::report {
namespace {

using C = BundleColumn;

/// A column of the table: its title, what it shows, times which factor, with how many digits.
struct Shown {
  std::string title;
  C column;
  double scale;
  int digits;
};

std::string cell(const Estimate& estimate, double scale, int digits) {
  if (!std::isfinite(estimate.value)) return "<td class=\"n\">–</td>";
  std::string text = fmt::format("{:.{}f}", scale * estimate.value, digits);
  if (std::isfinite(estimate.error)) {
    text += fmt::format(" <span class=\"label\">({:.{}f})</span>", scale * estimate.error, digits);
  }
  return "<td class=\"n\">" + text + "</td>";
}

std::string table(const std::vector<BundleRow>& rows, bool catalog, const std::string& currency) {
  const double n = static_cast<double>(rows.front().n_baskets);
  const double hits = catalog ? n : 100.0, money = catalog ? n : 1.0;
  const std::string unit = catalog ? "" : " %";
  const int digits = catalog ? 0 : 1;
  const std::vector<Shown> columns{{"≥ 1" + unit, C::at_least_one, hits, digits},
                                   {"≥ 2" + unit, C::at_least_two, hits, digits},
                                   {"≥ 3" + unit, C::at_least_three, hits, digits},
                                   {"All" + unit, C::all_items, hits, digits},
                                   {currency + (catalog ? "" : " a basket"), C::revenue, money, catalog ? 0 : 2},
                                   {"Lift before", C::lift_before, 1, 2},
                                   {"after", C::lift_after, 1, 2},
                                   {"kept", C::lift_kept, 1, 2},
                                   {"Same category %", C::same_category, 100, 0},
                                   {"Substitutes %", C::substitutes, 100, 0},
                                   {"New %", C::new_items, 100, 0},
                                   {"of these bought %", C::discovered, 100, 1},
                                   {"Of the catalog %", C::coverage, 100, 1}};
  std::string out = "<table>\n<tr><th>Bundles</th><th class=\"n\">Number</th>";
  for (const Shown& column : columns) out += fmt::format("<th class=\"n\">{}</th>", escape(column.title));
  out += "<th class=\"n\">Ours less this, ≥ 2</th></tr>\n";
  for (const BundleRow& row : rows) {
    const bool ours = &row == &rows.front();
    out += fmt::format("<tr{}><td>{}</td><td class=\"n\">{}</td>", ours ? " class=\"model\"" : "", escape(row.name),
                       text::with_commas(row.n_bundles));
    for (const Shown& column : columns) out += cell(row.at(column.column), column.scale, column.digits);
    out += (ours ? "<td></td>" : cell(row.lead(C::at_least_two), hits, digits)) + "</tr>\n";
  }
  return out + "</table>\n";
}

std::string missing(const std::string& why) { return fmt::format("<p>There are no bundles. {}</p>\n", escape(why)); }

}  // namespace

std::string bundle_tables(const app::BundleQuality& quality, const std::string& currency) {
  std::string out =
      "<h2>Do the bundles meet what is bought later?</h2>\n<p>A basket counts under ≥ 2 if it holds at least two of "
      "the bundle's items, and then the prices of those count. Lift: how much more often the bundle's pairs are in a "
      "basket than by chance, in the history and after it. New: items that the user had not bought. In brackets the "
      "standard error over users. All lists hold to the same sizes, budget and categories.</p>\n";
  out += "<h3>A bundle for each user</h3>\n";
  if (quality.users.empty()) {
    out += missing(quality.users_missing);
  } else {
    out += fmt::format("<p>Shares of {} baskets of the test period; history through {}.</p>\n",
                       text::with_commas(quality.users.front().n_baskets),
                       quality.through_validation ? "validation" : "train") +
           table(quality.users, false, currency);
  }
  out += "<h3>The catalog</h3>\n";
  if (quality.catalog.empty()) {
    out += missing(quality.catalog_missing);
  } else {
    out += fmt::format("<p>Pairs of a basket and a bundle, in {} baskets after the history. {}.</p>\n",
                       text::with_commas(quality.catalog.front().n_baskets), escape(quality.settings.itemsets)) +
           table(quality.catalog, true, currency);
  }
  return out;
}

}  // namespace sheaf::report
