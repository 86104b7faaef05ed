#include "host/app/offers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "host/app/association.hpp"
#include "host/app/search_setup.hpp"

namespace sheaf::app {
namespace {

constexpr int64_t kUsersNamed = 3;  // of an offer's audience

template <class F>
void for_each_pair(const std::vector<int32_t>& items, F&& f) {
  for (size_t a = 0; a < items.size(); ++a) {
    for (size_t b = a + 1; b < items.size(); ++b) f(items[a], items[b]);
  }
}

}  // namespace

PairAssociation::PairAssociation(const Session& session)
    : counts_(session.pair_counts()),
      by_(session.association_by()),
      rule_(pair_rule(session.prepared, session.config())) {
  if (!is_learned(by_)) return;
  const Vectors& vectors = session.learned_vectors(by_);
  dim_ = vectors.dim;
  vectors_ = vectors.values.to_host();
  scale_ = session.config().associate.scale == "dim" ? 1.0 / static_cast<double>(dim_) : 1.0;
}

double PairAssociation::operator()(int32_t i, int32_t j) const {
  if (vectors_.empty()) {
    const auto measure = parse_measure(by_);
    const double there = rule_.allows(i, j) ? counts_.measure(measure, i, j) : 0.0;
    return std::max(there, rule_.allows(j, i) ? counts_.measure(measure, j, i) : 0.0);
  }
  if (!rule_.allows(i, j) && !rule_.allows(j, i)) return 0.0;
  const auto at = [&](int32_t item, int64_t c) {
    return static_cast<double>(vectors_[static_cast<size_t>(static_cast<int64_t>(item) * dim_ + c)]);
  };
  double ij = 0, ii = 0, jj = 0;
  for (int64_t c = 0; c < dim_; ++c) {
    const double a = at(i, c), b = at(j, c);
    ij += a * b;
    ii += a * a;
    jj += b * b;
  }
  return ii > 0 && jj > 0 ? scale_ * std::max(0.0, ij / std::sqrt(ii * jj)) : 0.0;
}

std::vector<double> association_matrix(const Session& session, const std::vector<int32_t>& items) {
  const PairAssociation association(session);
  std::vector<double> matrix;
  for (const int32_t i : items) {
    for (const int32_t j : items) matrix.push_back(association(i, j));
  }
  return matrix;
}

Offer make_offer(Bundle bundle, const Catalog& catalog, const PairCounts& counts, const PairAssociation& association,
                 const config::Config& config) {
  Offer offer;
  double n_pairs = 0;
  for_each_pair(bundle.items, [&](int32_t i, int32_t j) {
    ++n_pairs;
    offer.cohesion += counts.measure(association::Measure::cosine, i, j);
    offer.lift += counts.measure(association::Measure::lift, i, j);
    offer.association += association(i, j);
  });
  if (n_pairs > 0) {
    offer.cohesion /= n_pairs;
    offer.lift /= n_pairs;
    offer.association /= n_pairs;
  }
  for (const int32_t item : bundle.items) offer.price += static_cast<double>(catalog.price[static_cast<size_t>(item)]);
  // If the search did not choose the discount: items that are bought together anyway need none, other items earn one.
  // Whole percents.
  const double discount = config.discount.min + (config.discount.max - config.discount.min) / std::max(1.0, offer.lift);
  offer.discount = std::clamp(std::round(discount * 100.0) / 100.0, config.discount.min, config.discount.max);
  if (config.discount.by == "search") offer.discount = std::round(static_cast<double>(bundle.discount) * 1e6) / 1e6;
  offer.offer_price = std::round(offer.price * (1.0 - offer.discount) * 100.0) / 100.0;
  offer.bundle = std::move(bundle);
  return offer;
}

void fill_audience(const ChanceTable& table, const Campaign& plan, std::vector<Offer>& offers) {
  for (Offer& offer : offers) {
    const UserChances users = table.of_bundle(offer.bundle, plan.demand_factor(offer.discount));
    std::vector<std::pair<double, int32_t>> likely;
    offer.audience = 0.0;
    offer.expected_baskets = 0.0;
    for (size_t u = 0; u < users.buys.size(); ++u) {
      offer.audience += users.buys[u];
      offer.expected_baskets += users.baskets.empty() ? 0.0 : users.baskets[u];
      likely.emplace_back(-users.buys[u], static_cast<int32_t>(u));
    }
    if (users.baskets.empty()) offer.expected_baskets = std::numeric_limits<double>::quiet_NaN();
    offer.expected_value = (users.baskets.empty() ? offer.audience : offer.expected_baskets) * offer.offer_price;
    std::ranges::sort(likely);
    for (size_t r = 0; r < std::min<size_t>(kUsersNamed, likely.size()); ++r) offer.users.push_back(likely[r].second);
  }
}

}  // namespace sheaf::app
