#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/scoring/calibration.hpp"
#include "engine/scoring/linear_scorer.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"

namespace sheaf {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct Examples {
  std::vector<float> logits, weights;
  std::vector<uint8_t> labels;
  void add(double logit, uint8_t label, double weight) {
    logits.push_back(static_cast<float>(logit));
    labels.push_back(label);
    weights.push_back(static_cast<float>(weight));
  }
};

Calibration fit(const Examples& data, const std::vector<float>& weights) {
  return fit_platt(data.logits, data.labels, weights);
}

/// Gradient and Hessian of the negative log-likelihood with Platt's targets, by definition.
struct Curve {
  double loss = 0, g_slope = 0, g_offset = 0, h_ss = 0, h_so = 0, h_oo = 0;
  Curve(const Examples& data, const Calibration& at) {
    double positives = 0, negatives = 0;
    for (size_t i = 0; i < data.labels.size(); ++i) {
      (data.labels[i] ? positives : negatives) += static_cast<double>(data.weights[i]);
    }
    for (size_t i = 0; i < data.labels.size(); ++i) {
      const double x = data.logits[i], w = data.weights[i], p = sigmoid(at.slope * x + at.offset);
      const double target = data.labels[i] ? (positives + 1) / (positives + 2) : 1 / (negatives + 2);
      loss -= w * (target * std::log(p) + (1 - target) * std::log(1 - p));
      g_slope += w * (p - target) * x;
      g_offset += w * (p - target);
      h_ss += w * p * (1 - p) * x * x;
      h_so += w * p * (1 - p) * x;
      h_oo += w * p * (1 - p);
    }
  }
  /// By how much a Newton step would lower the loss.
  double decrement() const {
    const double determinant = h_ss * h_oo - h_so * h_so;
    return (h_oo * g_slope * g_slope - 2 * h_so * g_slope * g_offset + h_ss * g_offset * g_offset) / determinant / 2;
  }
};

TEST(FitPlatt, RecoversAPlantedSlopeAndOffset) {
  for (const Calibration planted : {Calibration{1.7, -0.8}, Calibration{0.3, -4.0}, Calibration{-0.9, 2.0}}) {
    Examples data;  // each logit with both labels, as often as its probability says
    for (const float x : test::random_floats(300, 1, -4.0f, 4.0f)) {
      const double p = sigmoid(planted.slope * static_cast<double>(x) + planted.offset);
      data.add(static_cast<double>(x), 1, 1e5 * p);
      data.add(static_cast<double>(x), 0, 1e5 * (1 - p));
    }
    const Calibration found = fit(data, data.weights);
    // Smoothing the targets moves the gradient at the planted point by less than 1 for each label, times |x| <= 4 in
    // the slope; rounding a weight by 2^-24 of it. The Newton step from there, doubled for its curvature, bounds the
    // distance.
    const Curve curve(data, planted);
    const double determinant = curve.h_ss * curve.h_oo - curve.h_so * curve.h_so;
    const double rounded = 300 * 1e5 * test::kRound;
    const double g_slope = 8 + 4 * rounded, g_offset = 2 + rounded;
    EXPECT_NEAR(found.slope, planted.slope, 2 * (curve.h_oo * g_slope + std::abs(curve.h_so) * g_offset) / determinant);
    EXPECT_NEAR(found.offset, planted.offset,
                2 * (curve.h_ss * g_offset + std::abs(curve.h_so) * g_slope) / determinant);
  }
}

TEST(FitPlatt, EndsWhereTheLossIsLeast) {
  for (const uint32_t seed : {1u, 2u, 3u}) {
    Examples data;
    const auto logits = test::random_floats(200, seed, -30.0f, 30.0f);
    const auto labels = test::random_ints(200, seed + 10, 0, 1);
    const auto weights = test::random_floats(200, seed + 20, 0.1f, 20.0f);
    for (size_t i = 0; i < 200; ++i) {
      data.add(static_cast<double>(logits[i]), labels[i] > 0 || logits[i] > 10 ? 1 : 0,
               static_cast<double>(weights[i]));
    }
    const Curve curve(data, fit(data, data.weights));
    EXPECT_LE(curve.decrement(), 1e-10 * curve.loss);  // the step at which it stops
  }
}

TEST(FitPlatt, AWeightIsACount) {
  Examples weighted, repeated;
  for (int n = 0; n < 40; ++n) {
    const double x = std::sin(n);
    const uint8_t label = n % 3 == 0 || x > 0.5 ? 1 : 0;
    weighted.add(x, label, n % 5);
    for (int times = 0; times < n % 5; ++times) repeated.add(x, label, 1);
  }
  const Calibration a = fit(weighted, weighted.weights);
  const Calibration b = fit(repeated, repeated.weights);
  const Calibration c = fit(repeated, {});  // the same sums in the same order
  EXPECT_NEAR(a.slope, b.slope, 1e-9);
  EXPECT_NEAR(a.offset, b.offset, 1e-9);
  EXPECT_EQ(b.slope, c.slope);
  EXPECT_EQ(b.offset, c.offset);
  const Calibration unweighted = fit(weighted, {});
  EXPECT_GT(std::abs(unweighted.slope - a.slope), 1e-3);
}

TEST(FitPlatt, SeparableDataStaysFinite) {
  for (const double size : {1e-3, 1.0, 1e3, 1e6}) {
    Examples data;
    for (int n = 1; n <= 10; ++n) {
      data.add(size * n, 1, 1);
      data.add(-size * n, 0, 1);
    }
    const Calibration found = fit(data, data.weights);
    ASSERT_TRUE(std::isfinite(found.slope) && std::isfinite(found.offset)) << size;
    EXPECT_GT(found.slope, 0) << size;
    EXPECT_NEAR(found.offset, 0, 1e-4) << size;
    // Where the slope's gradient is 0, the mean weighted by the logit is the target, 11 of 12.
    double mean = 0;
    for (int n = 1; n <= 10; ++n) mean += n * sigmoid(found.slope * size * n + found.offset) / 55;
    EXPECT_NEAR(mean, 11.0 / 12, 1e-4) << size;
  }
}

TEST(FitPlatt, EqualLogitsGiveTheShare) {
  for (const double x : {0.0, 3.0, -1e4}) {
    Examples data;
    for (int n = 0; n < 1000; ++n) data.add(x, n % 5 == 0 ? 1 : 0, 1);
    const Calibration found = fit(data, data.weights);
    ASSERT_TRUE(std::isfinite(found.slope) && std::isfinite(found.offset)) << x;
    EXPECT_NEAR(sigmoid(found.slope * x + found.offset), 0.2, 2.0 / 1000) << x;  // smoothing adds one to either label
  }
}

TEST(FitPlatt, OneLabelAloneLeavesTheLogits) {
  const std::vector<float> logits{1, 2, 3};
  for (const auto& labels : {std::vector<uint8_t>{1, 1, 1}, std::vector<uint8_t>{0, 0, 0}}) {
    const Calibration found = fit_platt(logits, labels, {});
    EXPECT_EQ(found.slope, 1);
    EXPECT_EQ(found.offset, 0);
  }
  EXPECT_EQ(fit_platt({}, {}, {}).slope, 1);
}

HostCsr held_out() { return test::pattern({{0, 3, 4}, {}, {2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {9}}, 10); }

TEST(DrawPairs, TakesBoughtItemsOnceAndNeverAsNegatives) {
  const HostCsr bought = held_out();
  const LabelledPairs pairs = draw_pairs(bought, 4, 7);
  std::map<std::pair<int32_t, int32_t>, int> positives;
  std::vector<int64_t> negatives(5, 0);
  ASSERT_EQ(pairs.users.size(), pairs.items.size());
  ASSERT_EQ(pairs.users.size(), pairs.labels.size());
  for (size_t i = 0; i < pairs.users.size(); ++i) {
    ASSERT_TRUE(pairs.items[i] >= 0 && pairs.items[i] < 10);
    EXPECT_EQ(bought.contains(pairs.users[i], pairs.items[i]), pairs.labels[i] == 1);
    if (pairs.labels[i]) ++positives[{pairs.users[i], pairs.items[i]}];
    if (!pairs.labels[i]) ++negatives[static_cast<size_t>(pairs.users[i])];
  }
  EXPECT_EQ(positives.size(), 15u);
  for (const auto& [pair, times] : positives) EXPECT_EQ(times, 1) << pair.first << ", " << pair.second;
  EXPECT_EQ(negatives, (std::vector<int64_t>{12, 0, 4, 0, 4}));  // user 3 has bought everything
  EXPECT_DOUBLE_EQ(pairs.negatives_per_positive, (4 * 10 - 15) / 15.0);
}

TEST(DrawPairs, DrawsAllUnboughtItemsAlike) {
  const int64_t negatives = 3000;
  const LabelledPairs pairs = draw_pairs(test::pattern({{0, 3}}, 10), negatives, 7);
  std::vector<int64_t> counts(10, 0);
  for (size_t i = 0; i < pairs.items.size(); ++i)
    counts[static_cast<size_t>(pairs.items[i])] += pairs.labels[i] ? 0 : 1;
  std::vector<double> expected(10, static_cast<double>(2 * negatives) / 8);
  expected[0] = expected[3] = 0;
  EXPECT_LT(test::chi_square(counts, expected), test::chi_square_limit(7));
}

TEST(DrawPairs, IsKeyedByTheSeed) {
  const LabelledPairs a = draw_pairs(held_out(), 4, 7), b = draw_pairs(held_out(), 4, 7),
                      c = draw_pairs(held_out(), 4, 8);
  EXPECT_EQ(a.items, b.items);
  EXPECT_NE(a.items, c.items);
  const LabelledPairs none = draw_pairs(test::pattern({{}, {}}, 3), 4, 7);
  EXPECT_TRUE(none.users.empty());
  EXPECT_EQ(none.negatives_per_positive, 0);
}

class CalibrateTest : public test::OpTest {
 protected:
  /// score(u, i) = users[u] * items[i] + item_bias[i] + bias, of 6 users.
  std::unique_ptr<Scorer> scorer(const std::vector<float>& item_bias, const std::vector<float>& users = {},
                                 const std::vector<float>& items = {}, float bias = 0.0f) {
    LinearParts parts{.n_users = 6, .n_items = std::ssize(item_bias), .dim = 1};
    parts.users = users.empty() ? Buffer<float>::zeros(context(), 6) : Buffer<float>(context(), users);
    parts.items = items.empty() ? Buffer<float>::zeros(context(), parts.n_items) : Buffer<float>(context(), items);
    parts.item_bias = Buffer<float>(context(), item_bias);
    parts.bias = Buffer<float>(context(), std::vector<float>{bias});
    return std::make_unique<LinearScorer>(context(), std::move(parts));
  }
};

TEST_P(CalibrateTest, ConstantScoresGetTheShareOfBoughtPairs) {
  const HostCsr bought = test::pattern({{0, 1}, {}, {5}, {30, 31, 32}, {39}, {}}, 40);
  const Calibration found = calibrate(context(), *scorer(std::vector<float>(40, 0.0f)), bought);
  // 7 bought pairs of the 4 * 40 of users who bought at all; Platt's targets for the counts 7 and 153.
  EXPECT_NEAR(sigmoid(found.offset), (7 * (8.0 / 9) + 153 * (1.0 / 155)) / 160, 1e-6);
}

TEST_P(CalibrateTest, TellsBoughtItemsFromOthers) {
  std::vector<float> bias(40, -1.0f);
  for (size_t i = 0; i < 4; ++i) bias[i] = 1.0f;  // each of the six buys two of the four
  const HostCsr bought = test::pattern({{0, 1}, {1, 2}, {2, 3}, {0, 3}, {0, 2}, {1, 3}}, 40);
  const Calibration found = calibrate(context(), *scorer(bias), bought);
  // Half of the 24 pairs of score 1 and none of the others; Platt's targets move the half by at most 1 / 14.
  EXPECT_NEAR(sigmoid(found.slope + found.offset), 0.5, 1.0 / 14);
  EXPECT_LT(sigmoid(found.offset - found.slope), 0.02);
}

TEST_P(CalibrateTest, TheSlopeKeepsTheOrderOfTheScores) {
  // What scores highest is never bought: the slope ends at 0 and not below.
  std::vector<float> bias(40, -1.0f);
  for (size_t i = 0; i < 4; ++i) bias[i] = 1.0f;
  const HostCsr bought = test::pattern({{10, 11}, {12}, {20, 21}, {30}, {31, 32}, {33}}, 40);
  EXPECT_EQ(calibrate(context(), *scorer(bias), bought).slope, 0.0);
  const auto s = scorer(test::random_floats(40, 11, -2.0f, 2.0f), test::random_floats(6, 12, 0.5f, 2.0f),
                        test::random_floats(40, 13, -2.0f, 2.0f));
  const HostCsr other = test::pattern({{0, 9}, {3, 4}, {7}, {11, 12, 30}, {2}, {20}}, 40);
  EXPECT_GE(calibrate(context(), *s, other).slope, 0.0);
}

TEST_P(CalibrateTest, LooksAtTheHeadOfTheListsAlone) {
  std::vector<float> bias(200,
                          -4.0f);  // 100 at the head, of which each user buys one; what is bought below does not count
  for (size_t i = 0; i < 100; ++i) bias[i] = 4.0f;
  const HostCsr bought = test::pattern({{0, 150}, {1, 151}, {2, 152}, {3, 153}, {4, 154}, {5, 155}}, 200);
  const HeadPairs pairs = head_pairs(context(), *scorer(bias), bought);
  EXPECT_EQ(pairs.labels.size(), 600u);
  EXPECT_EQ(std::ranges::count(pairs.labels, 1), 6);
  EXPECT_TRUE(std::ranges::all_of(pairs.scores, [](float x) { return x == 4.0f; }));
  EXPECT_EQ(head_pairs(context(), *scorer(bias), test::pattern({{}, {}, {}, {}, {}, {}}, 200)).labels.size(), 0u);
}

TEST_P(CalibrateTest, ProbabilitiesAreThoseOfTheCalibratedScores) {
  const std::vector<float> bias = test::random_floats(10, 5), users = test::random_floats(6, 6),
                           items = test::random_floats(10, 7);
  const auto s = scorer(bias, users, items, 0.5f);
  s->calibration = {0.25, -2.0};
  std::vector<int32_t> everything;
  for (int32_t u = 0; u < 6; ++u) {
    for (int32_t i = 0; i < 10; ++i) everything.push_back(i);
  }
  const Queries everyone = Queries::everyone(context(), 6);
  const std::vector<double> p = pair_probabilities(context(), *s, everyone, everything, 10);
  const std::vector<float> mean = s->mean_probability(context(), everyone);
  for (size_t i = 0; i < 10; ++i) {
    double sum = 0.0;
    for (size_t u = 0; u < 6; ++u) {
      const double score =
          static_cast<double>(users[u]) * static_cast<double>(items[i]) + static_cast<double>(bias[i]) + 0.5;
      const double expected = sigmoid(0.25 * score - 2.0);
      EXPECT_NEAR(p[u * 10 + i], expected, 8 * test::kRound);
      sum += expected;
    }
    EXPECT_NEAR(static_cast<double>(mean[i]), sum / 6, 16 * test::kRound);
  }
}

TEST_P(CalibrateTest, ScoresAreThoseOfEachPair) {
  const std::vector<float> bias = test::random_floats(10, 5);
  const LabelledPairs pairs = draw_pairs(held_out(), 3, 9);
  const std::vector<float> logits = scores_of(context(), *scorer(bias), pairs);
  ASSERT_EQ(logits.size(), pairs.items.size());
  for (size_t i = 0; i < logits.size(); ++i) EXPECT_EQ(logits[i], bias[static_cast<size_t>(pairs.items[i])]);
}

TEST_P(CalibrateTest, WithNothingToLearnFromLeavesTheLogits) {
  for (const HostCsr& bought :
       {test::pattern({{}, {}, {}, {}, {}, {}}, 2), test::pattern({{0, 1}, {}, {}, {}, {}, {}}, 2)}) {
    const Calibration found = calibrate(context(), *scorer({1, 2}), bought);
    EXPECT_EQ(found.slope, 1);
    EXPECT_EQ(found.offset, 0);
  }
}

SHEAF_ON_EVERY_BACKEND(CalibrateTest);

}  // namespace
}  // namespace sheaf
