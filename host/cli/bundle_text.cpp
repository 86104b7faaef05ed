#include "host/cli/bundle_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/cli/console.hpp"
#include "host/text/format.hpp"

namespace sheaf::cli {
namespace {

using text::with_commas;
using C = BundleColumn;

constexpr size_t kStrongest = 4;  // baselines of the short form

std::string fixed_number(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "–";
}

std::string with_error(const Estimate& estimate, double scale, int digits) {
  if (!std::isfinite(estimate.value)) return "–";
  const std::string value = fixed_number(scale * estimate.value, digits);
  return std::isfinite(estimate.error) ? fmt::format("{} ({})", value, fixed_number(scale * estimate.error, digits))
                                       : value;
}

std::string plain(const BundleRow& row, C column, double scale, int digits) {
  return fixed_number(scale * row.at(column).value, digits);
}

/// Shares of baskets in percent for users; numbers of (basket, bundle) for a catalog.
std::string table_of(const std::vector<BundleRow>& rows, bool catalog, const std::string& currency) {
  const std::string unit = catalog ? "" : " %";
  Table hits({"bundles", ">number", ">size", ">price", ">≥ 1" + unit, ">≥ 2" + unit, ">≥ 3" + unit, ">all" + unit,
              ">" + currency + (catalog ? "" : " a basket"), ">ours less this, ≥ 2"});
  Table nature({"bundles", ">lift before", ">lift after", ">kept", ">same category %", ">substitutes %",
                ">new to the user %", ">of these bought %", ">of the catalog %"});
  for (const BundleRow& row : rows) {
    const double scale = catalog ? static_cast<double>(row.n_baskets) : 100.0;
    const double money = catalog ? static_cast<double>(row.n_baskets) : 1.0;
    const int digits = catalog ? 0 : 1;
    hits.add({row.name, with_commas(row.n_bundles), fixed_number(row.mean_size, 2), fixed_number(row.mean_price, 2),
              with_error(row.at(C::at_least_one), scale, digits), with_error(row.at(C::at_least_two), scale, digits),
              with_error(row.at(C::at_least_three), scale, digits), with_error(row.at(C::all_items), scale, digits),
              with_error(row.at(C::revenue), money, catalog ? 0 : 2),
              &row == &rows.front() ? "" : with_error(row.lead(C::at_least_two), scale, digits)});
    nature.add({row.name, with_error(row.at(C::lift_before), 1, 2), with_error(row.at(C::lift_after), 1, 2),
                with_error(row.at(C::lift_kept), 1, 2), with_error(row.at(C::same_category), 100, 1),
                with_error(row.at(C::substitutes), 100, 1), with_error(row.at(C::new_items), 100, 1),
                with_error(row.at(C::discovered), 100, 1), plain(row, C::coverage, 100, 1)});
  }
  return hits.str() + "\n" + nature.str();
}

std::string users_title(const app::BundleQuality& q) {
  return fmt::format("Users: a bundle each, against {} baskets of the test period; history through {}",
                     with_commas(q.users.front().n_baskets), q.through_validation ? "validation" : "train");
}

std::string catalog_title(const app::BundleQuality& q) {
  return fmt::format("Catalog: pairs (basket, bundle) in {} baskets after the history",
                     with_commas(q.catalog.front().n_baskets));
}

/// Ours, then the baselines that meet most baskets twice.
std::vector<BundleRow> strongest(const std::vector<BundleRow>& rows) {
  std::vector<BundleRow> order(rows.begin() + 1, rows.end());
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [](const BundleRow& row) { return row.at(C::at_least_two).value; });
  order.resize(std::min(order.size(), kStrongest));
  order.insert(order.begin(), rows.front());
  return order;
}

std::string short_table(const std::vector<BundleRow>& rows, bool catalog, const std::string& currency) {
  const std::string unit = catalog ? "" : " %";
  Table table({"bundles", ">≥ 2" + unit, ">≥ 1" + unit, ">" + currency + (catalog ? "" : " a basket"), ">lift kept",
               ">same category %", ">new %"});
  for (const BundleRow& row : strongest(rows)) {
    const double scale = catalog ? static_cast<double>(row.n_baskets) : 100.0;
    const int digits = catalog ? 0 : 1;
    table.add({row.name, with_error(row.at(C::at_least_two), scale, digits), plain(row, C::at_least_one, scale, digits),
               plain(row, C::revenue, catalog ? scale : 1.0, catalog ? 0 : 2), plain(row, C::lift_kept, 1, 2),
               plain(row, C::same_category, 100, 0), plain(row, C::new_items, 100, 0)});
  }
  return table.str();
}

template <class Form>
std::string both(const app::BundleQuality& quality, Form&& form) {
  std::string out;
  out += quality.users.empty() ? fmt::format("Users: no bundles. {}\n", quality.users_missing)
                               : users_title(quality) + "\n" + form(quality.users, false);
  out += "\n";
  out += quality.catalog.empty() ? fmt::format("Catalog: no bundles. {}\n", quality.catalog_missing)
                                 : catalog_title(quality) + "\n" + form(quality.catalog, true);
  return out;
}

}  // namespace

std::string bundle_quality_text(const app::BundleQuality& quality, const std::string& currency) {
  std::string out = both(quality, [&](const auto& rows, bool catalog) { return table_of(rows, catalog, currency); });
  out +=
      "(≥ 2: baskets with at least two of the bundle's items, whose prices count then; in brackets the standard error "
      "over users; lift: of the bundle's pairs, in the history and after it)\n";
  if (!quality.settings.itemsets.empty()) out += fmt::format("({})\n", quality.settings.itemsets);
  return out;
}

std::string bundle_quality_short(const app::BundleQuality& quality, const std::string& currency) {
  return both(quality, [&](const auto& rows, bool catalog) { return short_table(rows, catalog, currency); });
}

}  // namespace sheaf::cli
