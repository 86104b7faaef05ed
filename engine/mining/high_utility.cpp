#include "engine/mining/high_utility.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <span>
#include <string>

#include "kernels/core/buffer.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

constexpr int64_t kAnchorsPerBatch = 512;  // 8 MiB of pair terms at 64 candidates
constexpr int64_t kLargestSet = 16;
constexpr int64_t kKeysPerAnchor = 32;  // of random draws, one a size

struct Worth {
  double utility = 0.0;
  int64_t n_transactions = 0;
};

using Found = std::pair<const std::vector<int32_t>, Worth>;

bool ranks_before(const Found* a, const Found* b) {
  return a->second.utility != b->second.utility ? a->second.utility > b->second.utility : a->first < b->first;
}

void check(const UtilityTransactions& transactions, const UtilityParams& params) {
  const auto refuse = [](const std::string& what, const std::string& mend) {
    throw UsageError("high-utility sets: " + what, mend);
  };
  if (transactions.utilities.size() != transactions.rows.columns.size()) {
    refuse("no values", "give what each item was worth");
  }
  for (const double value : transactions.utilities) {
    if (!(value >= 0.0) || !std::isfinite(value)) {
      refuse("a value is " + std::to_string(value), "values must be finite and not negative");
    }
  }
  if (params.count < 1) refuse("count is " + std::to_string(params.count), "ask for one set at least");
  if (params.min_size < 1 || params.min_size > params.max_size || params.max_size > kLargestSet) {
    refuse("sizes " + std::to_string(params.min_size) + " .. " + std::to_string(params.max_size),
           "1 <= min_size <= max_size <= 16");
  }
  if (params.candidates < 2 || params.candidates >= genetic::kMaxCandidates) {
    refuse("candidates is " + std::to_string(params.candidates), "give 2 .. 255");
  }
}

class UtilityMiner {
 public:
  UtilityMiner(Context& context, const UtilityTransactions& transactions, const UtilityParams& params)
      : context_(context),
        rows_(transactions.rows),
        utilities_(transactions.utilities),
        of_item_(transpose(transactions.rows)),
        params_(params) {}

  std::vector<UtilitySet> run() {
    for (int32_t item = 0; params_.min_size == 1 && item < rows_.n_columns; ++item) measure({item});
    for (int64_t first = 0; first < rows_.n_columns && params_.max_size > 1; first += kAnchorsPerBatch) {
      search_around(first, std::min(first + kAnchorsPerBatch, rows_.n_columns));
    }
    std::set<std::vector<int32_t>> expanded;
    while (true) {
      const std::vector<UtilitySet> best = this->best();
      bool any = false;
      for (const UtilitySet& set : best) {
        if (!expanded.insert(set.items).second) continue;
        any = true;
        measure_neighbours(set.items);
      }
      if (!any) return best;
    }
  }

 private:
  static void heed_interrupt() { check_interrupt("the search for high-utility sets"); }

  double value(int64_t t, int32_t item) const {
    const std::span<const int32_t> row = rows_.row(t);
    const auto found = std::ranges::lower_bound(row, item);
    if (found == row.end() || *found != item) return -1.0;
    return utilities_[static_cast<size_t>(rows_.row_offsets[static_cast<size_t>(t)] + (found - row.begin()))];
  }

  /// Calls body(t, worth) for the transactions that hold all of `items`, ascending.
  template <class Body>
  void visit(const std::vector<int32_t>& items, const Body& body) const {
    const auto rarest =
        std::ranges::min_element(items, std::ranges::less{}, [&](int32_t item) { return of_item_.row(item).size(); });
    for (const int32_t t : of_item_.row(*rarest)) {
      heed_interrupt();
      double worth = 0.0;
      const bool all = std::ranges::all_of(items, [&](int32_t item) {
        const double one = value(t, item);
        worth += one;
        return one >= 0.0;
      });
      if (all) body(t, worth);
    }
  }

  /// Notes a set of a size that is asked for. `items` ascend.
  void measure(const std::vector<int32_t>& items) {
    const auto size = static_cast<int64_t>(items.size());
    if (size < params_.min_size || size > params_.max_size) return;
    const auto [found, is_new] = found_.try_emplace(items);
    if (!is_new) return;
    Worth& worth = found->second;
    visit(items, [&](int32_t, double one) {
      worth.utility += one;
      ++worth.n_transactions;
    });
  }

  /// One add, drop or swap away.
  void measure_neighbours(const std::vector<int32_t>& items) {
    measure_grown(items);
    for (const int32_t out : items) {
      std::vector<int32_t> rest;
      std::ranges::remove_copy(items, std::back_inserter(rest), out);
      if (rest.empty()) continue;
      measure(rest);
      measure_grown(rest);
    }
  }

  void measure_grown(const std::vector<int32_t>& items) {
    std::set<int32_t> partners;
    visit(items, [&](int32_t t, double) { partners.insert(rows_.row(t).begin(), rows_.row(t).end()); });
    for (const int32_t partner : partners) {
      if (std::ranges::binary_search(items, partner)) continue;
      std::vector<int32_t> grown(items);
      grown.insert(std::ranges::upper_bound(grown, partner), partner);
      measure(grown);
    }
  }

  std::vector<UtilitySet> best() const {
    std::vector<const Found*> order;
    for (const Found& one : found_) {
      if (one.second.n_transactions > 0) order.push_back(&one);
    }
    const auto count = std::min(params_.count, std::ssize(order));
    std::ranges::partial_sort(order, order.begin() + count, ranks_before);
    std::vector<UtilitySet> sets;
    for (int64_t k = 0; k < count; ++k) {
      const auto& [items, worth] = *order[static_cast<size_t>(k)];
      sets.push_back({items, worth.utility, worth.n_transactions});
    }
    return sets;
  }

  /// An anchor, then the partners that are worth most beside it; -1 for none.
  std::vector<int32_t> candidates_of(int32_t anchor) const {
    std::map<int32_t, double> worth;
    for (const int32_t t : of_item_.row(anchor)) {
      heed_interrupt();
      const double own = value(t, anchor);
      const auto first = static_cast<size_t>(rows_.row_offsets[static_cast<size_t>(t)]);
      const std::span<const int32_t> row = rows_.row(t);
      for (size_t k = 0; k < row.size(); ++k) {
        if (row[k] != anchor) worth[row[k]] += own + utilities_[first + k];
      }
    }
    std::vector<std::pair<int32_t, double>> partners(worth.begin(), worth.end());
    std::ranges::stable_sort(partners, std::ranges::greater{}, &std::pair<int32_t, double>::second);
    std::vector<int32_t> candidates{anchor};
    for (const auto& [item, _] : partners) candidates.push_back(item);
    candidates.resize(static_cast<size_t>(params_.candidates + 1), -1);
    return candidates;
  }

  /// pair[j, k] = utility({anchor, j, k}); 0 in the anchor's row.
  void fill_terms(const std::vector<int32_t>& candidates, float* pair, uint8_t* flags) const {
    std::map<int32_t, size_t> place;
    for (size_t j = 0; j < candidates.size(); ++j) {
      flags[j] = 0;
      if (candidates[j] < 0) flags[j] = genetic::kForbidden;
      if (j == 0) flags[j] = genetic::kMustHave;
      if (j > 0 && candidates[j] >= 0) place[candidates[j]] = j;
    }
    for (const int32_t t : of_item_.row(candidates[0])) {
      heed_interrupt();
      const double own = value(t, candidates[0]);
      std::vector<std::pair<size_t, double>> members;
      for (const int32_t item : rows_.row(t)) {
        if (const auto found = place.find(item); found != place.end()) {
          members.emplace_back(found->second, value(t, item));
        }
      }
      for (const auto& [j, worth_j] : members) {
        for (const auto& [k, worth_k] : members) {
          if (j == k) continue;
          pair[j * candidates.size() + k] += static_cast<float>(own + (j < k ? worth_j + worth_k : worth_k + worth_j));
        }
      }
    }
  }

  void search_around(int64_t first, int64_t last) {
    const int64_t n = last - first, width = params_.candidates + 1;
    std::vector<std::vector<int32_t>> candidates(static_cast<size_t>(n));
    std::vector<float> pair(static_cast<size_t>(n * width * width), 0.0f);
    std::vector<uint8_t> flags(static_cast<size_t>(n * width));
    for (int64_t p = 0; p < n; ++p) {
      heed_interrupt();
      std::vector<int32_t>& own = candidates[static_cast<size_t>(p)];
      own = candidates_of(static_cast<int32_t>(first + p));
      fill_terms(own, &pair[static_cast<size_t>(p * width * width)], &flags[static_cast<size_t>(p * width)]);
      for (size_t j = 1; j < own.size() && own[j] >= 0; ++j)
        measure({std::min(own[0], own[j]), std::max(own[0], own[j])});
    }
    const Buffer<float> terms(context_, pair), linear = Buffer<float>::zeros(context_, n * width);
    const Buffer<uint8_t> device_flags(context_, flags);
    for (int64_t size = std::max(params_.min_size, int64_t{3}); size <= params_.max_size; ++size) {
      std::vector<int64_t> keys;
      for (int64_t anchor = first; anchor < last; ++anchor) keys.push_back(anchor * kKeysPerAnchor + size);
      const Buffer<int64_t> problem_ids(context_, keys);
      Buffer<genetic::SearchSet> pool(context_, n * params_.search.local_searches);
      Buffer<int64_t> evaluations = Buffer<int64_t>::zeros(context_, n);
      genetic::search(context_, {.problems = {.n_problems = n,
                                              .n_candidates = static_cast<int32_t>(width),
                                              .min_size = static_cast<int32_t>(size),
                                              .max_size = static_cast<int32_t>(size),
                                              .linear = linear.data(),
                                              .pair = terms.data(),
                                              .flags = device_flags.data()},
                                 .params = params_.search,
                                 .problem_ids = problem_ids.view(),
                                 .pool = pool.matrix(n, params_.search.local_searches),
                                 .evaluations = evaluations.view(),
                                 .history = {}});
      measure_pools(candidates, pool.to_host());
    }
  }

  void measure_pools(const std::vector<std::vector<int32_t>>& candidates, const std::vector<genetic::SearchSet>& pool) {
    for (size_t s = 0; s < pool.size(); ++s) {
      const genetic::SearchSet& set = pool[s];
      if (set.violation > 0.0f || !(set.value > 0.0f)) continue;
      const std::vector<int32_t>& own = candidates[s / static_cast<size_t>(params_.search.local_searches)];
      std::vector<int32_t> items;
      for (size_t j = 0; j < own.size(); ++j) {
        if ((set.mask[j / 32] >> (j % 32) & 1u) != 0) items.push_back(own[j]);
      }
      std::ranges::sort(items);
      measure(items);
    }
  }

  Context& context_;
  const HostCsr& rows_;
  const std::vector<double>& utilities_;
  HostCsr of_item_;
  const UtilityParams& params_;
  std::map<std::vector<int32_t>, Worth> found_;
};

}  // namespace

std::vector<UtilitySet> high_utility_sets(Context& context, const UtilityTransactions& transactions,
                                          const UtilityParams& params) {
  check(transactions, params);
  return UtilityMiner(context, transactions, params).run();
}

}  // namespace sheaf
