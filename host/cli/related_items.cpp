#include "host/cli/related_items.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "engine/associate/user_baskets.hpp"
#include "host/app/substitutes.hpp"
#include "host/cli/console.hpp"
#include "host/report/report.hpp"

namespace sheaf::cli {
namespace {

constexpr size_t kShown = 10, kRelatedWidth = 36;
constexpr int64_t kWeek = 7 * 86400;  // seconds

}  // namespace

RelatedItems::RelatedItems(const app::Session& session, int32_t item) : prepared_(session.prepared), item_(item) {
  const Purchases& purchases = session.purchases;
  const std::vector<int32_t> categories = app::known_categories(prepared_);
  const UserBaskets baskets(purchases.train_baskets, purchases.train_basket_user, purchases.train_basket_time,
                            categories);
  const PairRelations& relations = session.relations();
  for (const int32_t partner : relations.partners(item)) {
    const PairRelation pair = relations.find(item, partner);
    if (pair.kind == PairKind::neither) continue;
    const UserBaskets::Count follows = baskets.follows(item, partner, kWeek);
    auto& list = pair.kind == PairKind::complement ? complements_ : substitutes_;
    list.push_back({partner, pair, follows.observed, follows.expected});
  }
  std::ranges::stable_sort(complements_, std::ranges::greater{}, [](const Related& r) { return r.pair.lower; });
  std::ranges::stable_sort(substitutes_, {}, [](const Related& r) { return r.pair.upper; });
}

std::string RelatedItems::table(PairKind kind) const {
  const bool together = kind == PairKind::complement;
  Table table({together ? "complement" : "substitute", ">together", ">expected", ">ratio", ">90 % interval",
               together ? ">next basket" : ">switches", ">by chance"});
  for (size_t r = 0; r < std::min(kShown, of(kind).size()); ++r) {
    const auto& [partner, pair, followed, expected_followed] = of(kind)[r];
    table.add({text::shortened(std::string(prepared_.item_names[partner]), kRelatedWidth),
               std::to_string(pair.together), fmt::format("{:.1f}", pair.expected), fmt::format("{:.2f}", pair.ratio),
               fmt::format("{:.2f} to {:.2f}", pair.lower, pair.upper),
               std::to_string(together ? followed : pair.switches),
               fmt::format("{:.1f}", together ? expected_followed : static_cast<double>(pair.expected_switches))});
  }
  return table.str();
}

std::string RelatedItems::text() const {
  std::string out;
  const auto add = [&](PairKind kind, const char* title) {
    const size_t n = of(kind).size();
    if (n == 0) {
      out += fmt::format("\n{}: none\n", title);
    } else {
      const std::string shown = n > kShown ? fmt::format(", the surest {} of {}", kShown, n) : "";
      out += fmt::format("\n{}{}:\n", title, shown) + table(kind);
    }
  };
  add(PairKind::complement, "Used together, in more baskets than the same users' habits make expect");
  add(PairKind::substitute, "Taken in place of it, by the same users");
  return out;
}

nlohmann::json RelatedItems::list(PairKind kind, int64_t k) const {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [partner, pair, followed, expected_followed] : of(kind)) {
    if (static_cast<int64_t>(list.size()) == k) break;
    list.push_back({{"partner", std::string(prepared_.item_ids[partner])},
                    {"partner_name", std::string(prepared_.item_names[partner])},
                    {"together", pair.together},
                    {"expected", pair.expected},
                    {"ratio", pair.ratio},
                    {"lower", pair.lower},
                    {"upper", pair.upper},
                    {"followed", followed},
                    {"expected_followed", expected_followed}});
    if (kind == PairKind::substitute) {
      list.back()["switches"] = pair.switches;
      list.back()["expected_switches"] = pair.expected_switches;
    }
  }
  return list;
}

nlohmann::json RelatedItems::to_json(int64_t k) const {
  return {{"item", std::string(prepared_.item_ids[item_])},
          {"item_name", std::string(prepared_.item_names[item_])},
          {"complements", list(PairKind::complement, k)},
          {"substitutes", list(PairKind::substitute, k)}};
}

std::string relations_csv(const app::Session& session) {
  const data::Prepared& prepared = session.prepared;
  const PairRelations& relations = session.relations();
  std::string out =
      "item_id,item_name,partner_id,partner_name,kind,together,expected,ratio,lower,upper,switches,expected_switches\n";
  const report::CsvCells cells(session.config().run.guard_formulas);
  for (int32_t i = 0; i < relations.n_items(); ++i) {
    for (const int32_t j : relations.partners(i)) {
      const PairRelation pair = relations.find(i, j);
      if (j < i || pair.kind == PairKind::neither) continue;
      out += fmt::format("{},{},{},{},{},{},{:.6g},{:.6g},{:.6g},{:.6g},", cells.text(prepared.item_ids[i]),
                         cells.text(prepared.item_names[i]), cells.text(prepared.item_ids[j]),
                         cells.text(prepared.item_names[j]), to_string(pair.kind), pair.together, pair.expected,
                         pair.ratio, pair.lower, pair.upper);
      out +=
          pair.kind == PairKind::substitute ? fmt::format("{},{:.6g}\n", pair.switches, pair.expected_switches) : ",\n";
    }
  }
  return out;
}

}  // namespace sheaf::cli
