// What the model ensemble alone promises.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/model_data.hpp"

namespace sheaf {
namespace {

class EnsembleTest : public test::OpTest {
 protected:
  std::vector<float> scores_of(const std::string& name, uint64_t seed, const SettingValues& settings = {}) {
    const auto model = test::quick_model(name);
    apply_settings(model->settings(), settings);
    report_ = model->fit(context(), data_.view(), {.seed = seed});
    std::vector<int32_t> items;
    for (int64_t u = 0; u < test::Planted::n_users; ++u) {
      for (int32_t i = 0; i < test::Planted::n_items; ++i) items.push_back(i);
    }
    return pair_scores(context(), *model->scorer(context()), Queries::everyone(context(), test::Planted::n_users),
                       items, test::Planted::n_items);
  }
  test::ModelData data_;
  FitReport report_;
};

TEST_P(EnsembleTest, IsTheMeanOfItsSeeds) {
  std::vector<double> mean;
  for (const uint64_t seed : {7, 8, 9}) {
    const std::vector<float> own = scores_of("factorization", seed);
    mean.resize(own.size(), 0.0);
    for (size_t at = 0; at < own.size(); ++at) mean[at] += static_cast<double>(own[at]) / 3.0;
  }
  const std::vector<float> got = scores_of("ensemble", 7);
  ASSERT_EQ(got.size(), mean.size());
  for (size_t at = 0; at < got.size(); ++at) ASSERT_NEAR(got[at], mean[at], 1e-5) << at;
  EXPECT_EQ(report_.epochs.size(), 3u);
  EXPECT_EQ(report_.best_epoch, 3);
  EXPECT_TRUE(report_.chosen.contains("members.3.epochs"));
}

TEST_P(EnsembleTest, OneMemberIsThatModelWithItsSettings) {
  const SettingValues bpr{{"model.loss", std::string("bpr")}};
  const SettingValues one{{"model.loss", std::string("bpr")}, {"ensemble.size", int64_t{1}}};
  const std::vector<float> alone = scores_of("factorization", 7, bpr), got = scores_of("ensemble", 7, one);
  EXPECT_EQ(alone, got);
  EXPECT_NE(alone, scores_of("factorization", 7));
}

TEST_P(EnsembleTest, RefusesWhatIsNoMember) {
  for (const std::string member : {"none", "ease+als", "blend", "ensemble", "factorisation"}) {
    EXPECT_THROW(scores_of("ensemble", 1, {{"ensemble.member", member}}), UsageError) << member;
  }
}

SHEAF_ON_EVERY_BACKEND(EnsembleTest);

}  // namespace
}  // namespace sheaf
