#pragma once
/// From scores to probabilities: P = sigmoid(slope * interaction + bias_slope * bias + offset) by weighted maximum
/// likelihood (Platt, 1999). fit_platt can fit two slopes; models get one. Platt's smoothed targets keep the result
/// finite for separable data.

#include <cstdint>
#include <span>

#include "engine/data/csr.hpp"
#include "engine/models/scorer.hpp"

namespace sheaf {

/// interactions are users[u] . items[i], biases the rest of the logit; weights may be empty (all 1). Newton's method
/// with step halving, at most 100 steps. A part that never varies gets the slope 0. The identity if a class is missing.
Calibration fit_platt(std::span<const float> interactions, std::span<const float> biases,
                      std::span<const uint8_t> labels, std::span<const float> weights);

/// Pairs of users with held-out items: those items (label 1) and, for each, `negatives` items that the user did not buy
/// then, drawn by (seed, Purpose::evaluation).
struct LabelledPairs {
  std::vector<int32_t> users, items;  // [n]
  std::vector<uint8_t> labels;        // [n]
  double negatives_per_positive = 0;  // in the whole catalog: unbought pairs for each bought one
};
LabelledPairs draw_pairs(const HostCsr& held_out, int64_t negatives, uint64_t seed);

/// Logits of the pairs, each pair by itself.
std::vector<float> logits_of(Context& context, const LinearScorer& scorer, const LabelledPairs& pairs);

/// Items at the head of users' lists, where chances are used: for each user with held-out items, the `length` best by
/// the logit, and whether they are among the held-out ones.
struct HeadPairs {
  std::vector<float> logits;    // [n]
  std::vector<uint8_t> labels;  // [n]
};
inline constexpr int64_t kHeadLength = 100;
HeadPairs head_pairs(Context& context, const LinearScorer& scorer, const HostCsr& held_out,
                     int64_t length = kHeadLength);

/// Calibrates P by the pairs of head_pairs(): P is the chance that a user who shops in a period like that of `held_out`
/// buys the item in it. Both parts of the logit get one slope, not below 0, so P orders each user's items as the logit
/// does. The result is the identity if nothing was held out.
Calibration calibrate(Context& context, const LinearScorer& scorer, const HostCsr& held_out);

}  // namespace sheaf
