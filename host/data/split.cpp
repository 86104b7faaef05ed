#include <algorithm>
#include <cmath>

#include "host/data/clean.hpp"
#include "kernels/core/philox.hpp"

namespace sheaf::data {
namespace {

constexpr double kSecondsPerDay = 86400.0;

/// A basket belongs to the time of its first row.
std::vector<uint8_t> split_by_time(const Rows& rows, const std::vector<int64_t>& kept,
                                   const ImportConfig::Split& split) {
  if (kept.empty()) return {};
  const std::vector<int32_t> baskets = number_baskets(rows, kept);
  const auto [validation_after, test_after] = temporal_borders(rows.timestamp[static_cast<size_t>(kept.back())], split);
  std::vector<uint8_t> of_basket, splits;
  for (size_t i = 0; i < kept.size(); ++i) {
    const auto basket = static_cast<size_t>(baskets[i]);
    if (basket == of_basket.size()) {
      const int64_t time = rows.timestamp[static_cast<size_t>(kept[i])];
      of_basket.push_back(time > test_after ? kTest : time > validation_after ? kValidation : kTrain);
    }
    splits.push_back(of_basket[basket]);
  }
  return splits;
}

std::vector<uint8_t> split_at_random(const std::vector<int64_t>& kept, const ImportConfig::Split& split) {
  const RandomKey key{split.seed, Purpose::split, 0};
  std::vector<uint8_t> splits;
  for (const int64_t row : kept) {
    const double draw = uniform01(random_u32(key, static_cast<uint64_t>(row), 0));
    splits.push_back(draw < split.test_fraction                               ? kTest
                     : draw < split.test_fraction + split.validation_fraction ? kValidation
                                                                              : kTrain);
  }
  return splits;
}

/// Each user's last basket is test, the one before it validation. A single basket is train; of two, the last is test.
std::vector<uint8_t> split_last_out(const Rows& rows, const std::vector<int64_t>& kept) {
  const std::vector<int32_t> baskets = number_baskets(rows, kept);
  const int32_t n_baskets = baskets.empty() ? 0 : *std::ranges::max_element(baskets) + 1;
  std::vector<int32_t> user_of(static_cast<size_t>(n_baskets));
  for (size_t i = 0; i < kept.size(); ++i) {
    user_of[static_cast<size_t>(baskets[i])] = rows.user[static_cast<size_t>(kept[i])];
  }
  std::vector<int32_t> n_of_user(static_cast<size_t>(rows.users.size()), 0);
  for (const int32_t user : user_of) ++n_of_user[static_cast<size_t>(user)];
  std::vector<int32_t> seen(n_of_user.size(), 0);
  std::vector<uint8_t> of_basket;  // baskets are numbered in the order of time
  for (const int32_t user : user_of) {
    const int32_t left = n_of_user[static_cast<size_t>(user)] - ++seen[static_cast<size_t>(user)];
    const bool first = seen[static_cast<size_t>(user)] == 1;
    of_basket.push_back(first || left > 1 ? kTrain : left == 0 ? kTest : kValidation);
  }
  std::vector<uint8_t> splits;
  for (const int32_t basket : baskets) splits.push_back(of_basket[static_cast<size_t>(basket)]);
  return splits;
}

}  // namespace

std::pair<int64_t, int64_t> temporal_borders(int64_t last, const ImportConfig::Split& split) {
  const int64_t test_after = last - std::llround(split.test_days * kSecondsPerDay);
  return {test_after - std::llround(split.validation_days * kSecondsPerDay), test_after};
}

std::vector<uint8_t> split_rows(const Rows& rows, const std::vector<int64_t>& kept, const ImportConfig::Split& split) {
  switch (split.kind) {
    case SplitKind::temporal: return split_by_time(rows, kept, split);
    case SplitKind::random: return split_at_random(kept, split);
    case SplitKind::leave_last_out: return split_last_out(rows, kept);
    case SplitKind::given: break;
  }
  std::vector<uint8_t> splits;
  for (const int64_t row : kept) splits.push_back(rows.given_split[static_cast<size_t>(row)]);
  return splits;
}

}  // namespace sheaf::data
