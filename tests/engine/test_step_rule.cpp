// Optimizers, schedules and clipping, as epochs use them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "engine/train/sampled_epoch.hpp"
#include "engine/train/softmax_epoch.hpp"
#include "engine/train/step_rule.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/model_data.hpp"

namespace sheaf {
namespace {

TEST(Schedule, SharesByHand) {
  Schedule schedule{.warmup = 2.0, .epochs = 10, .every = 3, .factor = 0.5, .given_decays = {}};
  // Of two steps an epoch: the end of a step counts for the warm-up.
  EXPECT_DOUBLE_EQ(schedule.share(1, 0, 2), 0.25);
  EXPECT_DOUBLE_EQ(schedule.share(2, 1, 2), 1.0);
  EXPECT_DOUBLE_EQ(schedule.share(9, 0, 2), 1.0);
  schedule.decay = Schedule::Decay::cosine;
  EXPECT_DOUBLE_EQ(schedule.share(1, 0, 2), 0.25);
  EXPECT_DOUBLE_EQ(schedule.share(3, 0, 2), 1.0);
  EXPECT_NEAR(schedule.share(7, 0, 2), 0.5, 1e-12);  // 4 of 8 epochs after the warm-up
  EXPECT_NEAR(schedule.share(11, 0, 2), 0.0, 1e-12);
  EXPECT_NEAR(schedule.share(40, 0, 2), 0.0, 1e-12);
  schedule.decay = Schedule::Decay::steps;
  schedule.warmup = 0.0;
  EXPECT_DOUBLE_EQ(schedule.share(3, 1, 2), 1.0);
  EXPECT_DOUBLE_EQ(schedule.share(4, 0, 2), 0.5);
  EXPECT_DOUBLE_EQ(schedule.share(7, 1, 2), 0.25);
}

TEST(Schedule, APlateauFallsAfterSoManyValidationsWithoutABetterOne) {
  const Schedule plateau{.decay = Schedule::Decay::plateau, .factor = 0.1, .patience = 2, .given_decays = {}};
  TrainReport report;
  const auto add = [&](double ndcg) {
    EpochReport epoch;
    epoch.epoch = std::ssize(report.epochs) + 1;
    epoch.validation_ndcg = ndcg;
    report.epochs.push_back(epoch);
    return plateau.plateau_share(report);
  };
  const double none = std::numeric_limits<double>::quiet_NaN();
  EXPECT_DOUBLE_EQ(add(0.3), 1.0);
  EXPECT_DOUBLE_EQ(add(0.2), 1.0);
  EXPECT_DOUBLE_EQ(add(none), 1.0);  // an epoch without a validation
  EXPECT_DOUBLE_EQ(add(0.3), 0.1);   // no better than the best: the second
  EXPECT_DOUBLE_EQ(add(0.1), 0.1);
  EXPECT_DOUBLE_EQ(add(0.4), 0.1);  // better: counts anew
  EXPECT_DOUBLE_EQ(add(0.3), 0.1);
  EXPECT_NEAR(add(0.3), 0.01, 1e-15);
  EXPECT_EQ(plateau.decays(report), (std::vector<double>{4, 8}));
  Schedule again = plateau;  // without a validation period
  again.given_decays = {4, 8};
  for (EpochReport& epoch : report.epochs) epoch.validation_ndcg = none;
  EXPECT_NEAR(again.plateau_share(report), 0.01, 1e-15);
  report.epochs.resize(7);
  EXPECT_DOUBLE_EQ(again.plateau_share(report), 0.1);
}

TEST(StepSettings, NamesRatesAndDecaysOfOptimizers) {
  const auto rule_of = [](const std::string& optimizer, double momentum = 0.9) {
    StepSettings settings;
    settings.optimizer = optimizer;
    settings.momentum = momentum;
    return settings.rule(0.02, 0.003, 200);
  };
  EXPECT_FLOAT_EQ(rule_of("adamw").learning_rate, 0.02f);
  const OptimizerParams beside = rule_of("adamw").params(0.5f, 7);
  EXPECT_FLOAT_EQ(beside.decoupled_decay, 0.003f);
  EXPECT_EQ(beside.weight_decay, 0.0f);
  EXPECT_EQ(beside.step, 7);
  EXPECT_EQ(beside.learning_rate, 0.5f);
  for (const char* name : {"adam", "rmsprop", "adagrad", "sgd"}) {
    EXPECT_EQ(rule_of(name).weight_decay, 0.0f) << name;
    EXPECT_EQ(rule_of(name).params(1.0f, 1).decoupled_decay, 0.0f) << name;
  }
  StepSettings l2{.optimizer = "adam", .weight_decay = 0.25};
  EXPECT_EQ(l2.rule(0.02, 0.003, 200).params(1.0f, 1).weight_decay, 0.25f);
  EXPECT_EQ(l2.rule(0.02, 0.003, 200).params(1.0f, 1).decoupled_decay, 0.0f);
  EXPECT_EQ(rule_of("sgd").optimizer, Optimizer::momentum);
  EXPECT_EQ(rule_of("sgd", 0.0).optimizer, Optimizer::sgd);
  EXPECT_EQ(rule_of("adagrad").optimizer, Optimizer::adagrad);
  EXPECT_EQ(rule_of("rmsprop").optimizer, Optimizer::rmsprop);
  try {
    rule_of("adagrda");
    ADD_FAILURE();
  } catch (const UsageError& error) {
    EXPECT_NE(error.hint().find("'adagrad'"), std::string::npos) << error.hint();
  }
}

class OptimizersTest : public test::OpTest {
 protected:
  FitReport fit(const std::string& model, SettingValues settings) {
    const auto made = test::quick_model(model);
    settings["model.epochs"] = settings.contains("model.epochs") ? settings["model.epochs"] : int64_t{30};
    apply_settings(made->settings(), settings);
    return made->fit(context(), data_.view(), {.seed = 5});
  }
  test::ModelData data_;
};

TEST_P(OptimizersTest, EachLearns) {
  for (const std::string optimizer : {"adamw", "adam", "rmsprop", "adagrad", "sgd"}) {
    for (const std::string loss : {"softmax", "bpr"}) {
      if (!context().on_cpu() && (loss != "bpr" || optimizer == "adam")) continue;
      const FitReport report = fit("factorization", {{"model.optimizer", optimizer},
                                                     {"model.loss", loss},
                                                     {"model.nesterov", true},
                                                     {"model.epochs", int64_t{context().on_cpu() ? 8 : 3}}});
      EXPECT_LT(report.epochs.back().train_loss, report.epochs.front().train_loss) << optimizer << " " << loss;
    }
  }
}

TEST_P(OptimizersTest, TheReportSaysTheRateOfEachEpoch) {
  if (!context().on_cpu()) return;
  const FitReport report = fit("factorization", {{"model.learning_rate", 0.5},
                                                 {"model.schedule", std::string("steps")},
                                                 {"model.decay_every", int64_t{2}},
                                                 {"model.epochs", int64_t{5}}});
  std::vector<double> rates;
  for (const EpochReport& epoch : report.epochs) rates.push_back(epoch.learning_rate);
  EXPECT_EQ(rates, (std::vector<double>{0.5, 0.5, 0.25, 0.25, 0.125}));
}

TEST_P(OptimizersTest, ARefitRepeatsTheFallsOfAPlateau) {
  if (!context().on_cpu()) return;
  const auto model = test::quick_model("factorization");
  apply_settings(model->settings(), {{"model.schedule", std::string("plateau")},
                                     {"model.decay_patience", int64_t{1}},
                                     {"model.learning_rate", 0.3},
                                     {"model.patience", int64_t{0}},
                                     {"model.validate_every", int64_t{1}},
                                     {"model.epochs", int64_t{12}}});
  const FitReport first = model->fit(context(), data_.view(), {.seed = 5});
  ASSERT_LT(first.epochs.back().learning_rate, 0.3) << "no plateau: the test shows nothing";
  test::ModelData later;
  later.purchases.validation = {};
  later.purchases.validation.n_columns = later.purchases.train.n_columns;
  later.purchases.validation.row_offsets.assign(later.purchases.train.row_offsets.size(), 0);
  const FitReport again = model->fit(context(), later.view(), {.seed = 5, .chosen = first.chosen});
  ASSERT_EQ(again.epochs.size(), first.epochs.size());
  for (size_t e = 0; e < again.epochs.size(); ++e) {
    EXPECT_EQ(again.epochs[e].learning_rate, first.epochs[e].learning_rate) << e;
  }
}

TEST_P(OptimizersTest, AClippedStepIsAsLongAsTheNorm) {
  const HostCsr& bought = data_.purchases.train;
  PairTables tables(context(), PairForm::dot, bought.n_rows(), 8, make_item_bags(data_.view().catalog, false));
  tables.initialise(3);
  TrainParams params;
  params.rule.optimizer = Optimizer::sgd;
  params.rule.learning_rate = 1.0f;
  params.rule.weight_decay = 0.0f;
  params.rule.clip_norm = 0.125f;
  const auto epoch = make_softmax_epoch(context(), tables, bought, params);
  std::vector<std::vector<float>> before;
  for (const Parameter* p : tables.parameters()) before.push_back(p->value.to_host());
  epoch->run(1);
  double squares = 0.0;
  for (size_t t = 0; t < before.size(); ++t) {
    const std::vector<float> now = tables.parameters()[t]->value.to_host();
    for (size_t i = 0; i < now.size(); ++i) {
      squares += std::pow(static_cast<double>(now[i]) - static_cast<double>(before[t][i]), 2.0);
    }
  }
  EXPECT_NEAR(std::sqrt(squares), 0.125, 1e-4);  // values of about 1 round to 6e-8; there are a few thousand
  params.loss = LossKind::bpr;
  EXPECT_THROW(make_sampled_epoch(context(), tables, bought, params), UsageError);
}

SHEAF_ON_EVERY_BACKEND(OptimizersTest);

}  // namespace
}  // namespace sheaf
