// What search.objective says, and what is done where no period is held out.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/models/registry.hpp"
#include "host/app/bundle_quality.hpp"
#include "host/app/joint.hpp"
#include "host/app/quality.hpp"
#include "host/app/search_setup.hpp"
#include "host/app/searches.hpp"
#include "host/app/training.hpp"
#include "kernels/core/error.hpp"
#include "tests/host/shop.hpp"

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

TEST(TrainModel, HoldsBackATenthWhereNothingIsHeldOut) {
  for (const char* model : {"factorization", "ease", "personal"}) {
    config::Config config = quick();
    config.model.preference = model;
    const ShopRun without(config, data::kTrain);
    EXPECT_EQ(without.training.held_back_baskets, 72) << model;
    EXPECT_TRUE(without.training.calibrated) << model;
    EXPECT_NE(std::as_const(without.session).model().calibration.slope, 1.0) << model;
    EXPECT_FALSE(without.training.report.chosen.empty()) << model;
    if (config.model.preference == "personal") {
      // As on the nine tenths; on their own the usual 90 days would be taken.
      EXPECT_NE(without.training.report.chosen.at("half_life_days"), 90.0);
    }
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

TEST(ChanceTable, ExpectedBasketsAreBasketsTimesTheChance) {
  const ShopRun run(quick());
  const SearchSetup setup(run.session);
  const ChanceTable table(setup);
  const JointModel& joint = run.session.joint();
  const Bundle bundle{-1, {0, 1, 2}, {}, 0.0f, 1.0f, 0.0f};
  for (const double factor : {1.0, 1.5, 1e9}) {
    const UserChances users = table.of_bundle(bundle, factor);
    ASSERT_EQ(users.baskets.size(), 12u);
    double most = 0.0;
    for (size_t u = 0; u < 12; ++u) {
      const double baskets = static_cast<double>(joint.chances.expected_baskets[u]);
      EXPECT_NEAR(baskets, 3.0, 0.5) << "a basket a week, in three weeks";
      // In each of the expected baskets alike: 1 - (1 - p)^baskets is the chance of one or more.
      const double chance = users.baskets[u] / baskets;
      EXPECT_NEAR(users.buys[u], 1.0 - std::pow(1.0 - std::min(chance, 1.0), baskets), 1e-9) << "user " << u;
      most = std::max(most, chance);
    }
    EXPECT_LE(most, 1.0 + 1e-12);
    EXPECT_GT(most, 0.3);
  }
}

TEST(Reasons, ThePartnerIsTheOneWithTheGreatestLift) {
  const ShopRun run(quick());
  int64_t n_with = 0, n_without = 0;
  for (int32_t user = 0; user < 12; ++user) {
    Bundle bundle{user, {0, 1, 3, 5}, {}, 0.0f, 1.0f, 0.0f};
    const std::vector<Reason> reasons = reasons_of(run.session, bundle);
    ASSERT_EQ(reasons.size(), 4u);
    for (size_t m = 0; m < 4; ++m) {
      int32_t partner = -1;
      double lift = 1.0;  // less is no reason
      for (const int32_t other : bundle.items) {
        if (other == bundle.items[m]) continue;
        const double of_pair = run.session.pair_counts().measure(association::Measure::lift, bundle.items[m], other);
        if (of_pair > lift) {
          lift = of_pair;
          partner = other;
        }
      }
      EXPECT_EQ(reasons[m].partner, partner) << "item " << bundle.items[m];
      EXPECT_EQ(reasons[m].lift, partner < 0 ? 0.0 : lift);
      (partner < 0 ? n_without : n_with) += 1;
    }
  }
  EXPECT_GT(n_with, 0);
  EXPECT_GT(n_without, 0);
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
