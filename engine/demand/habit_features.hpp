#pragma once
/// The features of basket_chances.hpp: what is known, at one moment, of every user and each item that the user has
/// bought.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/demand/basket_chances.hpp"

namespace sheaf {

/// Positions in x.
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
  kNeighbours
};

struct HabitFeatures {
  /// From baskets of `history` up to and including `day`.
  HabitFeatures(Context& context, const BasketHistory& history, std::span<const int32_t> category, double day);

  std::span<const int32_t> row(int64_t user) const {
    const auto at = static_cast<size_t>(user);
    return std::span(items).subspan(static_cast<size_t>(offsets[at]),
                                    static_cast<size_t>(offsets[at + 1] - offsets[at]));
  }

  std::vector<int64_t> offsets{0};  // [n_users + 1]
  std::vector<int32_t> items;       // what each user has bought, ascending
  std::vector<std::array<float, kHabitFeatures>> x;
};

}  // namespace sheaf
