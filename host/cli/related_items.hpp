#pragma once
/// What `sheaf associate --item` says of one product's complements and substitutes.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/associate/substitutes.hpp"
#include "host/app/session.hpp"

namespace sheaf::cli {

/// Both kinds, the surest first: complements by the lower end of their ratio, substitutes by the upper end.
class RelatedItems {
 public:
  RelatedItems(const app::Session& session, int32_t item);

  /// Two tables of at most ten lines.
  std::string text() const;
  /// {"item", "item_name", "complements": [...], "substitutes": [...]}, at most k of each.
  nlohmann::json to_json(int64_t k) const;

 private:
  struct Related {
    int32_t partner;
    PairRelation pair;
    int32_t followed;  // baskets with one whose user's next basket within a week holds the other
    double expected_followed;
  };

  std::string table(PairKind kind) const;
  nlohmann::json list(PairKind kind, int64_t k) const;
  const std::vector<Related>& of(PairKind kind) const {
    return kind == PairKind::complement ? complements_ : substitutes_;
  }

  const data::Prepared& prepared_;
  int32_t item_;
  std::vector<Related> complements_, substitutes_;
};

/// Every substitute and complement among the pairs with evidence, once each, by the items' numbers: the lines of
/// relations.csv.
std::string relations_csv(const app::Session& session);

}  // namespace sheaf::cli
