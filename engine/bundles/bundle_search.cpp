#include "engine/bundles/bundle_search.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <span>

#include "engine/bundles/candidates.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/genetic/evaluate_sets.hpp"
#include "kernels/genetic/search_pool.hpp"

namespace sheaf {
namespace {

constexpr int64_t kBatch = 1024;  // problems on the device at a time: 16 MiB of pairs at 64 candidates

/// Solves problems in batches. `ids` key the random draws, so a subject's result does not depend on the other subjects.
class Solver {
 public:
  Solver(Context& context, const SearchSpace& space, const SearchParams& params, bool anchored)
      : context_(context), space_(space), params_(params), anchored_(anchored) {
    sums_.assign(static_cast<size_t>(params.search.rounds), 0.0);
    feasible_.assign(sums_.size(), 0);
  }

  void solve(const Candidates& candidates, const std::vector<int64_t>& ids) {
    const int64_t n = candidates.n, c = candidates.width, rounds = params_.search.rounds;
    const ProblemTerms terms(context_, space_, params_, candidates, anchored_);
    const ProblemLimits limits(space_, params_, candidates);
    const Buffer<float> weight(context_, limits.weight);
    const Buffer<double> upper(context_, limits.upper);
    const Buffer<int64_t> problem_ids(context_, ids);
    Buffer<genetic::SearchSet> pool(context_, n * params_.search.local_searches);
    Buffer<int64_t> evaluations = Buffer<int64_t>::zeros(context_, n);
    Buffer<float> history(context_, n * rounds);
    const genetic::SearchProblems problems{.n_problems = n,
                                           .n_candidates = static_cast<int32_t>(c),
                                           .n_limits = static_cast<int32_t>(limits.names.size()),
                                           .min_size = static_cast<int32_t>(params_.min_size),
                                           .max_size = static_cast<int32_t>(params_.max_size),
                                           .min_categories = static_cast<int32_t>(params_.min_categories),
                                           .linear = terms.linear.data(),
                                           .pair = terms.pair.data(),
                                           .weight = weight.data(),
                                           .upper = upper.data(),
                                           .category = terms.category.data(),
                                           .conflict = terms.conflict.empty() ? nullptr : terms.conflict.data(),
                                           .flags = terms.flags.data()};
    genetic::SearchArgs search{.problems = problems,
                               .params = params_.search,
                               .problem_ids = problem_ids.view(),
                               .pool = pool.matrix(n, params_.search.local_searches),
                               .evaluations = evaluations.view(),
                               .history = history.matrix(n, rounds)};
    genetic::search(context_, search);
    if (insert_known(candidates, ids, problems, pool)) {
      search.params.first_round = params_.search.rounds;
      search.history = {};
      genetic::search(context_, search);
    }
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
  /// Puts known bundles into the pools, where they are not yet; false if there are none.
  bool insert_known(const Candidates& candidates, const std::vector<int64_t>& ids,
                    const genetic::SearchProblems& problems, Buffer<genetic::SearchSet>& pool) {
    size_t most = 0;
    for (const int64_t id : ids) {
      const auto known = params_.known.find(id);
      if (known != params_.known.end()) most = std::max(most, known->second.size());
    }
    most = std::min(most, static_cast<size_t>(params_.search.local_searches));
    if (most == 0) return false;
    // As places among the candidates; a bundle with an item that is none is left out.
    const auto n_sets = static_cast<int64_t>(most), width = candidates.width;
    std::vector<int32_t> places(static_cast<size_t>(candidates.n * n_sets * width), -1);
    for (int64_t p = 0; p < candidates.n; ++p) {
      const auto known = params_.known.find(ids[static_cast<size_t>(p)]);
      if (known == params_.known.end()) continue;
      const auto row = candidates.items.begin() + p * width;
      for (size_t s = 0; s < std::min(most, known->second.size()); ++s) {
        std::vector<int32_t> set;
        for (const int32_t item : known->second[s]) {
          const auto at = std::find(row, row + width, item);
          if (at != row + width) set.push_back(static_cast<int32_t>(at - row));
        }
        if (set.size() != known->second[s].size()) continue;
        std::ranges::sort(set);
        std::ranges::copy(set, places.begin() + (p * n_sets + static_cast<int64_t>(s)) * width);
      }
    }
    const Buffer<int32_t> sets(context_, places);
    Buffer<float> value(context_, candidates.n * n_sets), violation(context_, candidates.n * n_sets);
    genetic::evaluate_sets(
        context_, {problems, n_sets, sets.matrix(candidates.n * n_sets, width), value.view(), violation.view()});
    const std::vector<float> values = value.to_host(), violations = violation.to_host();
    std::vector<genetic::SearchSet> pools = pool.to_host();
    for (int64_t at = 0; at < candidates.n * n_sets; ++at) {
      if (places[static_cast<size_t>(at * width)] < 0) continue;
      genetic::SearchSet set{};
      for (int64_t m = 0; m < width && places[static_cast<size_t>(at * width + m)] >= 0; ++m) {
        const int32_t place = places[static_cast<size_t>(at * width + m)];
        set.mask[place / 32] |= 1u << (place % 32);
      }
      set.value = values[static_cast<size_t>(at)];
      set.violation = violations[static_cast<size_t>(at)];
      const std::span own(pools.data() + at / n_sets * params_.search.local_searches,
                          static_cast<size_t>(params_.search.local_searches));
      const auto same = [&](const genetic::SearchSet& other) { return std::ranges::equal(other.mask, set.mask); };
      if (std::ranges::any_of(own, same) || genetic::compare_sets(set, own.back()) < 0) continue;
      own.back() = set;
      std::ranges::stable_sort(own, [](const auto& a, const auto& b) { return genetic::compare_sets(a, b) > 0; });
    }
    pool.assign(pools);
    return true;
  }

  Bundle bundle_of(const Candidates& candidates, const std::vector<int64_t>& ids, int64_t p,
                   const genetic::SearchSet& set) const {
    std::vector<std::pair<int32_t, float>> members;
    for (int32_t place = 0; place < candidates.width; ++place) {
      if ((set.mask[place / 32] >> (place % 32) & 1u) == 0) continue;
      const auto at = static_cast<size_t>(p * candidates.width + place);
      members.emplace_back(candidates.items[at], candidates.probability[at]);
    }
    std::ranges::sort(members);
    Bundle bundle{ids[static_cast<size_t>(p)], {}, {}, set.value, set.violation, params_.discount};
    for (const auto& [item, probability] : members) {
      bundle.items.push_back(item);
      bundle.probability.push_back(probability);
    }
    return bundle;
  }

  void collect(const Candidates& candidates, const std::vector<int64_t>& ids,
               const std::vector<genetic::SearchSet>& pool) {
    for (int64_t p = 0; p < candidates.n; ++p) {
      const auto own = std::span(pool).subspan(static_cast<size_t>(p * params_.search.local_searches),
                                               static_cast<size_t>(params_.search.local_searches));
      result_.bundles.push_back(bundle_of(candidates, ids, p, own.front()));
      if (!params_.keep_pools) continue;
      for (const genetic::SearchSet& set : own) {
        if (set.violation == 0.0f) result_.pools.push_back(bundle_of(candidates, ids, p, set));
      }
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

}  // namespace

JointSpace::JointSpace(Context& context, const BasketChances& user_chances, const BasketDependence& basket_dependence,
                       MatrixView<const float> item_vectors)
    : chances(&user_chances),
      dependence(&basket_dependence),
      counts(context, basket_dependence.counts),
      frequency(context, basket_dependence.frequency),
      prior(context, basket_dependence.prior),
      vectors(item_vectors) {}

SearchSpace::SearchSpace(Context& context, const Catalog& catalog, const SearchParams& params)
    : n_items(catalog.n_items),
      host_price(catalog.price),
      price(context, catalog.price),
      category(context, catalog.category) {
  std::vector<uint8_t> bits(static_cast<size_t>(n_items), 0);
  for (const int32_t item : params.must_have) bits[static_cast<size_t>(item)] |= genetic::kMustHave;
  for (const int32_t item : params.forbidden) bits[static_cast<size_t>(item)] |= genetic::kForbidden;
  flags = Buffer<uint8_t>(context, bits);
  HostCsr none;
  none.row_offsets.assign(static_cast<size_t>(n_items) + 1, 0);
  none.n_columns = n_items;
  association = DeviceCsr(context, none);
}

SearchResult search_for_users(Context& context, const Scorer& scorer, const SearchSpace& space,
                              const SearchParams& params, const std::vector<int32_t>& users) {
  Solver solver(context, space, params, false);
  const UserCandidates candidates(context, scorer, space, params, users);
  for (size_t first = 0; first < users.size(); first += kBatch) {
    check_interrupt("the bundle search");
    const size_t last = std::min(users.size(), first + kBatch);
    solver.solve(candidates.batch(first, last),
                 std::vector<int64_t>(users.begin() + static_cast<std::ptrdiff_t>(first),
                                      users.begin() + static_cast<std::ptrdiff_t>(last)));
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
  for (size_t first = 0; first < anchors.size(); first += kBatch) {
    check_interrupt("the bundle search");
    const size_t count = std::min<size_t>(anchors.size() - first, kBatch);
    const auto own = std::span(anchors).subspan(first, count);
    solver.solve(anchor_candidates(space, params, own,
                                   std::span(partners).subspan(first * n_partners, count * n_partners), probability),
                 std::vector<int64_t>(own.begin(), own.end()));
  }
  return solver.take();
}

double margin_weight(const SearchParams& params, double price, int32_t item) {
  const double kept = (1.0 - static_cast<double>(params.margin_floor)) * (1.0 - static_cast<double>(params.discount));
  return static_cast<double>(params.unit_cost[static_cast<size_t>(item)]) - kept * price;
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
  double price = 0, cost = 0, margin = 0;
  std::set<int32_t> categories;
  int64_t missing = 0, forbidden = 0;
  for (const int32_t item : nearest.items) {
    price += static_cast<double>(catalog.price[static_cast<size_t>(item)]);
    categories.insert(catalog.category[static_cast<size_t>(item)]);
    forbidden += std::ranges::count(params.forbidden, item);
    if (params.unit_cost.empty()) continue;
    const auto own = static_cast<double>(catalog.price[static_cast<size_t>(item)]);
    cost += static_cast<double>(params.unit_cost[static_cast<size_t>(item)]);
    margin += margin_weight(params, own, item);
  }
  for (const int32_t item : params.must_have) missing += std::ranges::count(nearest.items, item) == 0 ? 1 : 0;
  const auto n_categories = static_cast<int64_t>(categories.size());
  const auto money = [&](double amount) {
    char text[64];
    std::snprintf(text, sizeof text, "%.2f %s", amount, currency.c_str());
    return std::string(text);
  };
  if (price > budget_limit(params)) {
    broken.push_back("it costs " + money(price) + ", " + money(price - params.budget) + " over the budget of " +
                     money(params.budget));
  }
  if (margin > 1e-6 * price) {
    const double paid = price * (1.0 - static_cast<double>(params.discount));
    char share[96];
    std::snprintf(share, sizeof share, "%.1f %% of what is paid, under discount.margin_floor = %.1f %%",
                  paid > 0 ? 100.0 * (paid - cost) / paid : 0.0, 100.0 * static_cast<double>(params.margin_floor));
    broken.push_back("its margin is " + std::string(share));
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
