// What `lightgcn` alone promises: its gradients, and what strangers get.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/evaluate/ranking_eval.hpp"
#include "engine/models/lightgcn_step.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/gradient_check.hpp"
#include "tests/engine/model_data.hpp"

namespace sheaf {
namespace {

constexpr int64_t kGraphUsers = 4, kGraphItems = 6, kGraphDim = 3;

HostCsr graph_purchases() {
  HostCsr bought = test::pattern({{0, 3, 5}, {1}, {2, 3}, {0, 4}}, kGraphItems);
  for (int64_t e = 0; e < bought.nnz(); ++e) bought.values.push_back(1.0f + static_cast<float>(e % 3));
  return bought;
}

/// Item i has its own row, one of two features and, after the first, a number.
HostCsr graph_item_bags() {
  HostCsr bags;
  bags.n_columns = kGraphItems + 3;
  for (int32_t i = 0; i < kGraphItems; ++i) {
    bags.columns.push_back(i);
    bags.columns.push_back(static_cast<int32_t>(kGraphItems) + i % 2);
    bags.values.insert(bags.values.end(), {1.0f, 1.0f});
    if (i > 0) {
      bags.columns.push_back(static_cast<int32_t>(kGraphItems) + 2);
      bags.values.push_back(0.75f - 0.25f * static_cast<float>(i));
    }
    bags.row_offsets.push_back(bags.nnz());
  }
  return bags;
}

/// The vectors that score, by definition: a dense normalised matrix.
test::Scored scored_by_definition(const test::Named& v, const HostCsr& graph, const GraphShape& shape) {
  const auto n = static_cast<size_t>(graph.n_rows()), dim = static_cast<size_t>(shape.dim);
  std::vector<double> a(n * n, 0.0), degree(n, 0.0);
  for (size_t r = 0; r < n; ++r) {
    for (auto e = graph.row_offsets[r]; e < graph.row_offsets[r + 1]; ++e) {
      const double w = graph.values.empty() ? 1.0 : static_cast<double>(graph.values[static_cast<size_t>(e)]);
      a[r * n + static_cast<size_t>(graph.columns[static_cast<size_t>(e)])] = w;
      degree[r] += w;
    }
  }
  test::Numbers now = v.at("user_table");
  const test::Numbers items = test::sums_of(graph_item_bags(), v.at("item_table"), shape.dim);
  now.insert(now.end(), items.begin(), items.end());
  test::Numbers mean = now;
  for (int64_t l = 0; l < shape.layers; ++l) {
    test::Numbers reached(now.size(), 0.0);
    for (size_t r = 0; r < n; ++r) {
      for (size_t c = 0; c < n; ++c) {
        if (a[r * n + c] == 0.0) continue;
        for (size_t x = 0; x < dim; ++x) {
          reached[r * dim + x] += a[r * n + c] / std::sqrt(degree[r] * degree[c]) * now[c * dim + x];
        }
      }
    }
    now = reached;
    if (shape.with_weights) {
      const std::string name = "layer_" + std::to_string(l);
      for (size_t r = 0; r < n; ++r) {
        for (size_t y = 0; y < dim; ++y) {
          double sum = v.at(name + "_bias")[y];
          for (size_t x = 0; x < dim; ++x) sum += reached[r * dim + x] * v.at(name)[y * dim + x];
          now[r * dim + y] = std::max(0.0, sum);
        }
      }
    }
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += now[i];
  }
  for (double& m : mean) m /= static_cast<double>(shape.layers + 1);
  const auto users = static_cast<std::ptrdiff_t>(v.at("user_table").size());
  return {{mean.begin(), mean.begin() + users},
          {mean.begin() + users, mean.end()},
          test::sums_of(graph_item_bags(), v.at("item_bias"), 1),
          shape.dim};
}

class LightgcnTest : public test::OpTest {
 protected:
  test::Named randomised(GraphNet& net) {
    test::Named values;
    uint32_t seed = 40;
    for (Parameter* p : net.parameters()) {
      const std::vector<float> drawn = test::random_floats(p->value.size(), seed++, -0.8f, 0.8f);
      p->value.assign(drawn);
      values[p->name] = test::to_double(drawn);
    }
    return values;
  }
};

TEST_P(LightgcnTest, GradientsOfEveryLossAgreeWithFiniteDifferences) {
  const HostCsr bought = graph_purchases();
  const HostCsr partners = test::sparse({{0, 0.5f, 0, 0, 0, 0},
                                         {0.5f, 0, 0, 0, 0.25f, 0},
                                         {0, 0, 0, 0, 0, 0},
                                         {0, 0, 0, 0, 0, 0},
                                         {0, 0.25f, 0, 0, 0, 0},
                                         {0, 0, 0, 0, 0, 0}});
  const HostCsr graph = user_item_graph(bought, partners, 0.5f);
  for (const bool with_weights : {false, true}) {
    for (const LossKind kind : {LossKind::softmax, LossKind::bpr, LossKind::bce}) {
      SCOPED_TRACE(testing::Message() << (with_weights ? "gcn, " : "light, ") << to_string(kind));
      const GraphShape shape{.dim = kGraphDim, .layers = 2, .with_weights = with_weights};
      TrainParams params;
      params.loss = kind;
      params.negatives = 2;
      params.weight_power = 0.5f;
      params.positive_weight = 1.7f;
      params.seed = 21;
      GraphNet net(context(), graph, graph_item_bags(), shape);
      EXPECT_EQ(net.n_users(), kGraphUsers);
      EXPECT_EQ(net.n_items(), kGraphItems);
      GraphStep step(context(), net, bought, params);
      const Positives positives(context(), bought, params);
      const PairDraw draw{3, 1, bought.nnz() - 1};
      const test::DrawnPairs pairs = test::drawn_pairs(context(), positives, params, draw);
      test::Case what;
      what.inputs = randomised(net);
      what.definition = [&](const test::Named& v) {
        const test::Scored scored = scored_by_definition(v, graph, shape);
        return test::Numbers{kind == LossKind::softmax ? test::softmax_loss(scored, bought)
                                                       : test::pair_loss(scored, pairs, params)};
      };
      what.run = [&](const test::Numbers&) {
        Buffer<double> loss(context(), std::vector<double>{0.0});
        step.differentiate(draw, loss.view());
        test::Outcome run{loss.to_host(), {}};
        for (const Parameter* p : net.parameters()) run.gradients[p->name] = test::to_double(p->gradient.to_host());
        return run;
      };
      test::check(what);
    }
  }
}

// Against the final vectors of the items, not those that were learned.
TEST_P(LightgcnTest, StrangersGetTheLikeliestVectorBetweenTheFinalItems) {
  const test::ModelData data;
  for (const char* form : {"light", "gcn"}) {
    const auto model = test::quick_model("lightgcn");
    apply_settings(
        model->settings(),
        {{"lightgcn.form", std::string(form)}, {"model.epochs", int64_t{30}}, {"model.learning_rate", 0.02}});
    model->fit(context(), data.view(), {});
    const Tensors tensors(model->tensors());
    const int64_t n_items = model->n_items(), dim = tensors.matrix_shape("items").second;
    const std::vector<float> items = tensors.matrix("items", n_items, dim),
                             bias = tensors.vector<float>("item_bias", n_items);
    HostCsr bought = test::pattern({{1, 4, 7}, {2}}, n_items);
    bought.values = {1.0f, 3.0f, 2.0f, 5.0f};
    const Queries strangers(context(), bought);
    Buffer<float> scores(context(), 2 * n_items);
    model->scorer(context())->all_scores(context(), strangers, 0, scores.matrix(2, n_items));
    const std::vector<float> found = scores.to_host();
    for (int64_t q = 0; q < 2; ++q) {
      const float* row = found.data() + q * n_items;
      double sum = 0.0, total = 0.0, gained = 0.0;
      for (int64_t i = 0; i < n_items; ++i) sum += std::exp(static_cast<double>(row[i]));
      double of_bias = 0.0;
      for (int64_t i = 0; i < n_items; ++i) of_bias += std::exp(static_cast<double>(bias[static_cast<size_t>(i)]));
      for (auto e = bought.row_offsets[static_cast<size_t>(q)]; e < bought.row_offsets[static_cast<size_t>(q) + 1];
           ++e) {
        const auto weight = static_cast<double>(bought.values[static_cast<size_t>(e)]);
        const auto item = static_cast<size_t>(bought.columns[static_cast<size_t>(e)]);
        total += weight;
        gained += weight * (static_cast<double>(row[item]) - std::log(sum) - static_cast<double>(bias[item]) +
                            std::log(of_bias));
      }
      // Likelier than by popularity alone.
      EXPECT_GT(gained / total, 0.2) << form << ", " << q;
    }
  }
}

TEST_P(LightgcnTest, EverySettingLearns) {
  const test::ModelData data;
  std::vector<std::vector<float>> results;
  const std::vector<SettingValues> ways{{},
                                        {{"lightgcn.form", std::string("gcn")}},
                                        {{"lightgcn.copurchase", 0.5}},
                                        {{"lightgcn.copurchase", 2.0}},
                                        // 4 lists 2, but 2 lists 0
                                        {{"lightgcn.copurchase", 0.5}, {"lightgcn.partners", int64_t{1}}},
                                        {{"lightgcn.weight", std::string("log")}},
                                        {{"lightgcn.layers", int64_t{2}}},
                                        {{"model.item_features", true}},
                                        {{"model.loss", std::string("bpr")}}};
  for (const SettingValues& way : ways) {
    const auto model = test::quick_model("lightgcn");
    test::ModelData baskets;
    // Baskets of two items, so that there are pairs.
    HostCsr& of = baskets.purchases.train_baskets;
    of = test::pattern({{0, 2}, {0, 2}, {2, 4}, {1, 3}, {1, 3, 5}}, of.n_columns);
    apply_settings(model->settings(), {{"model.epochs", int64_t{20}}, {"model.learning_rate", 0.02}});
    apply_settings(model->settings(), way);
    const FitReport report = model->fit(context(), {data.view().n_users, data.catalog(), baskets.purchases}, {});
    EXPECT_LT(report.epochs.back().train_loss, report.epochs.front().train_loss);
    results.push_back(Tensors(model->tensors()).matrix("items", model->n_items(), 8));
    for (size_t other = 0; other + 1 < results.size(); ++other) {
      EXPECT_FALSE(test::same_bits(results[other], results.back())) << "the settings change nothing";
    }
  }
}

TEST_P(LightgcnTest, TheVectorsAreThoseOfTheBestEpoch) {
  const test::ModelData data;
  const auto model = test::quick_model("lightgcn");
  apply_settings(model->settings(), {{"model.epochs", int64_t{60}}, {"model.validate_every", int64_t{1}}});
  const FitReport report = model->fit(context(), data.view(), {});
  ASSERT_TRUE(report.stopped_early);
  const RankingEvaluator validation(context(), data.purchases.validation, nullptr);
  EXPECT_EQ(validation.of_scorer(context(), *model->scorer(context()), 10).ndcg,
            report.epochs[static_cast<size_t>(report.best_epoch - 1)].validation_ndcg);
}

TEST_P(LightgcnTest, RefusesLossesThatItHasNot) {
  const test::ModelData data;
  const auto model = test::quick_model("lightgcn");
  apply_settings(model->settings(), {{"model.loss", std::string("bce")}});
  EXPECT_THROW(model->fit(context(), data.view(), {}), UsageError);
}

SHEAF_ON_EVERY_BACKEND(LightgcnTest);

}  // namespace
}  // namespace sheaf
