#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string_view>

#include "host/data/clean.hpp"

namespace sheaf::data {
namespace {

constexpr size_t kThinExamples = 3;
constexpr int32_t kAlive = std::numeric_limits<int32_t>::max();

/// Distinct (item, user) pairs of the training rows, and at which step an item or a user was dropped.
struct Pairs {
  std::vector<uint64_t> pairs;
  std::vector<int32_t> item_step, user_step;  // kAlive while it is there

  /// Drops every item (or user) that has fewer than `least` living pairs; whether there was one.
  bool drop_rare(bool of_items, int64_t least, int32_t step) {
    std::vector<int32_t>& side = of_items ? item_step : user_step;
    std::vector<int64_t> count(side.size(), 0);
    for (const uint64_t pair : pairs) {
      const auto item = static_cast<size_t>(pair_key(pair)), user = static_cast<size_t>(pair_value(pair));
      if (item_step[item] == kAlive && user_step[user] == kAlive) ++count[of_items ? item : user];
    }
    bool dropped = false;
    for (size_t i = 0; i < side.size(); ++i) {
      if (side[i] != kAlive || count[i] >= least) continue;
      side[i] = step;
      dropped = true;
    }
    return dropped;
  }
};

}  // namespace

void thin_rows(const Rows& rows, const ImportConfig::Clean& clean, std::vector<int64_t>& kept,
               std::vector<uint8_t>& split, ImportReport& report) {
  Pairs all;
  all.item_step.assign(static_cast<size_t>(rows.items.size()), kAlive);
  all.user_step.assign(static_cast<size_t>(rows.users.size()), kAlive);
  for (size_t i = 0; i < kept.size(); ++i) {
    const auto row = static_cast<size_t>(kept[i]);
    if (split[i] == kTrain) all.pairs.push_back(code_pair(rows.item[row], rows.user[row]));
  }
  sort_pairs(all.pairs);
  all.pairs.erase(std::unique(all.pairs.begin(), all.pairs.end()), all.pairs.end());

  Pairs items_first = all;  // counts before anything is dropped say which rows break the rules at all
  Pairs users_first = all;
  items_first.drop_rare(true, clean.min_item_users, 0);
  users_first.drop_rare(false, clean.min_user_items, 0);
  bool changed = true;
  for (int32_t step = 0; changed; step += 2) {
    changed = all.drop_rare(true, clean.min_item_users, step);
    changed = all.drop_rare(false, clean.min_user_items, step + 1) || changed;
  }

  ImportReport::Rule items{"min_item_users",
                           fmt::format("fewer than {} users have the item in train", clean.min_item_users),
                           clean.min_item_users > 0,
                           0,
                           0,
                           {}};
  ImportReport::Rule users{"min_user_items",
                           fmt::format("the user has fewer than {} items in train", clean.min_user_items),
                           clean.min_user_items > 0,
                           0,
                           0,
                           {}};
  const auto count = [&](ImportReport::Rule& rule, bool breaks, bool drops, int64_t row, std::string_view value) {
    if (breaks && rule.examples.size() < kThinExamples)
      rule.examples.push_back(rows.source.example(row, std::string(value)));
    rule.breaks += breaks ? 1 : 0;
    rule.dropped += drops ? 1 : 0;
  };
  size_t n_left = 0;
  for (size_t i = 0; i < kept.size(); ++i) {
    const auto row = static_cast<size_t>(kept[i]);
    const auto item = static_cast<size_t>(rows.item[row]), user = static_cast<size_t>(rows.user[row]);
    const int32_t item_step = all.item_step[item], user_step = all.user_step[user];
    count(items, items_first.item_step[item] != kAlive, item_step < user_step, kept[i], rows.items.strings()[item]);
    count(users, users_first.user_step[user] != kAlive, user_step < item_step, kept[i], rows.users.strings()[user]);
    if (item_step != kAlive || user_step != kAlive) continue;
    kept[n_left] = kept[i];
    split[n_left++] = split[i];
  }
  kept.resize(n_left);
  split.resize(n_left);
  report.rules.push_back(std::move(items));
  report.rules.push_back(std::move(users));
}

}  // namespace sheaf::data
