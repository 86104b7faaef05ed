#pragma once
/// What is known, at one moment, of a user and an item: the features of basket_chances.hpp, and more that say something
/// only together (to a network).
///
/// | feature | s and n as in basket_chances.hpp |
/// | --- | --- |
/// | popularity | log((s + 0.1) / (n + 1)), s and n as s_60 and n_60, but over the baskets of all users |
/// | usual gap | log((days since + 3) / (G + 3)), G: mean days between a buyer's baskets with i, shrunk by four gaps |
/// | basket size | log of the mean number of items of u's baskets |
/// | baskets since | log(1 + baskets of u after the last one with i) |
/// | category age | log(1 + days since u's last basket with the item's category) |
/// | pace | log(0.5 + baskets of u in the last 28 days) |
/// | last gap | log((days since + 3) / (days between u's last two baskets with i + 3)), else as `overdue` |
///
/// An item that u has not bought counts as half a basket in `count`; its `days since` are those since u's first basket,
/// and its g is G.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/demand/basket_chances.hpp"

namespace sheaf {

/// Positions in x; those of basket_chances.hpp first.
enum HabitFeature : size_t {
  kRate14,
  kRate60,
  kRate365,
  kHistory,
  kCount,
  kCategory,
  kShare,
  kRepeat,
  kAgain,
  kTrend,
  kAge,
  kOverdue,
  kNeighbours,
  kPopularity,
  kUsualGap,
  kBasketSize,
  kBasketsSince,
  kCategoryAge,
  kPace,
  kLastGap
};
inline constexpr size_t kPairFeatures = kLastGap + 1;
static_assert(kPopularity == kHabitFeatures);

/// What is known of the items from the baskets of all users up to and including `day`.
struct ItemHabits {
  ItemHabits() = default;
  ItemHabits(const BasketHistory& history, double day);

  std::vector<float> baskets, buyers, again, late;  // [n_items] counts; `late`: baskets of the last 28 days
  std::vector<float> share;                         // [n_items] log of the share of all baskets, decayed at 60 days
  std::vector<float> gap;                           // [n_items] usual days between a buyer's baskets with it
  double late_share = 1.0;                          // of the history's time
};

/// Of which pairs and from what.
struct HabitSource {
  const BasketHistory& history;       // of the users that are asked about
  std::span<const int32_t> category;  // [n_items] >= 0
  double day = 0.0;                   // baskets up to and including it
  const ItemHabits* items = nullptr;  // or those of this history
  const HostCsr* pairs = nullptr;     // [n_users, n_items] to describe, or what each user has bought
  bool neighbours = true;             // else that feature is 0
};

struct HabitFeatures {
  HabitFeatures(Context& context, const HabitSource& source);
  /// Of what each user has bought.
  HabitFeatures(Context& context, const BasketHistory& history, std::span<const int32_t> category, double day)
      : HabitFeatures(context, HabitSource{.history = history, .category = category, .day = day}) {}

  std::span<const int32_t> row(int64_t user) const {
    const auto at = static_cast<size_t>(user);
    return std::span(items).subspan(static_cast<size_t>(offsets[at]),
                                    static_cast<size_t>(offsets[at + 1] - offsets[at]));
  }

  std::vector<int64_t> offsets{0};  // [n_users + 1]
  std::vector<int32_t> items;       // of the pairs of each user, ascending
  std::vector<std::array<float, kPairFeatures>> x;
};

}  // namespace sheaf
