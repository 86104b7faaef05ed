#include "host/app/association.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/data/nearest.hpp"
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

bool is_learned(const std::string& by) { return by == "cosine" || by == "gcn"; }

std::string no_pairs(const Session& session) {
  const bool by_users = session.config().search.objective == "affinity" && is_learned(session.association_by());
  if (by_users || session.prepared.has_pairs()) return {};
  return fmt::format("no basket of {} has two items, so nothing is bought together", session.prepared.name);
}

float association_scale(int64_t dim, const config::Config& config) {
  return config.associate.scale == "dim" ? 1.0f / static_cast<float>(dim) : 1.0f;
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

Partners associate(const Session& session, const PairCounts& counts, int64_t k) {
  const Range range("associate");
  Context& context = session.context();
  const config::Config& config = session.config();
  const auto min_score = static_cast<float>(config.associate.min_score);
  const PairRule rule = pair_rule(session.prepared, config);
  const std::string by = session.association_by();
  if (!is_learned(by)) {
    const association::Measure measure = parse_measure(by);
    if (rule.allows_all()) return counted_partners(context, counts, measure, k, min_score);
    return counted_partners(context, allowed_pairs(counts, rule), measure, k, min_score);
  }
  const Vectors& vectors = session.learned_vectors(by);
  const float scale = association_scale(vectors.dim, config);
  if (config.associate.piece_mib > 0) {
    return cosine_partners_in_pieces(context, vectors.values.to_host(), vectors.dim, k, scale, min_score,
                                     config.associate.piece_mib << 20, rule);
  }
  return cosine_partners(context, vectors.matrix(), k, scale, min_score, rule);
}

CountedPartners associate_and_count(const Session& session, int64_t k) {
  Context& context = session.context();
  const config::Config::Associate& settings = session.config().associate;
  const HostCsr& baskets = session.purchases.train_baskets;
  const std::string by = session.association_by();
  if (is_learned(by)) {  // such partners may have met in any number of baskets
    CountedPartners found{associate(session, {}, k), {}};
    found.counts = count_listed(context, baskets, found.partners.to_csr());
    return found;
  }
  const Range range("associate");
  return counted_partners(context, baskets, settings.min_count, parse_measure(by), k,
                          static_cast<float>(settings.min_score), pair_rule(session.prepared, session.config()));
}

std::vector<int32_t> search_partners(const Session& session, const SearchParams& params,
                                     const std::vector<int32_t>& anchors) {
  constexpr int64_t kMax = 256;
  const int64_t wanted = params.candidates - 1;
  const Partners all =
      associate(session, session.pair_counts(), params.forbidden.empty() ? wanted : std::max(wanted, kMax));
  const int64_t width = std::min<int64_t>(wanted, all.k);
  std::vector<uint8_t> forbidden(static_cast<size_t>(session.prepared.n_items), 0);
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

SearchSpace search_space(const Session& session, const SearchParams& params) {
  Context& context = session.context();
  const config::Config& config = session.config();
  const std::string by = session.association_by();
  SearchSpace space(context, session.catalog, params);
  if (by == "conviction") {
    throw UsageError("associate.by = conviction has no upper end, so that a bundle's value would have none",
                     "search by lift, confidence or another measure");
  }
  if (is_learned(by) && config.associate.category_rule == "any" && config.associate.exclude_pairs.empty()) {
    const Vectors& vectors = session.learned_vectors(by);
    space.vectors = vectors.matrix();
    space.scale = association_scale(vectors.dim, config);
  } else {
    constexpr int64_t kPartners = 256;
    space.association = DeviceCsr(context, associate(session, session.pair_counts(), kPartners).to_csr());
  }
  return space;
}

}  // namespace sheaf::app
