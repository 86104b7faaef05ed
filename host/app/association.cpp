#include "host/app/association.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/associate/graph_vectors.hpp"
#include "host/app/pipeline.hpp"
#include "host/text/nearest.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/range.hpp"

namespace sheaf::app {
namespace {

PairRule::Kind rule_kind(const std::string& name) {
  using Kind = PairRule::Kind;
  return name == "same"        ? Kind::same
         : name == "different" ? Kind::different
         : name == "table"     ? Kind::table
                               : Kind::any;
}

/// "a > b" as a and b without blanks around them.
std::pair<std::string, std::string> both_sides(const std::string& pair, const char* setting, const char* mend) {
  const size_t arrow = pair.find('>');
  if (arrow == std::string::npos) throw UsageError(fmt::format("{}: '{}' is no pair", setting, pair), mend);
  const auto trimmed = [](std::string name) {
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    return name;
  };
  return {trimmed(pair.substr(0, arrow)), trimmed(pair.substr(arrow + 1))};
}

}  // namespace

bool is_learned(const config::Config& config) {
  return config.associate.by == "cosine" || config.associate.by == "gcn";
}

Buffer<float> association_vectors(Context& context, const Dataset& dataset, const PreferenceModel& model,
                                  const config::Config& config) {
  Buffer<float> vectors = model.item_vectors(context);
  const auto matrix = [&] { return std::as_const(vectors).matrix(model.n_items(), model.dim()); };
  const auto name_of = [&](int64_t item) {
    return fmt::format("item '{}' ({})", dataset.prepared.item_ids[item], dataset.prepared.item_names[item]);
  };
  check_finite_rows(context, matrix(), name_of);
  if (config.associate.by != "gcn") return vectors;
  const Buffer<float> users = model.user_vectors(context);
  vectors = graph_vectors(context, dataset.purchases.train, users.matrix(model.n_users(), model.dim()), matrix(),
                          config.associate.layers);
  check_finite_rows(context, matrix(), name_of);
  return vectors;
}

float association_scale(const PreferenceModel& model, const config::Config& config) {
  return config.associate.scale == "dim" ? 1.0f / static_cast<float>(model.dim()) : 1.0f;
}

PairRule pair_rule(const data::Prepared& prepared, const config::Config& config) {
  PairRule rule;
  if (!config.associate.exclude_pairs.empty()) {
    std::vector<int32_t> items, partners;
    for (const std::string& pair : config.associate.exclude_pairs) {
      const auto [item, partner] =
          both_sides(pair, "associate.exclude_pairs", "write the item's id, >, the partner's id");
      items.push_back(prepared.find_item(item));
      partners.push_back(prepared.find_item(partner));
    }
    const int64_t n_items = prepared.item_ids.size();
    rule.excluded = csr_from_pairs(items, partners, {}, n_items, n_items);
  }
  rule.kind = rule_kind(config.associate.category_rule);
  if (rule.kind == PairRule::Kind::any) return rule;
  rule.category = prepared.item_category;
  for (int32_t& category : rule.category) {
    if (prepared.category_names[category] == data::kNoValue) category = -1;
  }
  if (std::ranges::all_of(rule.category, [](int32_t category) { return category < 0; })) {
    throw DataError(fmt::format("associate.category_rule = {}: the items of {} have no category",
                                config.associate.category_rule, prepared.name),
                    "import them with a category, or take associate.category_rule = any");
  }
  if (rule.kind != PairRule::Kind::table) return rule;
  rule.n_categories = prepared.category_names.size();
  rule.allowed.resize(static_cast<size_t>(rule.n_categories * rule.n_categories));
  for (const std::string& pair : config.associate.category_pairs) {
    const auto [item, partner] =
        both_sides(pair, "associate.category_pairs", "write the item's category, >, the partner's category");
    const int64_t from = prepared.find_category(item), to = prepared.find_category(partner);
    rule.allowed[static_cast<size_t>(from * rule.n_categories + to)] = 1;
  }
  return rule;
}

Partners associate(Context& context, const Dataset& dataset, const PreferenceModel* model, const PairCounts& counts,
                   const config::Config& config, int64_t k) {
  const Range range("associate");
  const auto min_score = static_cast<float>(config.associate.min_score);
  const PairRule rule = pair_rule(dataset.prepared, config);
  if (!is_learned(config)) {
    const association::Measure measure = parse_measure(config.associate.by);
    if (rule.allows_all()) return counted_partners(context, counts, measure, k, min_score);
    return counted_partners(context, allowed_pairs(counts, rule), measure, k, min_score);
  }
  const Buffer<float> vectors = association_vectors(context, dataset, *model, config);
  const float scale = association_scale(*model, config);
  if (config.associate.piece_mib > 0) {
    return cosine_partners_in_pieces(context, vectors.to_host(), model->dim(), k, scale, min_score,
                                     config.associate.piece_mib << 20, rule);
  }
  return cosine_partners(context, vectors.matrix(model->n_items(), model->dim()), k, scale, min_score, rule);
}

std::vector<int32_t> search_partners(Context& context, const Dataset& dataset, const PreferenceModel& model,
                                     const PairCounts& counts, const SearchParams& params, const config::Config& config,
                                     const std::vector<int32_t>& anchors) {
  constexpr int64_t kMost = 256;
  const int64_t wanted = params.candidates - 1;
  const Partners all =
      associate(context, dataset, &model, counts, config, params.forbidden.empty() ? wanted : std::max(wanted, kMost));
  const int64_t width = std::min<int64_t>(wanted, all.k);
  std::vector<uint8_t> forbidden(static_cast<size_t>(dataset.prepared.n_items), 0);
  for (const int32_t item : params.forbidden) forbidden[static_cast<size_t>(item)] = 1;
  std::vector<int32_t> rows;
  for (const int32_t anchor : anchors) {
    const size_t end = rows.size() + static_cast<size_t>(width);
    const auto begin = all.items.begin() + static_cast<std::ptrdiff_t>(anchor * all.k);
    for (auto item = begin; item != begin + static_cast<std::ptrdiff_t>(all.k) && rows.size() < end; ++item) {
      if (*item >= 0 && forbidden[static_cast<size_t>(*item)] == 0) rows.push_back(*item);
    }
    rows.resize(end, -1);
  }
  return rows;
}

PairCounts count_training_pairs(Context& context, const Dataset& dataset, int64_t min_count) {
  const Range range("associate");
  return count_pairs(context, dataset.purchases.train_baskets, min_count);
}

SearchSpace search_space(Context& context, const Dataset& dataset, const PreferenceModel& model,
                         const PairCounts& counts, const SearchParams& params, const config::Config& config) {
  SearchSpace space(context, dataset.catalog, params);
  if (config.associate.by == "conviction") {
    throw UsageError("associate.by = conviction has no upper end, so that a bundle's value would have none",
                     "search by lift, confidence or another measure");
  }
  if (is_learned(config) && config.associate.category_rule == "any" && config.associate.exclude_pairs.empty()) {
    space.vectors = association_vectors(context, dataset, model, config);
    space.dim = model.dim();
    space.scale = association_scale(model, config);
  } else {
    constexpr int64_t kPartners = 256;
    space.association = DeviceCsr(context, associate(context, dataset, &model, counts, config, kPartners).to_csr());
  }
  return space;
}

}  // namespace sheaf::app
