#include "engine/search/bundle_search.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/evaluate/ranking_eval.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/dense/mean_probability.hpp"
#include "kernels/genetic/bundle_terms.hpp"

namespace sheaf {
namespace {

constexpr int64_t kBatch = 1024;  // problems on the device at a time: 16 MiB of pairs at 64 candidates

/// Candidates of some problems, with what the subjects think of them.
struct Candidates {
  int64_t n = 0, width = 0;
  std::vector<int32_t> items;      // [n, width], -1 for none
  std::vector<float> probability;  // [n, width]
};

/// Puts the must-have items that are missing in the place of the last candidates.
void insert_must_haves(const std::vector<int32_t>& must_have, int32_t* items, int64_t width, bool keep_first) {
  int64_t place = width;
  for (const int32_t item : must_have) {
    if (std::find(items, items + width, item) != items + width) continue;
    const int64_t lowest = keep_first ? 1 : 0;
    do {
      --place;
    } while (place > lowest && std::find(must_have.begin(), must_have.end(), items[place]) != must_have.end());
    if (place < lowest) return;  // the search will report what is missing
    items[place] = item;
  }
}

std::vector<float> to_probabilities(std::vector<float> logits) {
  for (float& x : logits) x = static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(x))));
  return logits;
}

/// Solves problems in batches. `ids` key the random draws, so a subject's result does not depend on who else is searched for.
class Solver {
 public:
  Solver(Context& context, const SearchSpace& space, const SearchParams& params, bool anchored)
      : context_(context), space_(space), params_(params), anchored_(anchored) {
    sums_.assign(static_cast<size_t>(params.search.rounds), 0.0);
    feasible_.assign(sums_.size(), 0);
  }

  void solve(const Candidates& candidates, const std::vector<int64_t>& ids) {
    const int64_t n = candidates.n, c = candidates.width, rounds = params_.search.rounds;
    const Buffer<int32_t> items(context_, candidates.items);
    const Buffer<float> probability(context_, candidates.probability);
    Buffer<float> linear(context_, n * c), pair(context_, n * c * c), price(context_, n * c);
    Buffer<int32_t> category(context_, n * c);
    Buffer<uint8_t> flags(context_, n * c);
    genetic::bundle_terms(context_, {.candidates = items.matrix(n, c),
                                     .probability = probability.matrix(n, c),
                                     .vectors = space_.vectors.matrix(space_.dim ? space_.n_items : 0, space_.dim),
                                     .association = space_.association.view(),
                                     .item_price = space_.price.view(),
                                     .item_category = space_.category.view(),
                                     .item_flags = space_.flags.view(),
                                     .first_is_must_have = anchored_,
                                     .scale = space_.scale,
                                     .weight_association = params_.weight_association,
                                     .weight_preference = params_.weight_preference,
                                     .weight_revenue = params_.weight_revenue,
                                     .linear = linear.matrix(n, c),
                                     .pair = pair.view(),
                                     .price = price.matrix(n, c),
                                     .category = category.matrix(n, c),
                                     .flags = flags.matrix(n, c)});
    const bool limited = std::isfinite(params_.budget);
    const Buffer<double> budget(context_, std::vector<double>(static_cast<size_t>(n), budget_limit(params_)));
    const Buffer<int64_t> problem_ids(context_, ids);
    Buffer<genetic::SearchSet> pool(context_, n * params_.search.chains);
    Buffer<int64_t> evaluations = Buffer<int64_t>::zeros(context_, n);
    Buffer<float> history(context_, n * rounds);
    genetic::search(context_, {.problems = {.n_problems = n,
                                            .n_candidates = static_cast<int32_t>(c),
                                            .n_limits = limited ? 1 : 0,
                                            .min_size = static_cast<int32_t>(params_.min_size),
                                            .max_size = static_cast<int32_t>(params_.max_size),
                                            .min_categories = static_cast<int32_t>(params_.min_categories),
                                            .linear = linear.data(),
                                            .pair = pair.data(),
                                            .weight = price.data(),
                                            .upper = budget.data(),
                                            .category = category.data(),
                                            .flags = flags.data()},
                               .params = params_.search,
                               .problem_ids = problem_ids.view(),
                               .pool = pool.matrix(n, params_.search.chains),
                               .evaluations = evaluations.view(),
                               .history = history.matrix(n, rounds)});
    collect(candidates, ids, pool.to_host());
    add_history(history.to_host());
  }

  SearchResult take() {
    result_.convergence.clear();
    for (size_t g = 0; g < sums_.size(); ++g) {
      result_.convergence.push_back(feasible_[g] ? sums_[g] / static_cast<double>(feasible_[g])
                                                 : std::numeric_limits<double>::quiet_NaN());
    }
    return std::move(result_);
  }

 private:
  void collect(const Candidates& candidates, const std::vector<int64_t>& ids,
               const std::vector<genetic::SearchSet>& pool) {
    for (int64_t p = 0; p < candidates.n; ++p) {
      const genetic::SearchSet& best = pool[static_cast<size_t>(p * params_.search.chains)];
      std::vector<std::pair<int32_t, float>> members;
      for (int32_t place = 0; place < candidates.width; ++place) {
        if ((best.mask[place / 32] >> (place % 32) & 1u) == 0) continue;
        const auto at = static_cast<size_t>(p * candidates.width + place);
        members.emplace_back(candidates.items[at], candidates.probability[at]);
      }
      std::ranges::sort(members);
      Bundle bundle{ids[static_cast<size_t>(p)], {}, {}, best.value, best.violation};
      for (const auto& [item, probability] : members) {
        bundle.items.push_back(item);
        bundle.probability.push_back(probability);
      }
      result_.bundles.push_back(std::move(bundle));
    }
  }

  void add_history(const std::vector<float>& history) {
    for (size_t at = 0; at < history.size(); ++at) {
      if (std::isinf(history[at])) continue;
      sums_[at % sums_.size()] += static_cast<double>(history[at]);
      ++feasible_[at % sums_.size()];
    }
  }

  Context& context_;
  const SearchSpace& space_;
  const SearchParams& params_;
  bool anchored_;
  std::vector<double> sums_;
  std::vector<int64_t> feasible_;
  SearchResult result_;
};

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

/// The scorer of some users alone, so that the bulk scoring reads nothing else.
LinearScorer scorer_of(Context& context, const LinearScorer& scorer, const std::vector<int32_t>& users) {
  LinearScorer part;
  part.n_users = static_cast<int64_t>(users.size());
  part.n_items = scorer.n_items;
  part.dim = scorer.dim;
  part.users = Buffer<float>(context, rows_of(scorer.users, users, scorer.dim));
  part.items = Buffer<float>(context, scorer.items.to_host());
  part.item_bias = Buffer<float>(context, scorer.item_bias.to_host());
  return part;
}

}  // namespace

SearchSpace::SearchSpace(Context& context, const Catalog& catalog, const SearchParams& params)
    : n_items(catalog.n_items), price(context, catalog.price), category(context, catalog.category) {
  std::vector<uint8_t> bits(static_cast<size_t>(n_items), 0);
  for (const int32_t item : params.must_have) bits[static_cast<size_t>(item)] |= genetic::kMustHave;
  for (const int32_t item : params.forbidden) bits[static_cast<size_t>(item)] |= genetic::kForbidden;
  flags = Buffer<uint8_t>(context, bits);
  HostCsr none;
  none.row_offsets.assign(static_cast<size_t>(n_items) + 1, 0);
  none.n_columns = n_items;
  association = DeviceCsr(context, none);
}

SearchResult search_for_users(Context& context, const LinearScorer& scorer, const SearchSpace& space,
                              const SearchParams& params, const std::vector<int32_t>& users) {
  Solver solver(context, space, params, false);
  const LinearScorer probabilities = probability_scorer(context, scorer);
  const LinearScorer part = scorer_of(context, scorer, users);
  Candidates candidates;
  candidates.width = std::min({params.candidates, scorer.n_items, int64_t{genetic::kMaxCandidates}});
  const std::vector<int32_t> top = top_items(context, part, nullptr, candidates.width).items.to_host();
  for (size_t first = 0; first < users.size(); first += kBatch) {
    check_interrupt("the bundle search");
    const size_t last = std::min(users.size(), first + kBatch);
    const auto width = static_cast<size_t>(candidates.width);
    candidates.n = static_cast<int64_t>(last - first);
    candidates.items.assign(top.begin() + static_cast<std::ptrdiff_t>(first * width),
                            top.begin() + static_cast<std::ptrdiff_t>(last * width));
    for (size_t p = 0; p < last - first; ++p) {
      insert_must_haves(params.must_have, candidates.items.data() + p * width, candidates.width, false);
    }
    const std::vector<int32_t> batch(users.begin() + static_cast<std::ptrdiff_t>(first),
                                     users.begin() + static_cast<std::ptrdiff_t>(last));
    candidates.probability =
        to_probabilities(pair_logits(context, probabilities, batch, candidates.items, candidates.width));
    solver.solve(candidates, std::vector<int64_t>(batch.begin(), batch.end()));
  }
  return solver.take();
}

SearchResult search_around_anchors(Context& context, const SearchSpace& space, const SearchParams& params,
                                   const std::vector<int32_t>& anchors, const std::vector<int32_t>& partners,
                                   const std::vector<float>& probability) {
  std::vector<uint8_t> forbidden(static_cast<size_t>(space.n_items));
  for (const int32_t item : params.forbidden) forbidden[static_cast<size_t>(item)] = 1;
  for (const int32_t anchor : anchors) {
    if (forbidden[static_cast<size_t>(anchor)] != 0) {
      throw UsageError("item " + std::to_string(anchor) + " is an anchor and forbidden",
                       "take it out of one of the two");
    }
  }
  Solver solver(context, space, params, true);
  const size_t n_partners = anchors.empty() ? 0 : partners.size() / anchors.size();
  Candidates candidates;
  // Room for all must-haves beside the anchor and its partners.
  candidates.width =
      std::clamp<int64_t>(static_cast<int64_t>(1 + n_partners + params.must_have.size()), 1, params.candidates);
  const size_t taken = std::min(n_partners, static_cast<size_t>(candidates.width) - 1);
  for (size_t first = 0; first < anchors.size(); first += kBatch) {
    check_interrupt("the bundle search");
    const size_t last = std::min(anchors.size(), first + kBatch);
    candidates.n = static_cast<int64_t>(last - first);
    candidates.items.clear();
    candidates.probability.clear();
    for (size_t p = first; p < last; ++p) {
      const size_t row = candidates.items.size();
      candidates.items.push_back(anchors[p]);
      const auto begin = partners.begin() + static_cast<std::ptrdiff_t>(p * n_partners);
      candidates.items.insert(candidates.items.end(), begin, begin + static_cast<std::ptrdiff_t>(taken));
      candidates.items.resize(row + static_cast<size_t>(candidates.width), -1);
      insert_must_haves(params.must_have, candidates.items.data() + row, candidates.width, true);
    }
    for (const int32_t item : candidates.items) {
      candidates.probability.push_back(item < 0 ? 0.0f : probability[static_cast<size_t>(item)]);
    }
    const auto begin = anchors.begin() + static_cast<std::ptrdiff_t>(first);
    solver.solve(candidates, std::vector<int64_t>(begin, begin + candidates.n));
  }
  return solver.take();
}

std::vector<float> mean_probability(Context& context, const LinearScorer& scorer) {
  const LinearScorer folded = probability_scorer(context, scorer);
  Buffer<float> mean(context, scorer.n_items);
  dense::mean_probability(context, {.users = folded.user_matrix(),
                                    .items = folded.item_matrix(),
                                    .user_bias = folded.user_bias.view(),
                                    .item_bias = folded.item_bias.view(),
                                    .bias = folded.bias.view(),
                                    .out = mean.view()});
  return mean.to_host();
}

std::vector<Bundle> select_bundles(const std::vector<Bundle>& bundles, int64_t max_overlap, int64_t count) {
  std::vector<const Bundle*> order;
  for (const Bundle& bundle : bundles) {
    if (bundle.violation == 0.0f) order.push_back(&bundle);
  }
  std::ranges::stable_sort(order, [](const Bundle* a, const Bundle* b) {
    return a->value != b->value ? a->value > b->value : a->subject < b->subject;
  });
  std::vector<Bundle> chosen;
  for (const Bundle* bundle : order) {
    if (static_cast<int64_t>(chosen.size()) >= count) break;
    const auto overlaps = [&](const Bundle& other) {
      std::vector<int32_t> both;
      std::ranges::set_intersection(bundle->items, other.items, std::back_inserter(both));
      return static_cast<int64_t>(both.size()) > max_overlap || other.items == bundle->items;
    };
    if (std::ranges::none_of(chosen, overlaps)) chosen.push_back(*bundle);
  }
  return chosen;
}

std::string explain_infeasible(const Bundle& nearest, const Catalog& catalog, const SearchParams& params,
                               const std::string& currency) {
  std::vector<std::string> broken;
  const auto size = static_cast<int64_t>(nearest.items.size());
  double price = 0;
  std::set<int32_t> categories;
  int64_t missing = 0, forbidden = 0;
  for (const int32_t item : nearest.items) {
    price += static_cast<double>(catalog.price[static_cast<size_t>(item)]);
    categories.insert(catalog.category[static_cast<size_t>(item)]);
    forbidden += std::ranges::count(params.forbidden, item);
  }
  for (const int32_t item : params.must_have) missing += std::ranges::count(nearest.items, item) == 0 ? 1 : 0;
  const auto n_categories = static_cast<int64_t>(categories.size());
  const auto money = [&](double amount) {
    char text[64];
    std::snprintf(text, sizeof text, "%.2f %s", amount, currency.c_str());
    return std::string(text);
  };
  if (price > static_cast<double>(budget_limit(params))) {
    broken.push_back("it costs " + money(price) + ", " + money(price - static_cast<double>(params.budget)) +
                     " over the budget of " + money(static_cast<double>(params.budget)));
  }
  if (size < params.min_size) {
    broken.push_back("it has " + std::to_string(size) + " items, " + std::to_string(params.min_size - size) +
                     " fewer than search.min_size");
  }
  if (n_categories < params.min_categories) {
    broken.push_back("it has " + std::to_string(n_categories) + " categories, " +
                     std::to_string(params.min_categories - n_categories) + " fewer than search.min_categories");
  }
  if (missing > 0) broken.push_back("it lacks " + std::to_string(missing) + " of search.must_have");
  if (forbidden > 0) broken.push_back("it needs " + std::to_string(forbidden) + " of search.forbidden");
  std::string text;
  for (const std::string& reason : broken) text += (text.empty() ? "" : "; ") + reason;
  return text;
}

}  // namespace sheaf
