#include "host/app/needed_data.hpp"

#include <fmt/format.h>

#include <cmath>
#include <initializer_list>
#include <string>

#include "host/app/joint.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::app {
namespace {

/// A setting, and whether it differs from its default.
struct Asked {
  std::string name;
  bool asked;
};

void refuse(std::initializer_list<Asked> settings, const data::Prepared& prepared, const char* lacks,
            const char* column) {
  for (const Asked& setting : settings) {
    if (!setting.asked) continue;
    throw UsageError(fmt::format("{} means nothing here: the data {} has no {}", setting.name, prepared.name, lacks),
                     fmt::format("leave it out, or import the data with {}", column));
  }
}

}  // namespace

void refuse_meaningless(const data::Prepared& prepared, const config::Config& config) {
  const config::Config usual;
  const auto& search = config.search;
  const auto& discount = config.discount;
  if (!prepared.has_prices()) {
    const ObjectiveTerms terms = ObjectiveTerms::parse(search.objective);
    const auto changed = [&](double config::Config::Discount::*field) {
      return !std::isnan(discount.*field) && discount.*field != usual.discount.*field;
    };
    using D = config::Config::Discount;
    refuse({{"search.budget", std::isfinite(search.budget)},
            {"search.weight_revenue", search.weight_revenue != 0.0},
            {"search.objective = " + search.objective, terms.revenue != 0.0 || terms.margin != 0.0},
            {"discount.by = search", discount.by == "search"},
            {"discount.margin_floor", discount.margin_floor != 0.0},
            {"discount.cost_share", changed(&D::cost_share)},
            {"discount.own_response", changed(&D::own_response)},
            {"discount.cross_response", changed(&D::cross_response)},
            {"discount.uplift", changed(&D::uplift)}},
           prepared, "prices", "columns.price or columns.amount");
  }
  if (!prepared.has_times()) {
    refuse({{"search.anchor_by = " + search.anchor_by, search.anchor_by != "wanted"},
            {"search.anchor_days", search.anchor_days != usual.search.anchor_days},
            {"model.recency_days", config.model.recency_days != usual.model.recency_days},
            {"personal.half_life_days", config.model_settings.contains("personal.half_life_days")},
            {"evaluate.decay_days", config.evaluate.decay_days != usual.evaluate.decay_days}},
           prepared, "times", "columns.timestamp");
  }
  if (!prepared.has_categories()) {
    refuse({{"search.categories", !search.categories.empty()},
            {"search.min_categories", search.min_categories > 1},
            {"associate.category_rule = " + config.associate.category_rule, config.associate.category_rule != "any"},
            {"associate.category_pairs", !config.associate.category_pairs.empty()}},
           prepared, "categories", "columns.category, items.category or [categories]");
  }
}

}  // namespace sheaf::app
