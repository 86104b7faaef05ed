// What `autoencoder` alone promises: its gradients, its noise, and what strangers get.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/evaluate/ranking_eval.hpp"
#include "engine/models/autoencoder_step.hpp"
#include "engine/models/widths.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/gradient_check.hpp"
#include "tests/engine/model_data.hpp"
#include "tests/reference/layers.hpp"

namespace sheaf {
namespace {

constexpr int64_t kCodedItems = 7;

HostCsr coded_purchases() {
  HostCsr bought = test::pattern({{0, 3, 5}, {1}, {}, {2, 3, 6}, {0, 4}}, kCodedItems);
  for (int64_t e = 0; e < bought.nnz(); ++e) bought.values.push_back(1.0f + static_cast<float>(e % 3));
  return bought;
}

std::vector<int32_t> numbers_up_to(int64_t n) {
  std::vector<int32_t> numbers;
  for (int32_t r = 0; r < n; ++r) numbers.push_back(r);
  return numbers;
}

/// h_L of all rows, by definition.
test::Numbers states_by_definition(const test::Named& v, const HostCsr& x, const std::vector<int64_t>& hidden,
                                   dense::Activation activation) {
  const auto width = static_cast<size_t>(hidden.front());
  test::Numbers h = test::sums_of(x, v.at("input"), hidden.front());
  for (size_t i = 0; i < h.size(); ++i) h[i] += v.at("input_bias")[i % width];
  h = ref::activation(activation, h).value;
  std::vector<int64_t> widths = hidden;
  for (size_t l = hidden.size() - 1; l > 0; --l) widths.push_back(hidden[l - 1]);
  for (size_t l = 1; l < widths.size(); ++l) {
    const std::string name = "layer_" + std::to_string(l);
    h = ref::activation(activation, ref::linear(widths[l - 1], h, v.at(name), v.at(name + "_bias")).value).value;
  }
  return h;
}

class AutoencoderTest : public test::OpTest {
 protected:
  test::Named randomised(AutoencoderNet& net) {
    test::Named values;
    uint32_t seed = 60;
    for (Parameter* p : net.parameters()) {
      const std::vector<float> drawn = test::random_floats(p->value.size(), seed++, -1.0f, 1.0f);
      p->value.assign(drawn);
      values[p->name] = test::to_double(drawn);
    }
    return values;
  }
  std::vector<float> scores_of(const Recommender& model, const Queries& queries) {
    Buffer<float> scores(context(), queries.n() * model.n_items());
    model.scorer(context())->all_scores(context(), queries, 0, scores.matrix(queries.n(), model.n_items()));
    return scores.to_host();
  }
};

TEST_P(AutoencoderTest, GradientsOfEveryLossAgreeWithFiniteDifferences) {
  const HostCsr bought = coded_purchases();
  const AutoencoderBatch batch{with_noise(with_unit_rows(bought), numbers_up_to(bought.n_rows()), 0.3, 5, 2), bought};
  ASSERT_LT(batch.x.nnz(), bought.nnz());
  const std::vector<std::pair<std::vector<int64_t>, dense::Activation>> nets{{{3}, dense::Activation::sigmoid},
                                                                             {{4, 2}, dense::Activation::tanh},
                                                                             {{4, 3, 2}, dense::Activation::gelu},
                                                                             {{4, 3}, dense::Activation::relu}};
  for (const auto& [hidden, activation] : nets) {
    for (const LossKind kind : {LossKind::softmax, LossKind::bce}) {
      SCOPED_TRACE(testing::Message() << hidden.size() << " widths, " << to_string(kind));
      TrainParams params;
      params.loss = kind;
      params.negatives = 2;
      params.positive_weight = 1.3f;
      params.seed = 9;
      AutoencoderNet net(context(), {.n_items = kCodedItems, .hidden = hidden, .activation = activation});
      AutoencoderStep step(context(), net, params);
      const Positives positives(context(), bought, params);
      const test::DrawnPairs pairs = test::drawn_pairs(context(), positives, params, {7, 0, bought.nnz()});
      test::Case what;
      what.inputs = randomised(net);
      what.definition = [&, widths = hidden, kind_of = activation](const test::Named& v) {
        const test::Scored scored{states_by_definition(v, batch.x, widths, kind_of), v.at("output"),
                                  v.at("output_bias"), widths.front()};
        return test::Numbers{kind == LossKind::softmax ? test::softmax_loss(scored, bought)
                                                       : test::pair_loss(scored, pairs, params)};
      };
      what.run = [&](const test::Numbers&) {
        Buffer<double> loss(context(), std::vector<double>{0.0});
        step.differentiate(batch, 7, loss.view());
        test::Outcome run{loss.to_host(), {}};
        for (const Parameter* p : net.parameters()) run.gradients[p->name] = test::to_double(p->gradient.to_host());
        return run;
      };
      test::check(what);
    }
  }
}

TEST_P(AutoencoderTest, WhatIsLeftOutHasNoInfluence) {
  const HostCsr bought = coded_purchases();
  const AutoencoderBatch batch{with_noise(bought, numbers_up_to(bought.n_rows()), 0.5, 5, 2), bought};
  std::vector<int32_t> gone;
  for (int32_t i = 0; i < kCodedItems; ++i) {
    if (std::ranges::find(batch.x.columns, i) == batch.x.columns.end()) gone.push_back(i);
  }
  ASSERT_FALSE(gone.empty());
  ASSERT_LT(std::ssize(gone), kCodedItems - 1);
  TrainParams params;
  const auto gradients_and_loss = [&](float moved_by) {
    AutoencoderNet net(context(), {.n_items = kCodedItems, .hidden = {3}, .activation = dense::Activation::tanh});
    AutoencoderStep step(context(), net, params);
    randomised(net);
    std::vector<float> input = net.input.value.to_host();
    for (const int32_t i : gone) {
      for (size_t c = 0; c < 3; ++c) input[static_cast<size_t>(i) * 3 + c] += moved_by;
    }
    net.input.value.assign(input);
    Buffer<double> loss(context(), std::vector<double>{0.0});
    step.differentiate(batch, 1, loss.view());
    std::vector<float> all{static_cast<float>(loss.to_host()[0])};
    for (const Parameter* p : net.parameters()) {
      const std::vector<float> gradient = p->gradient.to_host();
      all.insert(all.end(), gradient.begin(), gradient.end());
    }
    for (const int32_t i : gone) {
      for (size_t c = 0; c < 3; ++c) EXPECT_EQ(all[1 + static_cast<size_t>(i) * 3 + c], 0.0f);
    }
    return all;
  };
  EXPECT_TRUE(test::same_bits(gradients_and_loss(0.0f), gradients_and_loss(7.5f)));
}

TEST(AutoencoderNoise, LeavesOutItsShareByUserAndItem) {
  HostCsr rows;
  rows.n_columns = 400;
  for (int32_t r = 0; r < 60; ++r) {
    for (int32_t i = r % 3; i < 400; i += 3) {
      rows.columns.push_back(i);
      rows.values.push_back(static_cast<float>(1 + i % 5));
    }
    rows.row_offsets.push_back(rows.nnz());
  }
  const HostCsr kept = with_noise(rows, numbers_up_to(60), 0.25, 3, 1);
  const double n = static_cast<double>(rows.nnz());
  EXPECT_NEAR(static_cast<double>(kept.nnz()), 0.75 * n, 5.0 * std::sqrt(0.75 * 0.25 * n));  // five deviations
  ASSERT_EQ(kept.n_rows(), 60);
  for (int64_t r = 0; r < 60; ++r) {
    const auto row = kept.row(r);
    for (size_t e = 0; e < row.size(); ++e) {
      ASSERT_TRUE(rows.contains(r, row[e]));
      const float value = kept.values[static_cast<size_t>(kept.row_offsets[static_cast<size_t>(r)]) + e];
      EXPECT_FLOAT_EQ(value, static_cast<float>(1 + row[e] % 5) / 0.75f);
    }
  }
  // A user's draws follow the user, not the place in the batch; another epoch draws anew.
  const std::vector<int32_t> some{41, 7};
  const HostCsr of_some = with_noise(rows_at(rows, some), some, 0.25, 3, 1);
  EXPECT_TRUE(std::ranges::equal(of_some.row(0), kept.row(41)));
  EXPECT_TRUE(std::ranges::equal(of_some.row(1), kept.row(7)));
  EXPECT_FALSE(std::ranges::equal(with_noise(rows, numbers_up_to(60), 0.25, 3, 2).columns, kept.columns));
  EXPECT_FALSE(std::ranges::equal(with_noise(rows, numbers_up_to(60), 0.25, 4, 1).columns, kept.columns));
  EXPECT_EQ(with_noise(rows, numbers_up_to(60), 0.0, 3, 1).values, rows.values);
}

TEST(AutoencoderNoise, UnitRowsHaveLengthOne) {
  HostCsr rows = test::sparse({{3, 4, 0}, {0, 0, 0}, {0, 2, 0}});
  rows.values.push_back(0.0f);  // a row of zeros stays
  rows.columns.push_back(1);
  rows.row_offsets.push_back(rows.nnz());
  const HostCsr unit = with_unit_rows(rows);
  EXPECT_EQ(unit.values, (std::vector<float>{0.6f, 0.8f, 1.0f, 0.0f}));
  EXPECT_EQ(unit.columns, rows.columns);
}

TEST_P(AutoencoderTest, StrangersWithAUsersPurchasesGetTheUsersScores) {
  test::ModelData data;
  // Recency weights that are no times bought.
  data.purchases.train.values.assign(data.purchases.train.columns.size(), 0.25f);
  for (const char* weight : {"one", "log", "recency"}) {
    for (const bool normalise : {false, true}) {
      const auto model = test::quick_model("autoencoder");
      apply_settings(model->settings(),
                     {{"autoencoder.weight", std::string(weight)}, {"autoencoder.normalise", normalise}});
      model->fit(context(), data.view(), {});
      const HostCsr& known = weight == std::string("recency") ? data.purchases.train : data.purchases.train_counts;
      const Queries strangers(context(), row_block(known, 3, 5)), users(context(), {3, 4, 5, 6, 7});
      EXPECT_TRUE(test::same_bits(scores_of(*model, strangers), scores_of(*model, users))) << weight << normalise;
      // What the row holds.
      const HostCsr rows = Tensors(model->tensors()).csr("rows", model->n_users(), model->n_items());
      const auto first = static_cast<size_t>(rows.row_offsets[3]), end = static_cast<size_t>(rows.row_offsets[4]);
      double squares = 0.0;
      std::vector<double> expected;
      for (size_t e = first; e < end; ++e) {
        const auto count = static_cast<double>(data.purchases.train_counts.values[e]);
        expected.push_back(weight == std::string("log")   ? std::log1p(count)
                           : weight == std::string("one") ? 1.0
                                                          : 0.25);
        squares += expected.back() * expected.back();
      }
      for (size_t e = first; e < end; ++e) {
        EXPECT_NEAR(rows.values[e], expected[e - first] / (normalise ? std::sqrt(squares) : 1.0), 1e-6);
      }
    }
  }
}

TEST_P(AutoencoderTest, EverySettingLearns) {
  const test::ModelData data;
  const std::vector<SettingValues> ways{
      {},
      {{"model.loss", std::string("bce")}},
      {{"autoencoder.hidden", std::string("16-8")}, {"autoencoder.activation", std::string("gelu")}},
      {{"autoencoder.activation", std::string("relu")}},
      {{"autoencoder.activation", std::string("sigmoid")}},
      {{"autoencoder.batch", int64_t{1000}}, {"autoencoder.dropout", 0.0}}};
  for (const SettingValues& way : ways) {
    const auto model = test::quick_model("autoencoder");
    apply_settings(model->settings(), {{"model.epochs", int64_t{40}}, {"model.learning_rate", 0.02}});
    apply_settings(model->settings(), way);
    const FitReport report = model->fit(context(), data.view(), {});
    EXPECT_LT(report.epochs.back().train_loss, report.epochs.front().train_loss);
    const std::vector<int32_t> items = top_items(context(), *model->scorer(context()), nullptr, 5).items.to_host();
    int64_t right = 0;
    for (size_t at = 0; at < items.size(); ++at) right += items[at] % 2 == static_cast<int32_t>(at / 5 % 2) ? 1 : 0;
    EXPECT_GT(right, static_cast<int64_t>(items.size()) * 7 / 10);
  }
}

TEST_P(AutoencoderTest, ADeepNetworkIsRestoredAsItWas) {
  const test::ModelData data;
  const SettingValues deep{{"autoencoder.hidden", std::string("8-4")}};
  const auto model = test::quick_model("autoencoder"), again = test::quick_model("autoencoder");
  apply_settings(model->settings(), deep);
  apply_settings(again->settings(), deep);
  model->fit(context(), data.view(), {});
  again->set_size(model->n_users(), model->n_items());
  again->restore(context(), Tensors(model->tensors()));
  const Queries everyone = Queries::everyone(context(), model->n_users());
  EXPECT_TRUE(test::same_bits(scores_of(*again, everyone), scores_of(*model, everyone)));
  apply_settings(again->settings(), {{"autoencoder.hidden", std::string("8-5")}});
  EXPECT_THROW(again->restore(context(), Tensors(model->tensors())), DataError);
}

TEST_P(AutoencoderTest, RefusesWhatDoesNotFit) {
  const test::ModelData data;
  for (const char* hidden : {"", "64-", "0", "64-x", "123456", "none"}) {
    const auto model = test::quick_model("autoencoder");
    apply_settings(model->settings(), {{"autoencoder.hidden", std::string(hidden)}});
    try {
      model->fit(context(), data.view(), {});
      FAIL() << hidden;
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find("autoencoder.hidden = '" + std::string(hidden) + "'"),
                std::string::npos);
    }
  }
  const auto model = test::quick_model("autoencoder");
  apply_settings(model->settings(), {{"model.loss", std::string("bpr")}});
  EXPECT_THROW(model->fit(context(), data.view(), {}), UsageError);
  EXPECT_THROW(AutoencoderNet(context(), {.n_items = 0, .hidden = {3}}), DataError);
  EXPECT_THROW(AutoencoderNet(context(), {.n_items = 3, .hidden = {}}), UsageError);
}

TEST(Widths, AreReadAsWritten) {
  EXPECT_EQ(parse_widths("a.b", "64", false), (std::vector<int64_t>{64}));
  EXPECT_EQ(parse_widths("a.b", "128-64-1", true), (std::vector<int64_t>{128, 64, 1}));
  EXPECT_TRUE(parse_widths("a.b", "none", true).empty());
  EXPECT_THROW(parse_widths("a.b", "none", false), UsageError);
  for (const char* wrong : {"", "64-", "0", "64-0", "64-x", "123456"}) {
    EXPECT_THROW(parse_widths("a.b", wrong, true), UsageError) << wrong;
  }
  EXPECT_EQ(parse_activation("relu"), dense::Activation::relu);
  EXPECT_EQ(parse_activation("gelu"), dense::Activation::gelu);
}

SHEAF_ON_EVERY_BACKEND(AutoencoderTest);

}  // namespace
}  // namespace sheaf
