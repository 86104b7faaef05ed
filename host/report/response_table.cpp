#include <fmt/format.h>

#include "host/report/report.hpp"
#include "host/report/svg.hpp"

namespace sheaf::report {
namespace {

std::string estimate_cell(const Elasticity& e, const std::string& reason) {
  if (!reason.empty()) return "this data cannot say: " + escape(reason);
  return fmt::format("{:.2f} (s.e. {:.2f})", e.value, e.error);
}

std::string row(const std::string& what, const Elasticity& training, const std::string& training_reason,
                const Elasticity& validation, const std::string& validation_reason, const Elasticity& used,
                const std::string& source) {
  const std::string told = !training_reason.empty() ? "–" : training.distinguishable() ? "yes" : "no";
  return fmt::format(
      "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.2f}, {:.2f} to {:.2f}</td><td>{}</td></tr>\n", what,
      estimate_cell(training, training_reason), told, estimate_cell(validation, validation_reason), used.value,
      used.low(), used.high(), source);
}

}  // namespace

std::string response_table(const Page& page) {
  const app::PriceResponses& found = page.session->price_responses();
  const UsedResponse used = app::used_response(*page.session);
  const PriceResponse &t = found.training, &v = found.validation;
  std::string out = fmt::format(
      "<p>{} A discount is lost on those who would buy anyway, and a part of what it adds is taken from other items of "
      "the "
      "category. At a share r of the full price purchases are r to the power of the response times as many: estimated "
      "from {} "
      "items in {} item-weeks with purchases. It is the response to discounts on the shelf at times that the shop "
      "chose, and "
      "some of the added purchases are taken from later weeks.</p>\n",
      escape(app::verdict_text(page.search->offers, *page.config)), text::with_commas(t.n_items),
      text::with_commas(t.n_observations));
  out +=
      "<table>\n<tr><th>Response of purchases to</th><th>Training lines</th><th>Distinguishable from nothing</th><th>"
      "Validation lines alone</th><th>Used</th><th>Source</th></tr>\n";
  out += row("the item's own price", t.own, t.own_reason, v.own, v.own_reason, used.own, to_string(used.own_source));
  out += row("prices of other items of its category", t.cross, t.cross_reason, v.cross, v.cross_reason, used.cross,
             to_string(used.cross_source));
  return out + "</table>\n";
}

}  // namespace sheaf::report
