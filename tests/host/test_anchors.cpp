#include <gtest/gtest.h>

#include "host/app/anchors.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::anchors_test {
namespace {

constexpr int64_t kDay = 86400;

// Purchases of (day, item); the last of train is on day 100, what follows is the test period.
data::Prepared sales() {
  data::Prepared prepared;
  prepared.n_items = 5;
  const auto sell = [&](int64_t day, int32_t item, uint8_t split) {
    prepared.item.push_back(item);
    prepared.timestamp.push_back(day * kDay);
    prepared.split.push_back(split);
  };
  for (const int64_t day : {10, 75, 85, 92, 95})
    sell(day, 0, data::kTrain);  // 2 of late, 2 in the ten days before: no gain
  for (const int64_t day : {20, 91, 95, 97, 100}) sell(day, 1, data::kTrain);  // gains 4
  for (const int64_t day : {94, 95}) sell(day, 2, data::kTrain);               // new, gains 2
  for (const int64_t day : {91}) sell(day, 3, data::kTrain);                   // new, gains 1
  for (const int64_t day : {101, 102, 103}) sell(day, 4, data::kTest);         // unknown to train
  sell(86, 0, data::kTrain);
  return prepared;
}

std::vector<int32_t> chosen(const std::string& by, int64_t days, int64_t count = 10,
                            const std::vector<int32_t>& forbidden = {}) {
  config::Config config;
  config.search.anchor_by = by;
  config.search.anchor_days = days;
  config.search.anchors = count;
  return app::choose_anchors(sales(), config, {0.5f, 0.1f, 0.2f, 0.3f, 0.4f}, forbidden);
}

using Items = std::vector<int32_t>;

TEST(Anchors, WantedAreThoseOfHighestProbability) {
  EXPECT_EQ(chosen("wanted", 10), (Items{0, 4, 3, 2, 1}));
  EXPECT_EQ(chosen("wanted", 10, 2, {4}), (Items{0, 3}));
}

TEST(Anchors, TrendingAreThoseThatGained) {
  EXPECT_EQ(chosen("trending", 10), (Items{1, 2, 3}));
  EXPECT_EQ(chosen("trending", 10, 1, {1}), (Items{2}));
  // Of the last 3 days against 3 before: item 1 has 97 < day: only day 100 counts, and 95, 97 before.
  EXPECT_THROW(chosen("trending", 3), DataError);
}

TEST(Anchors, NewAreThoseFirstSoldOfLate) {
  EXPECT_EQ(chosen("new", 10), (Items{3, 2}));
  EXPECT_EQ(chosen("new", 7), (Items{2}));
  EXPECT_THROW(chosen("new", 5), DataError);
}

}  // namespace
}  // namespace sheaf::anchors_test
