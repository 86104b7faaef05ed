#pragma once
/// Turns scores into probabilities: P = sigmoid(slope * score + offset), by weighted maximum likelihood with smoothed
/// targets, so that separable data stays finite (Platt, "Probabilistic outputs for support vector machines", 1999).

#include <cstdint>
#include <span>

#include "engine/data/csr.hpp"
#include "engine/scoring/scorer.hpp"

namespace sheaf {

/// `scores` has one value for each label. Weights may be empty (all 1). Newton's method with step halving, at most 100
/// steps. Scores that never vary get the slope 0. The identity if a class is missing.
Calibration fit_platt(std::span<const float> scores, std::span<const uint8_t> labels, std::span<const float> weights);

/// Pairs of users with held-out items: those items (label 1) and, for each, `negatives` items that the user did not buy
/// then, drawn by (seed, Purpose::evaluation).
struct LabelledPairs {
  std::vector<int32_t> users, items;  // [n]
  std::vector<uint8_t> labels;        // [n]
  double negatives_per_positive = 0;  // in the whole catalog: how many unbought pairs stand against a bought one
};
LabelledPairs draw_pairs(const HostCsr& held_out, int64_t negatives, uint64_t seed);

/// Scores of the pairs; each pair by itself.
std::vector<float> scores_of(Context& context, const Scorer& scorer, const LabelledPairs& pairs);

/// Items at the head of users' lists, where chances are used: for each user with held-out items, the `length` best by
/// the score, and whether they are among the held-out ones.
struct HeadPairs {
  std::vector<float> scores;    // [n]
  std::vector<uint8_t> labels;  // [n]
};
inline constexpr int64_t kHeadLength = 100;
HeadPairs head_pairs(Context& context, const Scorer& scorer, const HostCsr& held_out, int64_t length = kHeadLength);

/// Calibrates on the pairs of head_pairs(). Then P is the chance that a user who shops in a period like that of
/// `held_out` buys the item then. The slope is not below 0: P orders each user's items as the score does. The identity
/// if nothing was held out.
Calibration calibrate(Context& context, const Scorer& scorer, const HostCsr& held_out);

}  // namespace sheaf
