// What search.objective says, and what is done where no period is held out.

#include <gtest/gtest.h>

#include <cmath>

#include "engine/models/registry.hpp"
#include "host/app/bundle_quality.hpp"
#include "host/app/joint.hpp"
#include "host/app/quality.hpp"
#include "host/app/searches.hpp"
#include "host/app/training.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::app {
namespace {

TEST(ObjectiveTerms, AreNamesWithWeights) {
  EXPECT_EQ(ObjectiveTerms::parse("joint").joint, 1.0);
  const ObjectiveTerms sum = ObjectiveTerms::parse("0.5 revenue + 2*discovery+ joint + joint");
  EXPECT_EQ(sum.revenue, 0.5);
  EXPECT_EQ(sum.discovery, 2.0);
  EXPECT_EQ(sum.joint, 2.0);
  EXPECT_EQ(sum.affinity, 0.0);
  EXPECT_TRUE(sum.is_joint());
  EXPECT_FALSE(ObjectiveTerms::parse("affinity").is_joint());
  EXPECT_EQ(sum.unit("USD"), "weighted sum");
  EXPECT_EQ(ObjectiveTerms::parse("margin").unit("USD"), "USD");
  EXPECT_EQ(ObjectiveTerms::parse("joint").unit("USD"), "expected baskets");
}

TEST(ObjectiveTerms, WrongOnesNameTheNearest) {
  for (const char* text :
       {"", "+", "jiont", "joint +", "-1 joint", "x joint", "0 joint", "joint revenue", "inf joint"}) {
    EXPECT_THROW(ObjectiveTerms::parse(text), UsageError) << text;
  }
  try {
    ObjectiveTerms::parse("revenu");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(error.hint().find("revenue"), std::string::npos);
  }
}

/// 60 weeks of 12 users who buy two of their three items each week, and now and then another.
data::Prepared weekly_shop(uint8_t last_split) {
  data::Prepared shop;
  shop.name = "shop";
  shop.currency = "EUR";
  shop.n_users = 12;
  shop.n_items = 8;
  for (int32_t week = 0; week < 60; ++week) {
    for (int32_t u = 0; u < 12; ++u) {
      for (int32_t line = 0; line < 2; ++line) {
        shop.user.push_back(u);
        shop.item.push_back((u + (week + line) % 3 + (week % 7 == 0 ? 3 : 0)) % 8);
        shop.basket.push_back(12 * week + u);
        shop.timestamp.push_back(int64_t{7 * 86400} * week);
        shop.quantity.push_back(1.0f);
        shop.price.push_back(1.0f);
        shop.discount.push_back(0.0f);
        shop.split.push_back(week >= 56 ? last_split : data::kTrain);
      }
    }
  }
  shop.n_baskets = 60 * 12;
  for (int i = 0; i < 12; ++i) shop.user_ids.push_back("u" + std::to_string(100 + i));
  for (int i = 0; i < 8; ++i) {
    shop.item_ids.push_back("i" + std::to_string(i));
    shop.item_names.push_back("item " + std::to_string(i));
  }
  shop.category_names.push_back("all");
  shop.item_category.assign(8, 0);
  shop.item_price.assign(8, 1.0f);
  return shop;
}

config::Config quick() {
  config::Config config;
  config.set("model.dim=8");
  config.set("model.epochs=20");
  config.search.min_categories = 1;
  return config;
}

/// A session with a trained model.
struct ShopRun {
  explicit ShopRun(const config::Config& config, uint8_t last_weeks = data::kValidation)
      : session(context, config, weekly_shop(last_weeks)), training(train_model(session)) {}
  Context context;
  Session session;
  Training training;
};

TEST(TrainModel, HoldsBackATenthWhereNothingIsHeldOut) {
  for (const char* model : {"factorization", "ease", "personal"}) {
    config::Config config = quick();
    config.model.preference = model;
    const ShopRun without(config, data::kTrain);
    EXPECT_EQ(without.training.held_back_baskets, 72) << model;
    EXPECT_TRUE(without.training.calibrated) << model;
    EXPECT_NE(std::as_const(without.session).model().calibration.slope, 1.0) << model;
    EXPECT_FALSE(without.training.report.chosen.empty()) << model;
    EXPECT_EQ(ShopRun(config).training.held_back_baskets, 0) << model;
  }
}

TEST(JointModel, LearnsFromTheHistoryThatIsAskedFor) {
  config::Config config = quick();
  const ShopRun run(config);
  const JointModel& all = run.session.joint();
  EXPECT_EQ(all.n_baskets, 720);
  EXPECT_EQ(&all, &run.session.joint());  // made once
  EXPECT_TRUE(all.habits.fitted) << all.habits.reason;
  EXPECT_EQ(all.gap_days, 0.0);
  // A basket a week of each user: those of the validation's 21 days.
  EXPECT_EQ(all.period_days, 21.0);
  EXPECT_NEAR(all.expected_baskets, 12 * 3, 2.0);
  EXPECT_GT(all.gain.n_pairs, 0);
  config.search.history = "train";
  EXPECT_EQ(ShopRun(config).session.joint().n_baskets, 672);
}

TEST(Session, MakesEachThingOnce) {
  for (const char* objective : {"joint", "affinity"}) {
    for (const char* by : {"cosine", "gcn"}) {
      config::Config config = quick();
      config.search.objective = objective;
      config.associate.by = by;
      const ShopRun run(config);
      const CatalogSearch catalog = search_catalog(run.session);
      const SearchResult users = search_users(run.session, all_ids(12));
      evaluate(run.session, users.bundles);
      measure_bundle_quality(run.session, {users.bundles, catalog.offers, {}, {}});
      association_matrix(run.session, most_wanted(run.session, 3));
      const Session::Made& made = run.session.made();
      EXPECT_EQ(made.scorers, 1) << objective << ", " << by;
      EXPECT_EQ(made.item_vectors, 1) << objective << ", " << by;
      EXPECT_EQ(made.graph_vectors, by == std::string("gcn") ? 1 : 0) << objective;
      EXPECT_EQ(made.pair_counts, 1) << objective << ", " << by;
      EXPECT_EQ(made.joint_models, objective == std::string("joint") ? 1 : 0) << by;
    }
  }
}

TEST(Session, EveryModelSearchesBundlesAndIsEvaluated) {
  for (const std::string& name : model_names()) {
    for (const char* objective : {"joint", "affinity"}) {
      config::Config config = quick();
      config.set("sasrec.layers=1");
      config.set("sasrec.max_length=16");
      config.model.preference = name;
      if (name == "additive") config.set("model.loss=bpr");
      config.search.objective = objective;
      const ShopRun run(config);
      EXPECT_FALSE(search_catalog(run.session).offers.empty()) << name << ", " << objective;
      const SearchResult users = search_users(run.session, {3, 5});
      ASSERT_EQ(users.bundles.size(), 2u) << name;
      EXPECT_EQ(users.bundles[1].subject, 5) << name;
      const Quality quality = evaluate(run.session, users.bundles);
      EXPECT_EQ(quality.ranked.front().name, name);
    }
  }
}

TEST(Session, AModelWithoutItemVectorsComparesCountedBaskets) {
  config::Config config = quick();
  config.model.preference = "ease";
  const ShopRun run(config);
  EXPECT_EQ(run.session.association_by(), "count-cosine");
  EXPECT_THROW(run.session.learned_vectors("cosine"), UsageError);
  EXPECT_EQ(ShopRun(quick()).session.association_by(), "cosine");
}

TEST(Session, NeedsAModelWhereOneIsAskedFor) {
  Context context;
  const Session session(context, quick(), weekly_shop(data::kValidation));
  EXPECT_FALSE(session.has_model());
  EXPECT_THROW(session.scorer(), UsageError);
  EXPECT_THROW(search_catalog(session), UsageError);
}

TEST(JointModel, AtLeastTwoByHand) {
  JointModel joint;
  joint.dependence.counts.row_offsets.assign(3, 0);
  joint.dependence.counts.n_columns = 2;
  joint.dependence.frequency = {1.0f, 1.0f};
  joint.dependence.category = {0, 0};
  joint.dependence.prior_strength = 1.0f;  // no common basket, one expected, one of belief: ratio 1 / 2
  EXPECT_NEAR(joint.at_least_two({0, 1}, {0.4, 0.5}), 0.4 * 0.5 * 0.5, 1e-12);
  joint.dependence.user_offset = 10.0f;  // bought together whenever it can be: as often as the rarer
  EXPECT_NEAR(joint.at_least_two({0, 1}, {0.4, 0.5}), 0.4, 1e-12);
}

TEST(SearchCatalog, SaysWhyThereAreFewerBundlesThanAskedFor) {
  config::Config config = quick();
  config.search.max_overlap = 0;
  const CatalogSearch found = search_catalog(ShopRun(config).session);
  // Eight items make at most four bundles without a common one.
  EXPECT_LE(found.offers.size(), 4u);
  EXPECT_GE(found.offers.size(), 2u);
  EXPECT_NE(found.fewer.find("instead of 20"), std::string::npos);
  for (const Offer& offer : found.offers) {
    EXPECT_GT(offer.expected_baskets, 0.0);
    EXPECT_LE(offer.audience, 12.0);
    EXPECT_NEAR(offer.expected_value, offer.expected_baskets * offer.offer_price, 1e-9);
  }
  config.search.bundles = 1;
  EXPECT_TRUE(search_catalog(ShopRun(config).session).fewer.empty());
}

TEST(SearchSetup, ClearanceNeedsStock) {
  config::Config config = quick();
  config.search.objective = "clearance";
  const ShopRun run(config);
  EXPECT_THROW(search_catalog(run.session), UsageError);
}

}  // namespace
}  // namespace sheaf::app
