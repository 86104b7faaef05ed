#include "engine/mining/frequent_itemsets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>

#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

using Bits = std::vector<uint64_t>;

int64_t count_common(const Bits& a, const Bits& b) {
  int64_t n = 0;
  for (size_t w = 0; w < a.size(); ++w) n += std::popcount(a[w] & b[w]);
  return n;
}

class ItemsetMiner {
 public:
  ItemsetMiner(const HostCsr& baskets, const MiningParams& params) : params_(params) {
    std::vector<int64_t> support(static_cast<size_t>(baskets.n_columns), 0);
    for (const int32_t item : baskets.columns) ++support[static_cast<size_t>(item)];
    std::vector<int32_t> place(support.size(), -1);
    for (size_t i = 0; i < support.size(); ++i) {
      if (support[i] < params.min_support || (!params.allowed.empty() && params.allowed[i] == 0)) continue;
      place[i] = static_cast<int32_t>(items_.size());
      items_.push_back(static_cast<int32_t>(i));
    }
    // Baskets of the set and of its items that may follow, once a level.
    const auto words = static_cast<size_t>((baskets.n_rows() + 63) / 64);
    const auto bytes = static_cast<int64_t>(words * sizeof(uint64_t) * items_.size()) * params.max_size;
    if (bytes > params.max_bytes) {
      throw UsageError(fmt::format("{} frequent items in {} baskets need {} MiB of bitsets, above the limit of {}",
                                   items_.size(), baskets.n_rows(), bytes >> 20, params.max_bytes >> 20),
                       "raise the minimum support");
    }
    bits_.assign(items_.size(), Bits(words, 0));
    for (int64_t b = 0; b < baskets.n_rows(); ++b) {
      for (const int32_t item : baskets.row(b)) {
        const int32_t at = place[static_cast<size_t>(item)];
        if (at >= 0) bits_[static_cast<size_t>(at)][static_cast<size_t>(b / 64)] |= uint64_t{1} << (b % 64);
      }
    }
  }

  /// False if there are more sets than may be.
  bool mine() {
    std::vector<Extension> level;
    for (size_t i = 0; i < items_.size(); ++i) {
      int64_t support = 0;
      for (const uint64_t word : bits_[i]) support += std::popcount(word);
      level.push_back({items_[i], support, std::move(bits_[i])});
    }
    return extend(level);
  }
  std::vector<Itemset> take() {
    std::ranges::sort(found_, [](const Itemset& a, const Itemset& b) {
      return a.items.size() != b.items.size() ? a.items.size() < b.items.size() : a.items < b.items;
    });
    return std::move(found_);
  }

 private:
  struct Extension {
    int32_t item;
    int64_t support;  // with the prefix
    Bits baskets;
  };

  bool extend(const std::vector<Extension>& level) {
    for (size_t a = 0; a < level.size(); ++a) {
      check_interrupt("the mining of itemsets");
      prefix_.push_back(level[a].item);
      if (std::ssize(prefix_) >= params_.min_size) {
        if (std::ssize(found_) == params_.max_itemsets) return false;
        found_.push_back({prefix_, level[a].support});
      }
      if (std::ssize(prefix_) < params_.max_size && !extend(next_level(level, a))) return false;
      prefix_.pop_back();
    }
    return true;
  }

  std::vector<Extension> next_level(const std::vector<Extension>& level, size_t a) const {
    std::vector<Extension> next;
    const bool last = std::ssize(prefix_) + 1 == params_.max_size;  // its baskets are counted, not kept
    for (size_t b = a + 1; b < level.size(); ++b) {
      const int64_t support = count_common(level[a].baskets, level[b].baskets);
      if (support < params_.min_support) continue;
      Bits common;
      if (!last) {
        common = level[a].baskets;
        for (size_t w = 0; w < common.size(); ++w) common[w] &= level[b].baskets[w];
      }
      next.push_back({level[b].item, support, std::move(common)});
    }
    return next;
  }

  const MiningParams& params_;
  std::vector<int32_t> items_;
  std::vector<Bits> bits_;
  std::vector<int32_t> prefix_;
  std::vector<Itemset> found_;
};

void check(const HostCsr& baskets, const MiningParams& params) {
  if (params.min_support < 1 || params.min_size < 1 || params.max_size < params.min_size) {
    throw UsageError(fmt::format("itemsets of {} to {} items with a support of {}", params.min_size, params.max_size,
                                 params.min_support),
                     "give a support and sizes of at least 1, the smaller size first");
  }
  if (!params.allowed.empty() && std::ssize(params.allowed) != baskets.n_columns) {
    throw UsageError(fmt::format("{} flags for {} items", params.allowed.size(), baskets.n_columns),
                     "give one an item");
  }
}

}  // namespace

std::vector<Itemset> frequent_itemsets(const HostCsr& baskets, const MiningParams& params) {
  check(baskets, params);
  ItemsetMiner miner(baskets, params);
  if (miner.mine()) return miner.take();
  throw UsageError(
      fmt::format("more than {} itemsets are in {} baskets or more", params.max_itemsets, params.min_support),
      "raise the minimum support");
}

std::vector<Itemset> most_frequent_itemsets(const HostCsr& baskets, MiningParams params, int64_t* used) {
  check(baskets, params);
  for (;; params.min_support *= 2) {
    ItemsetMiner miner(baskets, params);
    if (!miner.mine()) continue;
    if (used) *used = params.min_support;
    return miner.take();
  }
}

std::vector<ItemRule> one_item_rules(const std::vector<Itemset>& itemsets, double min_confidence) {
  std::map<std::vector<int32_t>, int64_t> support;
  for (const Itemset& set : itemsets) support[set.items] = set.support;
  std::vector<ItemRule> rules;
  for (const Itemset& set : itemsets) {
    if (set.items.size() < 2) continue;
    for (const int32_t consequent : set.items) {
      ItemRule rule{{}, consequent, set.support, 0};
      for (const int32_t item : set.items) {
        if (item != consequent) rule.antecedent.push_back(item);
      }
      rule.confidence = static_cast<double>(set.support) / static_cast<double>(support.at(rule.antecedent));
      if (rule.confidence >= min_confidence) rules.push_back(std::move(rule));
    }
  }
  return rules;
}

}  // namespace sheaf
