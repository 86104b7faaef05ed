#pragma once
/// The chance that a coming basket of a user holds an item, from the user's own purchases. "Expected baskets" are sums
/// of these chances.
///
///   P(u, i) = 1 / (1 + exp(-(w . x(u, i) + b)))            for every item i that u has bought
///
/// x(u, i) are the features below, known at one moment T. The weights are a logistic regression by maximum likelihood
/// on earlier moments of the same history: of the n baskets of u in the period after T, k hold i (a binomial count).
/// Nothing later than the history is used. Features of this kind (decayed counts, repurchase rate of the item, time
/// since the last purchase) are those of next-basket recommenders: Faggioli, Polato, Aiolli, "Recency aware
/// collaborative filtering for next basket recommendation", UMAP 2020; Hu et al., "Modeling personalized item frequency
/// information for next-basket recommendation", SIGIR 2020.
///
/// | feature | s_h: sum over u's baskets with i of 2^(-age / h days); n_h: the same over all baskets of u |
/// | --- | --- |
/// | rate at h = 14, 60, 365 days | log((s_h + 0.02) / (n_h - s_h + 1)) |
/// | history | log(n_365 + 0.1) |
/// | count | log(baskets of u with i) |
/// | category | log((c + 0.02) / (n_90 + 1)), c: decayed baskets of u with the item's category, h = 90 days |
/// | share | log((s_90 + 0.02) / (sum of s_90 over the category's items + 0.1)) |
/// | repeat | log(baskets with i / users with i): how often its buyers come back to it |
/// | again | log((users with i twice or more + 1) / (users with i + 4)) |
/// | trend | log((baskets with i in the last 28 days + 1) / (baskets with i, as many as of 28 days, + 1)) |
/// | age | log(1 + days since u's last basket with i) |
/// | overdue | log((days since + 3) / (g + 3)), g: mean days between baskets of u with i; for one: since u's first |
/// | neighbours | log(0.0001 + mean of r(v, i) over the 150 users v most alike, weighted by likeness) |
///
/// r(u, i) and likeness: engine/associate/similar_users.hpp, at a half-life of 90 days.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/data/basket_history.hpp"

namespace sheaf {

struct HabitParams {
  double period_days = 28.0;    // length of the period to be predicted
  double gap_days = 0.0;        // between the history's end and the period
  int64_t windows = 4;          // earlier moments to learn from, a period apart
  int64_t max_pairs = 3000000;  // of (user, item) to learn from; beyond, users are left out evenly
};

inline constexpr size_t kHabitFeatures = 13;

struct HabitModel {
  std::array<double, kHabitFeatures> weight{};  // of the features themselves, not standardised
  double bias = 0.0;
  bool fitted = false;  // else P is the plain rate (s_365 + 0.02) / (n_365 + 1.02), and `reason` says why
  std::string reason{};
  int64_t n_pairs = 0, n_windows = 0;
  double log_loss = 0.0,
         rate_log_loss = 0.0;  // mean over (pair, basket) of the training windows, of the model and of the plain rate

  static const std::array<const char*, kHabitFeatures>& names();
};

/// Weights from the windows that end at the history's end. `category` [n_items] >= 0. Not fitted if the history has no
/// room for a window (all baskets at one time, or less than two periods), or if there are fewer than 100 pairs or none
/// of them was bought again. Deterministic for any number of threads. UsageError for lengths that do not agree, and for
/// a period or gap that is not finite and positive.
HabitModel fit_habits(Context& context, const BasketHistory& history, std::span<const int32_t> category,
                      const HabitParams& params);

/// The chance of an item that is new to the user: sigmoid(slope * logit + offset) of a preference model's logit. The
/// slope is not below 0, so the order of the logits stays.
struct NewItemChance {
  double slope = 0.0, offset = -20.0;  // by default as good as never
  int64_t n_pairs = 0;                 // that it was fitted on

  double of(double logit) const;
};

/// What is known of every user at the end of a history.
struct BasketChances {
  HostCsr own;                          // [n_users, n_items] P(u, i) in (0, 1) of the items that u has bought
  std::vector<float> expected_baskets;  // [n_users] of the coming period: see below
  NewItemChance new_item;
};

/// Maximum likelihood with Platt's targets, on items at the head of each user's list that the user has not bought:
/// `listed` [n_users, length] with their logits, -1 for none. `later` has the user's baskets, some of which hold the
/// item.
NewItemChance fit_new_items(const BasketChances& chances, std::span<const int32_t> listed,
                            std::span<const float> logits, int64_t length, const BasketHistory& later);

/// Of all users at `day` (no basket of the history may be later). Expected baskets of the period: baskets of the last
/// four periods by days, shrunk by one basket towards the mean user's. For a user with one period, that period alone
/// counts.
BasketChances basket_chances(Context& context, const BasketHistory& history, std::span<const int32_t> category,
                             const HabitModel& model, double day, double period_days);

}  // namespace sheaf
