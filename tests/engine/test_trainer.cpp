#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "engine/evaluate/ranking_eval.hpp"
#include "engine/train/sampled_epoch.hpp"
#include "engine/train/softmax_epoch.hpp"
#include "engine/train/trainer.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"

namespace sheaf {
namespace {

/// The values of all parameters, in their order.
using State = std::vector<std::vector<float>>;

struct Trained {
  TrainReport report;
  State state;
};

std::vector<float> all_values(const State& state) {
  std::vector<float> values;
  for (const auto& table : state) values.insert(values.end(), table.begin(), table.end());
  return values;
}

State state_of(PairTables& tables) {
  State state;
  for (const Parameter* p : tables.parameters()) state.push_back(p->value.to_host());
  return state;
}

/// Item biases are the fourth table of the form dot.
constexpr size_t kItemBias = 3;

/// The trainer on tables of pairs, as a model calls it.
TrainReport train_tables(Context& context, PairTables& tables, const HostCsr& train_items, const HostCsr& validation,
                         const TrainParams& params, const std::function<void(const EpochReport&)>& on_epoch = {}) {
  const auto make_epoch = [&] {
    return params.loss == LossKind::softmax ? make_softmax_epoch(context, tables, train_items, params)
                                            : make_sampled_epoch(context, tables, train_items, params);
  };
  const Trainable model{tables.parameters(),
                        [&] { return std::make_unique<LinearScorer>(context, linear_parts(context, tables)); }};
  return train(context, model, make_epoch, train_items, validation, params, on_epoch);
}

/// A loss and the kind of model that it trains.
struct Way {
  LossKind loss;
  PairForm form;
  const char* name;
};
constexpr Way kWays[]{{LossKind::softmax, PairForm::dot, "softmax"},
                      {LossKind::bpr, PairForm::dot, "bpr"},
                      {LossKind::bce, PairForm::dot, "bce"},
                      {LossKind::bpr, PairForm::sum, "additive bpr"},
                      {LossKind::bce, PairForm::sum, "additive bce"}};

class TrainerTest : public test::OpTest {
 protected:
  /// One thread: steps on small data are so short that a second one would mostly wait.
  void SetUp() override {
    OpTest::SetUp();
    if (!IsSkipped()) alone_ = make_context(1);
  }
  Context& context() { return *alone_; }
  static TrainParams params_of(LossKind loss) {
    TrainParams params;
    params.loss = loss;
    params.epochs = 40;
    params.patience = 0;
    params.batch = 128;
    params.negatives = 4;
    params.dropout = 0.1f;
    params.mask_seen = true;
    return params;
  }
  PairTables fresh(Context& where, PairForm form, bool item_features = false, uint64_t seed = 1) const {
    PairTables tables(where, form, test::Planted::n_users, 8, make_item_bags(data_.catalog, item_features));
    tables.initialise(seed);
    return tables;
  }
  Trained trained_on(Context& where, PairForm form, const TrainParams& params, bool item_features = false) const {
    PairTables model = fresh(where, form, item_features);
    TrainReport report = train_tables(where, model, data_.train, data_.validation, params);
    return {std::move(report), state_of(model)};
  }
  Trained trained(PairForm form, const TrainParams& params, bool item_features = false) {
    return trained_on(context(), form, params, item_features);
  }
  double ndcg_of(PairForm form, const State& state, const TrainParams& params) {
    const RankingEvaluator evaluator(context(), data_.validation, params.mask_seen ? &data_.train : nullptr);
    PairTables model = fresh(context(), form);
    for (size_t p = 0; p < state.size(); ++p) model.parameters()[p]->value.assign(state[p]);
    return evaluator.of_scorer(context(), LinearScorer(context(), linear_parts(context(), model)), params.validation_k)
        .ndcg;
  }

  std::unique_ptr<Context> alone_;
  test::Planted data_ = test::planted(4);
};

TEST_P(TrainerTest, TheLossFallsAndTheRankingRises) {
  for (const Way& way : kWays) {
    const TrainParams params = params_of(way.loss);
    const double before = [&] {
      PairTables untrained = fresh(context(), way.form);
      return ndcg_of(way.form, state_of(untrained), params);
    }();
    const Trained result = trained(way.form, params);
    const auto& epochs = result.report.epochs;
    ASSERT_EQ(epochs.size(), 40u) << way.name;
    double early = 0, late = 0;
    for (size_t e = 0; e < 5; ++e) {
      early += epochs[e].train_loss / 5;
      late += epochs[35 + e].train_loss / 5;
      EXPECT_EQ(epochs[e].epoch, static_cast<int64_t>(e) + 1);
    }
    EXPECT_LT(late, early) << way.name;
    EXPECT_GT(epochs.back().validation_ndcg, before) << way.name;
    // With the taste known and nothing else, 2 of 11 unseen items of the taste are right: about 10 / 11 of them in a
    // list of 10, at random places. Its NDCG is the mean gain of a place times 2 * 10 / 11 over the ideal 1 + 1 /
    // log2(3). Popularity alone reaches less.
    double gain = 0;
    for (int rank = 1; rank <= 10; ++rank) gain += 1 / std::log2(rank + 1.0) / 10;
    const double taste = gain * (20.0 / 11) / (1 + 1 / std::log2(3.0));
    if (way.form == PairForm::dot) {
      EXPECT_GT(epochs.back().validation_ndcg, taste) << way.name;
    } else {
      EXPECT_GT(epochs.back().validation_ndcg, 1.25 * before) << way.name;
    }
  }
}

TEST_P(TrainerTest, KeepsTheParametersOfTheBestEpoch) {
  for (const Way& way : kWays) {
    TrainParams params = params_of(way.loss);
    params.rule.learning_rate = 0.1f;  // soon too much of a good thing
    params.rule.weight_decay = 0;
    params.epochs = 60;
    params.validate_every = 2;
    params.patience = 3;
    const Trained result = trained(way.form, params);
    const TrainReport& report = result.report;
    double best = -1;
    int64_t best_epoch = 0;
    for (const EpochReport& epoch : report.epochs) {
      if (std::isnan(epoch.validation_ndcg)) continue;
      EXPECT_EQ(epoch.best, epoch.validation_ndcg > best) << way.name << ", epoch " << epoch.epoch;
      if (epoch.validation_ndcg <= best) continue;
      best = epoch.validation_ndcg;
      best_epoch = epoch.epoch;
    }
    EXPECT_EQ(report.best_epoch, best_epoch) << way.name;
    EXPECT_TRUE(report.stopped_early) << way.name;
    ASSERT_EQ(report.epochs.back().epoch, best_epoch + 6) << way.name;  // three validations without a better one
    ASSERT_NE(report.epochs.back().validation_ndcg, best) << way.name;
    EXPECT_EQ(ndcg_of(way.form, result.state, params), best) << way.name;
    // The same run, ended at the best epoch, ends with the same bits.
    params.epochs = best_epoch;
    params.patience = 0;
    EXPECT_TRUE(test::same_bits(all_values(trained(way.form, params).state), all_values(result.state))) << way.name;
  }
}

TEST_P(TrainerTest, OfEqualEpochsTheFirstIsTheBest) {
  TrainParams params = params_of(LossKind::softmax);
  params.rule.learning_rate = 0.0f;  // nothing changes
  params.rule.weight_decay = 0;
  params.validate_every = 1;
  params.patience = 3;
  const TrainReport report = trained(PairForm::dot, params).report;
  EXPECT_EQ(report.best_epoch, 1);
  EXPECT_TRUE(report.stopped_early);
  ASSERT_EQ(report.epochs.size(), 4u);
  for (const EpochReport& epoch : report.epochs) EXPECT_EQ(epoch.best, epoch.epoch == 1);
}

TEST_P(TrainerTest, PatienceZeroTrainsOnAndKeepsTheLast) {
  TrainParams params = params_of(LossKind::softmax);
  params.rule.learning_rate = 0.1f;
  params.rule.weight_decay = 0;
  params.epochs = 60;
  params.validate_every = 7;  // the last epoch is validated nevertheless
  const Trained result = trained(PairForm::dot, params);
  const auto& epochs = result.report.epochs;
  ASSERT_EQ(epochs.size(), 60u);
  EXPECT_FALSE(result.report.stopped_early);
  EXPECT_EQ(result.report.best_epoch, 60);
  double best = 0;
  for (const EpochReport& epoch : epochs) {
    const bool validated = epoch.epoch % 7 == 0 || epoch.epoch == 60;
    EXPECT_EQ(std::isnan(epoch.validation_ndcg), !validated) << epoch.epoch;
    EXPECT_EQ(std::isnan(epoch.validation_recall), !validated) << epoch.epoch;
    EXPECT_EQ(epoch.best, validated) << epoch.epoch;
    if (validated) best = std::max(best, epoch.validation_ndcg);
  }
  ASSERT_LT(epochs.back().validation_ndcg, best);
  EXPECT_EQ(ndcg_of(PairForm::dot, result.state, params), epochs.back().validation_ndcg);
}

TEST_P(TrainerTest, WithoutValidationKeepsTheLast) {
  HostCsr nothing;
  nothing.row_offsets.assign(test::Planted::n_users + 1, 0);
  nothing.n_columns = test::Planted::n_items;
  TrainParams params = params_of(LossKind::bpr);
  params.epochs = 8;
  params.patience = 1;
  params.validate_every = 1;
  PairTables model = fresh(context(), PairForm::dot);
  const TrainReport report = train_tables(context(), model, data_.train, nothing, params);
  EXPECT_EQ(report.best_epoch, 8);
  EXPECT_FALSE(report.stopped_early);
  EXPECT_TRUE(std::isnan(report.epochs.back().validation_ndcg));
  params.patience = 0;
  EXPECT_TRUE(test::same_bits(all_values(state_of(model)), all_values(trained(PairForm::dot, params).state)));
}

TEST_P(TrainerTest, ReportsEveryEpochAsItEnds) {
  TrainParams params = params_of(LossKind::bce);
  params.epochs = 4;
  PairTables model = fresh(context(), PairForm::sum);
  std::vector<double> losses;
  const TrainReport report =
      train_tables(context(), model, data_.train, data_.validation, params, [&](const EpochReport& epoch) {
        losses.push_back(epoch.train_loss);
        EXPECT_EQ(epoch.epoch, static_cast<int64_t>(losses.size()));
      });
  ASSERT_EQ(losses.size(), 4u);
  for (size_t e = 0; e < 4; ++e) EXPECT_EQ(losses[e], report.epochs[e].train_loss);
}

TEST_P(TrainerTest, TheSeedAloneDecidesTheBits) {
  for (const Way& way : kWays) {
    TrainParams params = params_of(way.loss);
    params.epochs = 2;
    params.batch = 500;  // the last batch is shorter
    params.popularity_negatives = true;
    params.weight_power = 0.5f;
    const Trained first = trained_on(*make_context(1), way.form, params, true);
    for (const int threads : {1, 2, 3}) {
      const Trained again = trained_on(*make_context(threads), way.form, params, true);
      EXPECT_TRUE(test::same_bits(all_values(again.state), all_values(first.state))) << way.name << ", " << threads;
      for (size_t e = 0; e < 2; ++e) {
        EXPECT_EQ(again.report.epochs[e].train_loss, first.report.epochs[e].train_loss) << way.name << ", " << threads;
      }
    }
    params.seed = 2;
    const bool same = test::same_bits(all_values(trained(way.form, params, true).state), all_values(first.state));
    EXPECT_EQ(same, way.loss == LossKind::softmax)
        << way.name;  // softmax draws nothing: its chance is the model's start
  }
  PairTables one = fresh(context(), PairForm::dot, false, 1), two = fresh(context(), PairForm::dot, false, 2);
  EXPECT_FALSE(test::same_bits(all_values(state_of(one)), all_values(state_of(two))));
}

TEST_P(TrainerTest, EverySettingCounts) {
  TrainParams base = params_of(LossKind::bce);
  base.epochs = 3;
  const auto values = [&](const TrainParams& params, PairForm form = PairForm::dot) {
    return all_values(trained(form, params).state);
  };
  const std::vector<float> plain = values(base);
  const auto expect_other = [&](const char* what, auto&& change) {
    TrainParams params = base;
    change(params);
    EXPECT_FALSE(test::same_bits(values(params), plain)) << what;
  };
  expect_other("popularity_negatives", [](TrainParams& p) { p.popularity_negatives = true; });
  expect_other("weight_power", [](TrainParams& p) { p.weight_power = 1; });
  expect_other("positive_weight", [](TrainParams& p) { p.positive_weight = 2; });
  expect_other("negatives", [](TrainParams& p) { p.negatives = 5; });
  expect_other("batch", [](TrainParams& p) { p.batch = 64; });
  expect_other("dropout", [](TrainParams& p) { p.dropout = 0; });
  expect_other("weight_decay", [](TrainParams& p) { p.rule.weight_decay = 0.1f; });
  expect_other("learning_rate", [](TrainParams& p) { p.rule.learning_rate = 0.01f; });
  expect_other("loss", [](TrainParams& p) { p.loss = LossKind::bpr; });
  // Without weights there is nothing to raise to a power; equal weights count as none.
  for (const bool equal : {true, false}) {
    data_.train.values.assign(equal ? data_.train.columns.size() : 0, 4.0f);
    TrainParams weighted = base;
    weighted.weight_power = 1;
    EXPECT_TRUE(test::same_bits(values(weighted), plain)) << equal;
  }
}

TEST_P(TrainerTest, WeightsPullTowardsWhatIsBoughtMuch) {
  // Everyone bought items 0 and 1; weights say which of the two more.
  const HostCsr train_items = [&] {
    HostCsr csr =
        test::pattern(std::vector<std::vector<int32_t>>(test::Planted::n_users, {0, 1}), test::Planted::n_items);
    for (int64_t u = 0; u < test::Planted::n_users; ++u) csr.values.insert(csr.values.end(), {1.0f, 50.0f});
    return csr;
  }();
  for (const LossKind loss : {LossKind::softmax, LossKind::bce}) {
    TrainParams params = params_of(loss);
    params.weight_power = 1;
    PairTables model = fresh(context(), PairForm::dot);
    train_tables(context(), model, train_items, data_.validation, params);
    const auto items =
        top_items(context(), LinearScorer(context(), linear_parts(context(), model)), nullptr, 1).items.to_host();
    EXPECT_GT(std::ranges::count(items, 1), test::Planted::n_users * 9 / 10);
  }
}

TEST_P(TrainerTest, PopularNegativesKeepPopularItemsDown) {
  TrainParams params = params_of(LossKind::bce);
  const auto margin = [&] {  // item 0 and 1 lead their tastes, 38 and 39 come last
    const State state = trained(PairForm::dot, params).state;
    const std::vector<float>& bias = state[kItemBias];
    return bias[0] + bias[1] - bias[38] - bias[39];
  };
  const float uniform = margin();
  params.popularity_negatives = true;
  EXPECT_LT(margin(), uniform);
}

TEST_P(TrainerTest, SoftmaxStartsFromPopularity) {
  TrainParams params = params_of(LossKind::softmax);
  params.epochs = 1;
  params.rule.learning_rate = 1e-20f;  // as good as no step
  std::vector<double> expected(test::Planted::n_items, 0.5);
  for (size_t e = 0; e < data_.train.columns.size(); ++e) {
    expected[static_cast<size_t>(data_.train.columns[e])] += static_cast<double>(data_.train.values[e]);
  }
  double mean = 0;
  for (double& x : expected) mean += (x = std::log(x)) / test::Planted::n_items;
  const State state = trained(PairForm::dot, params, true).state;
  const std::vector<float>& biases = state[kItemBias];
  for (size_t i = 0; i < expected.size(); ++i) {
    const double bias = expected[i] - mean;
    EXPECT_NEAR(biases[i], bias, test::kRound * std::abs(bias) + 1e-13) << i;
  }
  for (size_t row = expected.size(); row < biases.size(); ++row) EXPECT_NEAR(biases[row], 0, 1e-19);
}

TEST_P(TrainerTest, TheRowsOfAFeatureLearnItsTaste) {
  constexpr size_t dim = 8;
  for (const LossKind loss : {LossKind::softmax, LossKind::bpr, LossKind::bce}) {
    const State state = trained(PairForm::dot, params_of(loss), true).state;
    const std::vector<float>& users = state[0];
    const std::vector<float>& items = state[1];  // rows of items, then the two of the field
    ASSERT_EQ(items.size(), (test::Planted::n_items + 2) * dim);
    const float* even = items.data() + test::Planted::n_items * dim;
    int64_t right = 0;
    for (size_t u = 0; u < test::Planted::n_users; ++u) {
      double preference = 0;  // for even items
      for (size_t c = 0; c < dim; ++c) {
        preference += static_cast<double>(users[u * dim + c]) * static_cast<double>(even[c] - even[dim + c]);
      }
      right += (preference > 0) == (u % 2 == 0) ? 1 : 0;
    }
    EXPECT_GT(right, test::Planted::n_users * 9 / 10) << static_cast<int>(loss);
  }
}

TEST_P(TrainerTest, TheRowOfANumberLearnsItsTaste) {
  constexpr size_t dim = 8;
  data_.catalog.fields.clear();
  data_.catalog.numbers.n = 1;
  for (int64_t i = 0; i < test::Planted::n_items; ++i) {
    data_.catalog.numbers.values.push_back(i % 2 == 0 ? 1.0f : -1.0f);
  }
  for (const LossKind loss : {LossKind::softmax, LossKind::bpr}) {
    TrainParams params = params_of(loss);
    params.epochs = 12;
    const State state = trained(PairForm::dot, params, true).state;
    ASSERT_EQ(state[1].size(), (test::Planted::n_items + 1) * dim);
    const float* row = state[1].data() + test::Planted::n_items * dim;
    int64_t right = 0;
    for (size_t u = 0; u < test::Planted::n_users; ++u) {
      double preference = 0;  // for even items
      for (size_t c = 0; c < dim; ++c) {
        preference += static_cast<double>(state[0][u * dim + c]) * static_cast<double>(row[c]);
      }
      right += (preference > 0) == (u % 2 == 0) ? 1 : 0;
    }
    EXPECT_GT(right, test::Planted::n_users * 9 / 10) << static_cast<int>(loss);
  }
}

TEST_P(TrainerTest, AnInterruptEndsIt) {
  for (const Way& way : kWays) {
    PairTables model = fresh(context(), way.form);
    int64_t ended = 0;
    const auto interrupt = [&](const EpochReport& epoch) {
      ended = epoch.epoch;
      if (ended == 3) request_interrupt();
    };
    EXPECT_THROW(train_tables(context(), model, data_.train, data_.validation, params_of(way.loss), interrupt),
                 Interrupted)
        << way.name;
    clear_interrupt();
    EXPECT_EQ(ended, 3) << way.name;
  }
}

TEST_P(TrainerTest, ALongEpochIsToldOnceAndChangesNothing) {
  if (GetParam() != Backend::cpu) return;
  // More users than one block of scores holds.
  const int64_t n_users = 2200, n_items = 8000;
  const HostCsr bought = test::engine_csr(test::random_csr(n_users, n_items, 3, 8, true));
  TrainParams params{.epochs = 2, .validate_every = 2};
  const auto losses = [&](double long_epoch, std::vector<double>* told) {
    params.long_epoch = long_epoch;
    params.on_long_epoch = nullptr;
    if (told != nullptr) params.on_long_epoch = [told](double seconds) { told->push_back(seconds); };
    PairTables tables(context(), PairForm::dot, n_users, 1, identity_csr(n_items));
    tables.initialise(1);
    const auto epoch = make_softmax_epoch(context(), tables, bought, params);
    const std::vector<double> found{epoch->run(1), epoch->run(2)};
    return std::pair(found, state_of(tables));
  };
  std::vector<double> always, never;
  const auto plain = losses(0.0, nullptr);
  EXPECT_EQ(losses(0.0, &always), plain);
  ASSERT_EQ(always.size(), 1u);
  EXPECT_GT(always[0], 0.0);
  EXPECT_EQ(losses(1e9, &never), plain);
  EXPECT_TRUE(never.empty());
}

TEST_P(TrainerTest, WithoutPurchasesThereIsNothingToLearn) {
  HostCsr nothing;
  nothing.row_offsets.assign(test::Planted::n_users + 1, 0);
  nothing.n_columns = test::Planted::n_items;
  for (const Way& way : kWays) {
    PairTables model = fresh(context(), way.form);
    EXPECT_THROW(train_tables(context(), model, nothing, data_.validation, params_of(way.loss)), DataError) << way.name;
  }
}

TEST_P(TrainerTest, ADivergingLearningRateIsADataError) {
  for (const Way& way : kWays) {
    for (const int64_t epochs : {1, 5}) {
      for (const float learning_rate : {1e30f, std::numeric_limits<float>::infinity()}) {
        TrainParams params = params_of(way.loss);
        params.rule.learning_rate = learning_rate;
        params.epochs = epochs;
        PairTables model = fresh(context(), way.form);
        try {
          train_tables(context(), model, data_.train, data_.validation, params);
          ADD_FAILURE() << way.name << " at " << learning_rate << " for " << epochs;
        } catch (const DataError& error) {
          EXPECT_NE(std::string(error.hint()).find("model.learning_rate"), std::string::npos) << error.hint();
        }
      }
    }
  }
}

TEST_P(TrainerTest, ParametersThatMakeNoSenseAreRefused) {
  const auto refused = [&](PairForm form, auto&& change) {
    TrainParams params = params_of(LossKind::bpr);
    change(params);
    PairTables model = fresh(context(), form);
    EXPECT_THROW(train_tables(context(), model, data_.train, data_.validation, params), UsageError);
  };
  refused(PairForm::dot, [](TrainParams& p) { p.epochs = 0; });
  refused(PairForm::dot, [](TrainParams& p) { p.batch = 0; });
  refused(PairForm::dot, [](TrainParams& p) { p.negatives = 0; });
  refused(PairForm::dot, [](TrainParams& p) { p.validate_every = 0; });
  refused(PairForm::dot, [](TrainParams& p) { p.dropout = 1; });
  refused(PairForm::dot, [](TrainParams& p) { p.dropout = -0.1f; });
}

SHEAF_ON_EVERY_BACKEND(TrainerTest);

}  // namespace
}  // namespace sheaf
