#include "engine/bundles/candidates.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/core/parallel.hpp"
#include "kernels/genetic/bundle_terms.hpp"
#include "kernels/genetic/joint_pairs.hpp"

namespace sheaf {
namespace {

constexpr float kLast = -1e30f;  // below any probability

/// Puts the needed items that are missing in the places of the last candidates.
void insert_needed(const std::vector<int32_t>& needed, int32_t* items, int64_t width, bool keep_first) {
  int64_t place = width;
  for (const int32_t item : needed) {
    if (std::find(items, items + width, item) != items + width) continue;
    const int64_t lowest = keep_first ? 1 : 0;
    do {
      --place;
    } while (place > lowest && std::find(needed.begin(), needed.end(), items[place]) != needed.end());
    if (place < lowest) return;  // the search will report what is missing
    items[place] = item;
  }
}

/// Chances at a discount.
void lift(const SearchParams& params, std::vector<float>& probability) {
  const float factor = 1.0f + params.uplift * params.discount;
  if (factor == 1.0f) return;
  for (float& p : probability) p = std::min(1.0f, p * factor);
}

/// Must-have items and those of the known bundles of a subject.
std::vector<int32_t> needed_items(const SearchParams& params, int64_t subject) {
  std::vector<int32_t> needed = params.must_have;
  const auto known = params.known.find(subject);
  if (known == params.known.end()) return needed;
  for (const std::vector<int32_t>& bundle : known->second) {
    for (const int32_t item : bundle) {
      if (std::ranges::find(needed, item) == needed.end()) needed.push_back(item);
    }
  }
  return needed;
}

bool is_joint(const SearchParams& params) {
  return !params.pair_value.empty() || !params.paid_value.empty() || !params.fresh_value.empty();
}

/// Half of what a basket with the item and another of the bundle is worth. `is_new`: to the subject, 0 to 1.
float value_of_item(const SearchParams& params, int32_t item, float is_new) {
  const auto at = static_cast<size_t>(item);
  float value = params.pair_value.empty() ? 0.0f : params.pair_value[at];
  if (!params.paid_value.empty()) value += (1.0f - params.discount) * params.paid_value[at];
  if (!params.fresh_value.empty()) value += is_new * params.fresh_value[at];
  return value;
}

/// The row of a user's own items and their chances.
struct OwnItems {
  std::span<const int32_t> items;
  std::span<const float> chance;

  OwnItems(const BasketChances& chances, int32_t user) : items(chances.own.row(user)) {
    chance = std::span(chances.own.values)
                 .subspan(static_cast<size_t>(chances.own.row_offsets[static_cast<size_t>(user)]), items.size());
  }
  /// -1 for an item that the user has not bought.
  float chance_of(int32_t item) const {
    const auto at = std::ranges::lower_bound(items, item);
    return at == items.end() || *at != item ? -1.0f : chance[static_cast<size_t>(at - items.begin())];
  }
};

/// Items that the user has not bought, by the baskets that they share with the user's likeliest ones.
std::vector<int32_t> new_partners(const HostCsr& counts, const OwnItems& own, std::span<const int32_t> likeliest,
                                  const std::vector<uint8_t>& forbidden, size_t count) {
  std::vector<std::pair<int32_t, float>> found;
  for (const int32_t item : likeliest) {
    const auto first = static_cast<size_t>(counts.row_offsets[static_cast<size_t>(item)]);
    const auto row = counts.row(item);
    const float chance = own.chance_of(item);
    for (size_t e = 0; e < row.size(); ++e) {
      if (forbidden[static_cast<size_t>(row[e])] == 0) found.emplace_back(row[e], chance * counts.values[first + e]);
    }
  }
  std::ranges::stable_sort(found, {}, &std::pair<int32_t, float>::first);
  size_t n = 0;
  for (const auto& [item, score] : found) {
    if (n > 0 && found[n - 1].first == item) {
      found[n - 1].second += score;
    } else {
      found[n++] = {item, score};
    }
  }
  found.resize(n);
  std::erase_if(found, [&](const auto& entry) { return own.chance_of(entry.first) >= 0.0f; });
  std::ranges::stable_sort(found, std::ranges::greater{}, &std::pair<int32_t, float>::second);
  std::vector<int32_t> items;
  for (size_t r = 0; r < std::min(count, found.size()); ++r) items.push_back(found[r].first);
  return items;
}

}  // namespace

UserCandidates::UserCandidates(Context& context, const Scorer& scorer, const SearchSpace& space,
                               const SearchParams& params, const std::vector<int32_t>& users)
    : context_(context),
      space_(space),
      params_(params),
      users_(users),
      scorer_(scorer),
      queries_(context, users),
      width_(std::min({params.candidates, scorer.n_items(), int64_t{genetic::kMaxCandidates}})),
      top_(scorer.top_k(context, queries_, width_, {.everywhere = params.forbidden}).items.to_host()) {
  if (is_joint(params_)) mix_in_own_items();
}

void UserCandidates::mix_in_own_items() {
  constexpr size_t kLikeliest = 6;
  const BasketChances& chances = *space_.joint->chances;
  std::vector<uint8_t> forbidden(static_cast<size_t>(space_.n_items), 0);
  for (const int32_t item : params_.forbidden) forbidden[static_cast<size_t>(item)] = 1;
  const auto width = static_cast<size_t>(width_);
  const size_t places = width * (params_.fresh_value.empty() ? 5 : 3) / 8;
  parallel_for(context_, std::ssize(users_), 8, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const OwnItems own(chances, users_[static_cast<size_t>(p)]);
      std::vector<std::pair<int32_t, float>>
          ranked;  // by what they bring; what brings nothing by its chance, after those
      for (size_t e = 0; e < own.items.size(); ++e) {
        if (forbidden[static_cast<size_t>(own.items[e])] != 0) continue;
        const float brings = own.chance[e] * value_of_item(params_, own.items[e], 0.0f);
        ranked.emplace_back(own.items[e], brings > 0.0f ? brings : own.chance[e] - 1.0f);
      }
      std::ranges::stable_sort(ranked, std::ranges::greater{}, &std::pair<int32_t, float>::second);
      std::vector<int32_t> chosen;
      const auto add = [&](int32_t item) {
        if (item < 0 || chosen.size() >= width || std::ranges::find(chosen, item) != chosen.end()) return;
        chosen.push_back(item);
      };
      for (size_t r = 0; r < std::min(places, ranked.size()); ++r) add(ranked[r].first);
      const std::vector<int32_t> likeliest(
          chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(std::min(kLikeliest, chosen.size())));
      for (const int32_t item : new_partners(space_.joint->dependence->counts, own, likeliest, forbidden, width / 8)) {
        add(item);
      }
      const std::span listed(top_.data() + p * width_, width);
      for (const int32_t item : listed) {
        if (item >= 0 && own.chance_of(item) < 0.0f) add(item);
      }
      for (size_t r = places; r < ranked.size(); ++r) add(ranked[r].first);
      for (const int32_t item : listed) add(item);
      chosen.resize(width, -1);
      std::ranges::copy(chosen, listed.begin());
    }
  });
}

/// `probability` holds the scores.
void UserCandidates::set_basket_chances(const std::vector<int32_t>& users, Candidates& candidates) const {
  const BasketChances& chances = *space_.joint->chances;
  candidates.value.resize(candidates.items.size());
  parallel_for(context_, candidates.n, 8, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int32_t user = users[static_cast<size_t>(p)];
      const OwnItems own(chances, user);
      const float baskets = chances.expected_baskets[static_cast<size_t>(user)];
      for (int64_t c = p * candidates.width; c < (p + 1) * candidates.width; ++c) {
        const int32_t item = candidates.items[static_cast<size_t>(c)];
        if (item < 0) continue;
        float& chance = candidates.probability[static_cast<size_t>(c)];
        const float known = own.chance_of(item);
        chance = known >= 0.0f ? known : static_cast<float>(chances.new_item.of(static_cast<double>(chance)));
        candidates.value[static_cast<size_t>(c)] = baskets * value_of_item(params_, item, known >= 0.0f ? 0.0f : 1.0f);
      }
    }
  });
}

Candidates UserCandidates::batch(size_t first, size_t last) const {
  const auto width = static_cast<std::ptrdiff_t>(width_);
  const auto from = static_cast<std::ptrdiff_t>(first), to = static_cast<std::ptrdiff_t>(last);
  const std::vector<int32_t> batch(users_.begin() + from, users_.begin() + to);
  const Queries asked(context_, batch);
  Candidates candidates;
  candidates.n = std::ssize(batch);
  candidates.width = width_;
  candidates.of_users = true;
  candidates.items.assign(top_.begin() + from * width, top_.begin() + to * width);
  for (size_t p = 0; p < batch.size(); ++p) {
    insert_needed(needed_items(params_, batch[p]), candidates.items.data() + static_cast<std::ptrdiff_t>(p) * width,
                  width_, false);
  }
  if (is_joint(params_)) {
    candidates.probability = pair_scores(context_, scorer_, asked, candidates.items, width_);
    set_basket_chances(batch, candidates);
  } else {
    for (const double p : pair_probabilities(context_, scorer_, asked, candidates.items, width_)) {
      candidates.probability.push_back(static_cast<float>(p));
    }
  }
  lift(params_, candidates.probability);
  return candidates;
}

/// Values of candidates for the users as a whole.
static void set_common_values(const SearchSpace& space, const SearchParams& params, Candidates& candidates) {
  if (!is_joint(params)) return;
  const std::vector<float>& expected = space.joint->chances->expected_baskets;
  const float baskets = params.baskets > 0.0f
                            ? params.baskets
                            : static_cast<float>(std::accumulate(expected.begin(), expected.end(), 0.0));
  for (const int32_t item : candidates.items) {
    candidates.value.push_back(item < 0 ? 0.0f : baskets * value_of_item(params, item, 1.0f));
  }
}

Candidates anchor_candidates(const SearchSpace& space, const SearchParams& params, std::span<const int32_t> anchors,
                             std::span<const int32_t> partners, const std::vector<float>& probability) {
  const size_t n_partners = anchors.empty() ? 0 : partners.size() / anchors.size();
  Candidates candidates;
  candidates.n = std::ssize(anchors);
  // Room for all must-haves beside the anchor and its partners.
  candidates.width =
      std::clamp<int64_t>(static_cast<int64_t>(1 + n_partners + params.must_have.size()), 1, params.candidates);
  const size_t taken = std::min(n_partners, static_cast<size_t>(candidates.width) - 1);
  for (size_t p = 0; p < anchors.size(); ++p) {
    const size_t row = candidates.items.size();
    candidates.items.push_back(anchors[p]);
    const auto own = partners.subspan(p * n_partners, taken);
    candidates.items.insert(candidates.items.end(), own.begin(), own.end());
    candidates.items.resize(row + static_cast<size_t>(candidates.width), -1);
    insert_needed(needed_items(params, anchors[p]), candidates.items.data() + row, candidates.width, true);
  }
  for (const int32_t item : candidates.items) {
    candidates.probability.push_back(item < 0 ? 0.0f : probability[static_cast<size_t>(item)]);
  }
  set_common_values(space, params, candidates);
  lift(params, candidates.probability);
  return candidates;
}

Candidates audience_candidates(const SearchSpace& space, const SearchParams& params,
                               const std::vector<float>& probability) {
  Candidates candidates;
  candidates.n = 1;
  candidates.width = std::min({params.candidates, std::ssize(probability), int64_t{genetic::kMaxCandidates}});
  candidates.items.resize(probability.size());
  std::iota(candidates.items.begin(), candidates.items.end(), 0);
  std::vector<float> rank = probability;  // forbidden items come last
  for (const int32_t item : params.forbidden) rank[static_cast<size_t>(item)] = kLast;
  std::ranges::stable_sort(candidates.items, std::ranges::greater{},
                           [&](int32_t i) { return rank[static_cast<size_t>(i)]; });
  candidates.items.resize(static_cast<size_t>(candidates.width));
  insert_needed(params.must_have, candidates.items.data(), candidates.width, false);
  for (const int32_t item : candidates.items) candidates.probability.push_back(probability[static_cast<size_t>(item)]);
  set_common_values(space, params, candidates);
  lift(params, candidates.probability);
  return candidates;
}

/// The terms of the joint objective. Users have their own chances; so their rho is that of a user. For all users
/// together it is the ratio itself.
static void add_joint_pairs(Context& context, const SearchSpace& space, const SearchParams& params,
                            const Candidates& candidates, const Buffer<int32_t>& items,
                            const Buffer<float>& probability, Buffer<float>& pair) {
  const int64_t n = candidates.n, c = candidates.width;
  const JointSpace& joint = *space.joint;
  const BasketDependence& dependence = *joint.dependence;
  const Buffer<float> value(context, candidates.value);
  const int64_t n_categories = dependence.prior.empty() ? 0 : dependence.n_categories;
  genetic::joint_pairs(context, {.candidates = items.matrix(n, c),
                                 .probability = probability.matrix(n, c),
                                 .value = value.matrix(n, c),
                                 .counts = joint.counts.view(),
                                 .frequency = joint.frequency.view(),
                                 .item_category = space.category.view(),
                                 .prior = joint.prior.matrix(n_categories, n_categories),
                                 .vectors = joint.vectors,
                                 .substitutes = space.substitutes.view(),
                                 .prior_strength = dependence.prior_strength,
                                 .prior_cosine = dependence.prior_cosine,
                                 .exponent = candidates.of_users ? dependence.user_exponent : 1.0f,
                                 .offset = candidates.of_users ? dependence.user_offset : 0.0f,
                                 .substitute_factor = params.substitute_factor,
                                 .pair = pair.view()});
}

/// Bit j of row i: candidates i and j are never in one bundle.
static std::vector<uint32_t> conflicts_of(const SearchSpace& space, const SearchParams& params,
                                          const Candidates& candidates) {
  std::vector<uint32_t> bits(candidates.items.size() * static_cast<size_t>(genetic::kMaskWords), 0u);
  const auto set = [&](int64_t p, size_t a, size_t b) {
    const size_t at = static_cast<size_t>(p * candidates.width) + a;
    bits[at * static_cast<size_t>(genetic::kMaskWords) + b / 32] |= 1u << (b % 32);
  };
  std::vector<std::pair<int32_t, size_t>> place;  // of each item, ascending
  for (int64_t p = 0; p < candidates.n; ++p) {
    const auto row = candidates.row(p);
    if (space.rule) {
      for (size_t a = 0; a < row.size(); ++a) {
        for (size_t b = 0; b < row.size(); ++b) {
          if (a != b && row[a] >= 0 && row[b] >= 0 && !space.may_be_together(params, row[a], row[b])) set(p, a, b);
        }
      }
      continue;
    }
    place.clear();
    for (size_t c = 0; c < row.size(); ++c) {
      if (row[c] >= 0) place.emplace_back(row[c], c);
    }
    std::ranges::sort(place);
    for (const auto& [item, a] : place) {
      for (const int32_t other : params.apart.row(item)) {
        const auto at = std::ranges::lower_bound(place, other, {}, &std::pair<int32_t, size_t>::first);
        if (at != place.end() && at->first == other) set(p, a, at->second);
      }
    }
  }
  return bits;
}

ProblemTerms::ProblemTerms(Context& context, const SearchSpace& space, const SearchParams& params,
                           const Candidates& candidates, bool first_is_must_have)
    : linear(context, candidates.n * candidates.width),
      pair(context, candidates.n * candidates.width * candidates.width),
      price(context, candidates.n * candidates.width),
      category(context, candidates.n * candidates.width),
      flags(context, candidates.n * candidates.width) {
  const int64_t n = candidates.n, c = candidates.width;
  const Buffer<int32_t> items(context, candidates.items);
  const Buffer<float> probability(context, candidates.probability);
  const Buffer<float> item_cost(context, params.item_cost);
  genetic::bundle_terms(context, {.candidates = items.matrix(n, c),
                                  .probability = probability.matrix(n, c),
                                  .vectors = space.vectors,
                                  .association = space.association.view(),
                                  .item_price = space.price.view(),
                                  .item_category = space.category.view(),
                                  .item_flags = space.flags.view(),
                                  .item_cost = item_cost.view(),
                                  .first_is_must_have = first_is_must_have,
                                  .scale = space.scale,
                                  .weight_association = params.weight_association,
                                  .weight_preference = params.weight_preference,
                                  .weight_revenue = params.weight_revenue * (1.0f - params.discount),
                                  .linear = linear.matrix(n, c),
                                  .pair = pair.view(),
                                  .price = price.matrix(n, c),
                                  .category = category.matrix(n, c),
                                  .flags = flags.matrix(n, c)});
  if (!candidates.value.empty()) add_joint_pairs(context, space, params, candidates, items, probability, pair);
  if (space.keeps_apart(params)) conflict = Buffer<uint32_t>(context, conflicts_of(space, params, candidates));
}

ProblemLimits::ProblemLimits(const SearchSpace& space, const SearchParams& params, const Candidates& candidates) {
  const bool budget = std::isfinite(params.budget), margin = !params.unit_cost.empty();
  if (budget) names.push_back(kBudget);
  if (margin) names.push_back(kMargin);
  const auto price = [&](int32_t item) { return item < 0 ? 0.0f : space.host_price[static_cast<size_t>(item)]; };
  for (int64_t p = 0; p < candidates.n && !names.empty(); ++p) {
    const auto row = candidates.row(p);
    if (budget) {
      for (const int32_t item : row) weight.push_back(price(item));
      upper.push_back(budget_limit(params));
    }
    if (!margin) continue;
    double largest = 0.0;
    for (const int32_t item : row) {
      const double own = item < 0 ? 0.0 : margin_weight(params, static_cast<double>(price(item)), item);
      largest = std::max(largest, std::abs(own));
      weight.push_back(static_cast<float>(own));
    }
    upper.push_back(largest * static_cast<double>(std::numeric_limits<float>::epsilon()));
  }
}

}  // namespace sheaf
