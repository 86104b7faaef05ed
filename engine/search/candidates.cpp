#include "engine/search/candidates.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/evaluate/ranking_eval.hpp"
#include "kernels/genetic/bundle_terms.hpp"

namespace sheaf {
namespace {

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

std::vector<float> to_probabilities(std::vector<float> logits) {
  for (float& x : logits) x = static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(x))));
  return logits;
}

constexpr float kLast = -1e30f;  // below any score

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

std::vector<float> rows_of(const Buffer<float>& table, const std::vector<int32_t>& rows, int64_t dim) {
  const std::vector<float> all = table.to_host();
  std::vector<float> chosen;
  chosen.reserve(rows.size() * static_cast<size_t>(dim));
  for (const int32_t row : rows) {
    const auto begin = all.begin() + row * dim;
    chosen.insert(chosen.end(), begin, begin + dim);
  }
  return chosen;
}

/// The scorer of some users alone, so that the bulk scoring reads nothing else. Forbidden items come last, so that they take no place from
/// others.
LinearScorer scorer_of(Context& context, const LinearScorer& scorer, const std::vector<int32_t>& users,
                       const std::vector<int32_t>& forbidden) {
  LinearScorer part;
  part.n_users = static_cast<int64_t>(users.size());
  part.n_items = scorer.n_items;
  part.dim = scorer.dim;
  part.users = Buffer<float>(context, rows_of(scorer.users, users, scorer.dim));
  part.items = Buffer<float>(context, scorer.items.to_host());
  std::vector<float> bias = scorer.item_bias.to_host();
  if (!forbidden.empty()) bias.resize(static_cast<size_t>(scorer.n_items), 0.0f);
  for (const int32_t item : forbidden) bias[static_cast<size_t>(item)] = kLast;
  part.item_bias = Buffer<float>(context, bias);
  return part;
}

}  // namespace

UserCandidates::UserCandidates(Context& context, const LinearScorer& scorer, const SearchParams& params,
                               const std::vector<int32_t>& users)
    : context_(context),
      params_(params),
      users_(users),
      probabilities_(probability_scorer(context, scorer)),
      width_(std::min({params.candidates, scorer.n_items, int64_t{genetic::kMaxCandidates}})),
      top_(top_items(context, scorer_of(context, scorer, users, params.forbidden), nullptr, width_).items.to_host()) {}

Candidates UserCandidates::batch(size_t first, size_t last) const {
  const auto width = static_cast<std::ptrdiff_t>(width_);
  const auto from = static_cast<std::ptrdiff_t>(first), to = static_cast<std::ptrdiff_t>(last);
  const std::vector<int32_t> batch(users_.begin() + from, users_.begin() + to);
  Candidates candidates{.n = std::ssize(batch), .width = width_, .items = {}, .probability = {}};
  candidates.items.assign(top_.begin() + from * width, top_.begin() + to * width);
  for (size_t p = 0; p < batch.size(); ++p) {
    insert_needed(needed_items(params_, batch[p]), candidates.items.data() + static_cast<std::ptrdiff_t>(p) * width,
                  width_, false);
  }
  candidates.probability = to_probabilities(pair_logits(context_, probabilities_, batch, candidates.items, width_));
  lift(params_, candidates.probability);
  return candidates;
}

Candidates anchor_candidates(const SearchParams& params, std::span<const int32_t> anchors,
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
  lift(params, candidates.probability);
  return candidates;
}

Candidates audience_candidates(const SearchParams& params, const std::vector<float>& probability) {
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
  lift(params, candidates.probability);
  return candidates;
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
                                  .vectors = space.vectors.matrix(space.dim ? space.n_items : 0, space.dim),
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
      upper.push_back(static_cast<double>(budget_limit(params)));
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
