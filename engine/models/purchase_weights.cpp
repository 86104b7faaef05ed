#include "engine/models/purchase_weights.hpp"

#include <cmath>

namespace sheaf {
namespace {

HostCsr weighted(HostCsr purchases, const std::string& kind) {
  for (float& w : purchases.values) w = kind == "log" ? std::log1p(w) : 1.0f;
  return purchases;
}

}  // namespace

HostCsr purchase_weights(const Purchases& purchases, const std::string& kind) {
  return kind == "recency" ? purchases.train : weighted(purchases.train_counts, kind);
}

HostCsr weights_of_strangers(const HostCsr& purchases, const std::string& kind) {
  HostCsr rows = purchases;
  if (rows.values.empty()) rows.values.assign(rows.columns.size(), 1.0f);
  return kind == "recency" ? rows : weighted(std::move(rows), kind);
}

}  // namespace sheaf
