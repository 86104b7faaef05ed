// What the model blend alone promises.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/evaluate/ranking_eval.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/model_data.hpp"

namespace sheaf {
namespace {

constexpr int64_t kBlendUsers = test::Planted::n_users, kBlendItems = test::Planted::n_items;

class BlendTest : public test::OpTest {
 protected:
  std::unique_ptr<Recommender> blend_of(const std::string& members, const std::string& weights) {
    std::unique_ptr<Recommender> model = test::quick_model("blend");
    apply_settings(model->settings(), {{"blend.members", members}, {"blend.weights", weights}});
    return model;
  }
  /// [n_users, n_items]
  std::vector<float> scores(const Recommender& model) {
    std::vector<int32_t> items;
    for (int64_t u = 0; u < kBlendUsers; ++u) {
      for (int32_t i = 0; i < kBlendItems; ++i) items.push_back(i);
    }
    return pair_scores(context(), *model.scorer(context()), Queries::everyone(context(), kBlendUsers), items,
                       kBlendItems);
  }
  double ndcg(const Recommender& model) {
    const RankingEvaluator validation(context(), data_.purchases.validation, nullptr);
    return validation.of_scorer(context(), *model.scorer(context()), 10).ndcg;
  }

  test::ModelData data_;
};

/// The standard deviation of the scores around the mean of their user.
double deviation(const std::vector<float>& scores) {
  double squares = 0.0;
  for (int64_t u = 0; u < kBlendUsers; ++u) {
    double sum = 0.0;
    for (int64_t i = 0; i < kBlendItems; ++i)
      sum += static_cast<double>(scores[static_cast<size_t>(u * kBlendItems + i)]);
    for (int64_t i = 0; i < kBlendItems; ++i) {
      const double d = static_cast<double>(scores[static_cast<size_t>(u * kBlendItems + i)]) - sum / kBlendItems;
      squares += d * d;
    }
  }
  return std::sqrt(squares / static_cast<double>(kBlendUsers * kBlendItems));
}

TEST_P(BlendTest, AddsItsMembersEachOverItsDeviation) {
  const auto blend = blend_of("item-knn+ease+personal", "2+0.5+0");
  blend->fit(context(), data_.view(), {});
  const std::vector<float> got = scores(*blend);
  std::vector<double> expected(got.size(), 0.0);
  for (const auto& [name, weight] : std::map<std::string, double>{{"item-knn", 2.0}, {"ease", 0.5}}) {
    const auto member = test::quick_model(name);
    member->fit(context(), data_.view(), {});
    const std::vector<float> own = scores(*member);
    const double unit = deviation(own);
    for (size_t at = 0; at < own.size(); ++at) expected[at] += weight * static_cast<double>(own[at]) / unit;
  }
  for (size_t at = 0; at < got.size(); ++at) ASSERT_NEAR(got[at], expected[at], 1e-4) << at;
}

TEST_P(BlendTest, FoundWeightsAreAtLeastAsGoodAsEachMember) {
  const std::vector<std::string> names{"personal", "item-knn", "ease"};
  const auto blend = blend_of("personal+item-knn+ease", "found");
  const FitReport report = blend->fit(context(), data_.view(), {});
  const EpochReport& best = report.epochs[static_cast<size_t>(report.best_epoch - 1)];
  EXPECT_NEAR(ndcg(*blend), best.validation_ndcg, 1e-6);
  for (const EpochReport& tried : report.epochs) EXPECT_LE(tried.validation_ndcg, best.validation_ndcg) << tried.what;
  for (const std::string& name : names) {
    const auto member = test::quick_model(name);
    member->fit(context(), data_.view(), {});
    EXPECT_GE(best.validation_ndcg, ndcg(*member) - 1e-6) << name;
    EXPECT_TRUE(report.chosen.contains("weight." + name)) << name;
  }
  EXPECT_TRUE(report.chosen.contains("members.ease.l2"));
}

TEST_P(BlendTest, WhatWasChosenServesWithoutAValidationPeriod) {
  const std::string members = "personal+ease";
  const FitReport chosen = blend_of(members, "found")->fit(context(), data_.view(), {});
  test::ModelData later;
  later.purchases.validation = HostCsr{};
  later.purchases.validation.row_offsets.assign(static_cast<size_t>(kBlendUsers) + 1, 0);
  later.purchases.validation.n_columns = kBlendItems;
  const auto again = blend_of(members, "found");
  const FitReport report = again->fit(context(), later.view(), {.chosen = chosen.chosen});
  EXPECT_EQ(report.chosen, chosen.chosen);
  EXPECT_EQ(report.epochs.size(), 1u);
  // Without it, all members count alike.
  const FitReport unknown = blend_of(members, "found")->fit(context(), later.view(), {});
  EXPECT_EQ(unknown.chosen.at("weight.personal"), 1.0);
  EXPECT_EQ(unknown.chosen.at("weight.ease"), 1.0);
}

TEST_P(BlendTest, SettingsOfMembersReachThem) {
  const auto blend = blend_of("ease", "1");
  apply_settings(blend->settings(), {{"ease.l2", 77.0}});
  EXPECT_EQ(blend->fit(context(), data_.view(), {}).chosen.at("members.ease.l2"), 77.0);
}

TEST_P(BlendTest, RefusesMembersAndWeightsThatMeanNothing) {
  const auto fails = [&](const std::string& members, const std::string& weights, const std::string& says) {
    try {
      blend_of(members, weights)->fit(context(), data_.view(), {});
      ADD_FAILURE() << members << ", " << weights;
    } catch (const UsageError& error) {
      EXPECT_NE((std::string(error.what()) + error.hint()).find(says), std::string::npos) << error.what();
    }
  };
  fails("none", "found", "no model");
  fails("personal+eese", "found", "'ease'");
  fails("personal+blend", "found", "blend where it may not");
  fails("ease+ease", "found", "ease where it may not");
  fails("ease+personal", "1", "2 members");
  fails("ease+personal", "0+0", "not all of them 0");
  fails("ease+personal", "1+-2", "'-2' is no weight");
  fails("ease+personal", "1+two", "'two' is no weight");
  fails("ease+personal", "1+inf", "'inf' is no weight");
}

SHEAF_ON_EVERY_BACKEND(BlendTest);

}  // namespace
}  // namespace sheaf
