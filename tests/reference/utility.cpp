#include "tests/reference/utility.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace sheaf::ref {
namespace {

struct RanksBefore {
  bool operator()(const MinedSet& a, const MinedSet& b) const {
    return a.utility != b.utility ? a.utility > b.utility : a.items < b.items;
  }
};

/// One transaction of a set: what the set is worth there, and what all items behind its last are.
struct ListEntry {
  size_t row;
  double own, rest;
};
using UtilityList = std::vector<ListEntry>;

class ListMiner {
 public:
  ListMiner(size_t min_size, size_t max_size, size_t count) : min_size_(min_size), max_size_(max_size), count_(count) {}

  void run(const UtilityRows& rows) {
    std::map<int32_t, UtilityList> lists;
    for (size_t r = 0; r < rows.size(); ++r) {
      double rest = 0.0;
      for (size_t at = rows[r].size(); at-- > 0;) {
        lists[rows[r][at].item].push_back({r, rows[r][at].utility, rest});
        rest += rows[r][at].utility;
      }
    }
    const std::vector<std::pair<int32_t, UtilityList>> singles(lists.begin(), lists.end());
    for (const auto& [item, list] : singles) own_[item] = &list;
    grow({}, singles);
  }

  std::vector<MinedSet> best() const { return {best_.begin(), best_.end()}; }

 private:
  double threshold() const { return best_.size() < count_ ? -1.0 : std::prev(best_.end())->utility; }

  /// `prefix` with each of `extensions`, whose lists are those of prefix + item.
  void grow(const std::vector<int32_t>& prefix, const std::vector<std::pair<int32_t, UtilityList>>& extensions) {
    for (size_t e = 0; e < extensions.size(); ++e) {
      const auto& [item, list] = extensions[e];
      std::vector<int32_t> items(prefix);
      items.push_back(item);
      double own = 0.0, reach = 0.0;
      for (const ListEntry& entry : list) {
        own += entry.own;
        reach += entry.own + entry.rest;
      }
      if (items.size() >= min_size_) {
        best_.insert({items, own});
        if (best_.size() > count_) best_.erase(std::prev(best_.end()));
      }
      if (items.size() == max_size_ || reach < threshold()) continue;
      std::vector<std::pair<int32_t, UtilityList>> next;
      for (size_t f = e + 1; f < extensions.size(); ++f) {
        UtilityList joined = join(list, *own_.at(extensions[f].first));
        if (!joined.empty()) next.emplace_back(extensions[f].first, std::move(joined));
      }
      grow(items, next);
    }
  }

  static UtilityList join(const UtilityList& set, const UtilityList& single) {
    UtilityList joined;
    auto other = single.begin();
    for (const ListEntry& entry : set) {
      while (other != single.end() && other->row < entry.row) ++other;
      if (other != single.end() && other->row == entry.row) {
        joined.push_back({entry.row, entry.own + other->own, other->rest});
      }
    }
    return joined;
  }

  size_t min_size_, max_size_, count_;
  std::map<int32_t, const UtilityList*> own_;
  std::set<MinedSet, RanksBefore> best_;
};

}  // namespace

std::vector<MinedSet> mine_utility(const UtilityRows& rows, size_t min_size, size_t max_size, size_t count) {
  ListMiner miner(min_size, max_size, count);
  miner.run(rows);
  return miner.best();
}

std::vector<MinedSet> enumerate_utility(const UtilityRows& rows, size_t min_size, size_t max_size, size_t count) {
  std::map<std::vector<int32_t>, double> utility;
  for (const auto& row : rows) {
    std::vector<int32_t> items;
    const auto visit = [&](const auto& self, size_t next, double sum) -> void {
      if (items.size() >= min_size) utility[items] += sum;
      if (items.size() == max_size) return;
      for (size_t at = next; at < row.size(); ++at) {
        items.push_back(row[at].item);
        self(self, at + 1, sum + row[at].utility);
        items.pop_back();
      }
    };
    visit(visit, 0, 0.0);
  }
  std::set<MinedSet, RanksBefore> sorted;
  for (const auto& [items, sum] : utility) sorted.insert({items, sum});
  std::vector<MinedSet> best(sorted.begin(), sorted.end());
  best.resize(std::min(best.size(), count));
  return best;
}

}  // namespace sheaf::ref
