// What the fusion model alone promises.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/evaluate/ranking_eval.hpp"
#include "engine/layers/linear.hpp"
#include "engine/models/fusion_epoch.hpp"
#include "engine/models/fusion_pairs.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/model_data.hpp"

namespace sheaf {
namespace {

constexpr int64_t kDay = 86400;

/// 60 users over 240 days with one basket a day. Item u % 10 is bought every day until day 100 and never again; item
/// 10 + u % 10 every 30 days, at the day after u's 30 days are over; and each day one of 30 others, at random.
struct Dues {
  static constexpr int64_t n_users = 60, n_items = 50, n_days = 240;
  Catalog catalog = test::plain_catalog(n_items);
  Purchases purchases;

  Dues() {
    const std::vector<float> draws = test::random_floats(n_users * n_days, 5, 0.0f, 30.0f);
    BasketHistory history;
    history.n_users = n_users;
    history.items.n_columns = n_items;
    for (int64_t day = 0; day < n_days; ++day) {
      for (int64_t u = 0; u < n_users; ++u) {
        std::set<int32_t> items{20 + static_cast<int32_t>(draws[static_cast<size_t>(u * n_days + day)])};
        if (day < 100) items.insert(static_cast<int32_t>(u % 10));
        if (is_due(u, day)) items.insert(10 + static_cast<int32_t>(u % 10));
        history.items.columns.insert(history.items.columns.end(), items.begin(), items.end());
        history.items.row_offsets.push_back(history.items.nnz());
        history.user.push_back(static_cast<int32_t>(u));
        history.time.push_back(day * kDay);
      }
    }
    purchases = as_training(history, 90.0);
  }
  static bool is_due(int64_t user, int64_t day) { return day % 30 == user % 30; }
};

class FusionTest : public test::OpTest {};

TEST_P(FusionTest, WindowsKnowNothingLater) {
  const Dues dues;
  const BasketHistory history = training_baskets(dues.purchases, Dues::n_users);
  const std::vector<FusionWindow> windows = fusion_windows(history, 28.0, 3, 1);
  ASSERT_EQ(windows.size(), 3u);
  for (size_t w = 0; w < 3; ++w) {
    const double to = history.last_day() - 28.0 * static_cast<double>(w), from = to - 28.0;
    EXPECT_EQ(windows[w].day, from);
    EXPECT_EQ(windows[w].known.last_day(), from);
    // What was bought then, by its definition.
    std::set<std::pair<int32_t, int32_t>> expected, found;
    for (int64_t b = 0; b < history.n_baskets(); ++b) {
      if (history.day(b) <= from || history.day(b) > to) continue;
      for (const int32_t item : history.items.row(b)) expected.emplace(history.user[static_cast<size_t>(b)], item);
    }
    for (int64_t u = 0; u < Dues::n_users; ++u) {
      for (const int32_t item : windows[w].bought.row(u)) found.emplace(static_cast<int32_t>(u), item);
    }
    EXPECT_EQ(found, expected);
  }
  EXPECT_EQ(fusion_windows(history, 100.0, 5, 1).size(), 1u);  // 240 days have room for one, with as much before it
}

TEST_P(FusionTest, WithoutTimesAFifthOfThePairsIsHidden) {
  BasketHistory history = training_baskets(Dues().purchases, Dues::n_users);
  std::ranges::fill(history.time, 5 * kDay);
  const std::vector<FusionWindow> windows = fusion_windows(history, 28.0, 4, 1);
  ASSERT_EQ(windows.size(), 2u);
  const Purchases all = as_training(history, 60.0);
  std::vector<int64_t> hidden;
  for (const FusionWindow& window : windows) {
    const Purchases known = as_training(window.known, 60.0);
    EXPECT_EQ(known.train.nnz() + window.bought.nnz(), all.train.nnz());
    for (int64_t u = 0; u < Dues::n_users; ++u) {
      for (const int32_t item : window.bought.row(u)) EXPECT_FALSE(known.train.contains(u, item));
    }
    const double share = static_cast<double>(window.bought.nnz()) / static_cast<double>(all.train.nnz());
    EXPECT_NEAR(share, 0.2, 0.05);
  }
  int64_t both = 0;
  for (int64_t u = 0; u < Dues::n_users; ++u) {
    for (const int32_t item : windows[0].bought.row(u)) both += windows[1].bought.contains(u, item) ? 1 : 0;
  }
  EXPECT_EQ(both, 0);
}

TEST_P(FusionTest, PairsHoldOwnItemsAndTheBestOthersOfEachMember) {
  const Dues dues;
  const BasketHistory history = training_baskets(dues.purchases, Dues::n_users);
  const Queries everyone = Queries::everyone(context(), Dues::n_users);
  const FusionMembers members =
      FusionMembers::fitted(context(), {"item-knn", "personal"}, history, dues.catalog, {.seed = 1});
  const FusionPairs pairs =
      fusion_pairs(context(), {.history = history, .queries = everyone, .first = 0, .day = history.last_day()},
                   dues.catalog.category, nullptr, members, 3);
  ASSERT_EQ(pairs.width, static_cast<int64_t>(kPairFeatures) + 2);
  ASSERT_EQ(std::ssize(pairs.x), pairs.pairs.nnz() * pairs.width);
  for (size_t m = 0; m < 2; ++m) {
    Buffer<float> device(context(), Dues::n_users * Dues::n_items);
    members.scorers[m]->all_scores(context(), everyone, 0, device.matrix(Dues::n_users, Dues::n_items));
    const std::vector<float> scores = device.to_host();
    for (int64_t u = 0; u < Dues::n_users; ++u) {
      const auto row = pairs.pairs.row(u);
      std::vector<float> left_out, taken;
      for (int32_t i = 0; i < Dues::n_items; ++i) {
        const float score = scores[static_cast<size_t>(u * Dues::n_items + i)];
        const auto at = std::ranges::find(row, i);
        if (at == row.end()) {
          EXPECT_FALSE(dues.purchases.train.contains(u, i));
          left_out.push_back(score);
          continue;
        }
        const int64_t e = pairs.pairs.row_offsets[static_cast<size_t>(u)] + (at - row.begin());
        EXPECT_EQ(pairs.x[static_cast<size_t>(e * pairs.width) + kPairFeatures + m], score);
        if (!dues.purchases.train.contains(u, i)) taken.push_back(score);
      }
      std::ranges::sort(taken, std::ranges::greater{});
      ASSERT_GE(taken.size(), 3u);
      for (const float score : left_out) EXPECT_LE(score, taken[2]);
    }
  }
}

TEST_P(FusionTest, AStepFollowsTheGradient) {
  // One other pair a purchase, so that nothing is drawn: the loss and its gradient by definition, in double.
  constexpr int64_t kWidth = 3, kHidden = 4, kBought = 5;
  FusionExamples examples;
  examples.width = kWidth;
  examples.x = test::random_floats(2 * kBought * kWidth, 7);
  for (int32_t p = 0; p < kBought; ++p) {
    examples.bought.push_back(2 * p);
    examples.group.push_back(p);
    examples.others.push_back(2 * p + 1);
    examples.offsets.push_back(p + 1);
  }
  for (const bool pairwise : {true, false}) {
    Layers layers;
    layers.push_back(std::make_unique<Linear>(context(), "a", kWidth, kHidden, Linear::Options{.relu = true}));
    layers.push_back(std::make_unique<Linear>(context(), "b", kHidden, 1));
    Sequential net(std::move(layers));
    Initialiser from{.seed = 3};
    net.initialise(from);
    begin_training(context(), net.parameters());
    std::vector<std::vector<double>> values;
    for (Parameter* p : net.parameters()) {
      values.emplace_back();
      for (const float v : p->value.to_host()) values.back().push_back(static_cast<double>(v));
    }
    const auto score = [&](int64_t row) {
      double sum = values[3][0];
      for (size_t h = 0; h < kHidden; ++h) {
        double z = values[1][h];
        for (size_t c = 0; c < kWidth; ++c) {
          z += values[0][h * kWidth + c] * static_cast<double>(examples.x[static_cast<size_t>(row) * kWidth + c]);
        }
        sum += values[2][h] * std::max(0.0, z);
      }
      return sum;
    };
    const auto loss = [&] {
      const auto softplus = [](double z) { return std::log1p(std::exp(z)); };
      double sum = 0.0;
      for (int64_t p = 0; p < kBought; ++p) {
        const double bought = score(2 * p), other = score(2 * p + 1);
        sum += pairwise ? softplus(other - bought) : 0.5 * (softplus(-bought) + softplus(other));
      }
      return sum / kBought;
    };
    const auto epoch = make_fusion_epoch(
        context(), net, examples,
        {.pairwise = pairwise, .batch = 100, .negatives = 1, .rule = {.learning_rate = 1e-3f, .weight_decay = 0.0f}});
    EXPECT_NEAR(epoch->run(1), loss(), 1e-6);
    for (size_t p = 0; p < values.size(); ++p) {
      // After one step Adam's first moment is a tenth of the gradient.
      const std::vector<float> moment = net.parameters()[p]->moment1.to_host();
      for (size_t v = 0; v < values[p].size(); ++v) {
        constexpr double kStep = 1e-4;
        const double kept = values[p][v];
        values[p][v] = kept + kStep;
        const double above = loss();
        values[p][v] = kept - kStep;
        const double below = loss();
        values[p][v] = kept;
        EXPECT_NEAR(10.0 * static_cast<double>(moment[v]), (above - below) / (2 * kStep), 1e-4) << p << ", " << v;
      }
    }
  }
}

TEST_P(FusionTest, PurchasesOfManyCountLessEach) {
  // Two groups: one purchase, and three. With power 1 both groups weigh the same.
  FusionExamples examples;
  examples.width = 1;
  examples.x = {1.0f, 0.0f, 2.0f, 2.0f, 2.0f, 0.0f};
  examples.bought = {0, 2, 3, 4};
  examples.group = {0, 1, 1, 1};
  examples.others = {1, 5};
  examples.offsets = {0, 1, 2};
  const auto loss = [&](float power) {
    Layers layers;
    layers.push_back(std::make_unique<Linear>(context(), "a", 1, 1));
    Sequential net(std::move(layers));
    net.parameters()[0]->value.assign(std::vector<float>{1.0f});
    begin_training(context(), net.parameters());
    return make_fusion_epoch(context(), net, examples,
                             {.batch = 100, .negatives = 2, .group_power = power, .rule = {.learning_rate = 0.0f}})
        ->run(1);
  };
  const double one = std::log1p(std::exp(-1.0)), three = std::log1p(std::exp(-2.0));
  EXPECT_NEAR(loss(0.0f), (one + 3 * three) / 4, 1e-6);
  EXPECT_NEAR(loss(1.0f), (one + three) / 2, 1e-6);
}

TEST_P(FusionTest, WithoutAPastToLearnFromItRanksByWhatWasBoughtMost) {
  // Two users, five baskets of one moment. User 0 has bought item 1 most, all users item 0.
  BasketHistory history;
  history.n_users = 2;
  history.items = test::pattern({{0, 1}, {1}, {0}, {0}, {0}}, 5);
  history.user = {0, 0, 1, 1, 1};
  history.time.assign(5, kDay);
  const Purchases purchases = as_training(history, 60.0);
  const Catalog catalog = test::plain_catalog(5);
  auto model = make_recommender("fusion");
  apply_settings(model->settings(), {{"fusion.members", std::string("none")}, {"fusion.vectors", false}});
  const FitReport report = model->fit(context(), {2, catalog, purchases}, {});
  EXPECT_EQ(report.best_epoch, 1);
  EXPECT_NE(report.epochs.at(0).what.find("too little history"), std::string::npos);
  auto again = make_recommender("fusion");
  apply_settings(again->settings(), values_of(model->settings()));
  again->set_size(2, 5);
  again->restore(context(), Tensors(model->tensors()));
  for (const Recommender* of : {model.get(), again.get()}) {
    const TopLists lists = top_items(context(), *of->scorer(context()), nullptr, 3);
    const std::vector<int32_t> items = lists.items.to_host();
    EXPECT_EQ(items[0], 1);
    EXPECT_EQ(items[1], 0);
    EXPECT_EQ(items[3], 0);
    EXPECT_EQ(items[4], 1);  // new to user 1: what most baskets hold
  }
}

TEST_P(FusionTest, APeriodOnceChosenIsKept) {
  Dues dues;
  dues.purchases.validation_basket_time = {Dues::n_days * kDay, (Dues::n_days + 6) * kDay + 1};  // a week
  const auto fit = [&](const std::map<std::string, double>& chosen, bool validation) {
    auto model = test::quick_model("fusion");
    apply_settings(model->settings(), {{"fusion.vectors", false}});
    if (!validation) dues.purchases.validation_basket_time.clear();
    return model->fit(context(), {Dues::n_users, dues.catalog, dues.purchases}, {.chosen = chosen}).chosen;
  };
  const std::map<std::string, double> chosen = fit({}, true);
  EXPECT_EQ(chosen.at("period_days"), 7.0);
  EXPECT_EQ(fit(chosen, false), chosen);  // learned again without a validation period
  EXPECT_EQ(fit({}, false).at("period_days"), 28.0);
}

TEST_P(FusionTest, VectorsAreThoseOfAFactorization) {
  const test::ModelData data;
  const SettingValues settings{{"model.dim", int64_t{8}}, {"model.epochs", int64_t{4}}};
  auto fusion = test::quick_model("fusion"), factorization = test::quick_model("factorization");
  for (auto* model : {fusion.get(), factorization.get()}) {
    apply_settings(model->settings(), settings);
    model->fit(context(), data.view(), {.seed = 3});
  }
  EXPECT_TRUE(test::same_bits(fusion->item_vectors(context()).values.to_host(),
                              factorization->item_vectors(context()).values.to_host()));
  apply_settings(fusion->settings(), {{"fusion.vectors", false}});
  EXPECT_TRUE(fusion->item_vectors(context()).empty());
}

TEST_P(FusionTest, RefusesSettingsThatMeanNothing) {
  const test::ModelData data;
  const std::pair<const char*, const char*> wrong[]{{"fusion.members", "user-knn+user-knn"},
                                                    {"fusion.members", "fusion"},
                                                    {"fusion.members", "user-kn"},
                                                    {"fusion.hidden", "64-"},
                                                    {"fusion.hidden", "0"},
                                                    {"fusion.hidden", "64-x"},
                                                    {"fusion.hidden", "123456"}};
  for (const auto& [key, value] : wrong) {
    auto model = make_recommender("fusion");
    apply_settings(model->settings(), {{key, std::string(value)}});
    EXPECT_THROW(model->fit(context(), data.view(), {}), UsageError) << key << " = " << value;
  }
  for (const char* hidden : {"none", "8-4-2"}) {
    for (const char* activation : {"relu", "sigmoid", "tanh", "gelu"}) {
      auto model = test::quick_model("fusion");
      apply_settings(model->settings(), {{"fusion.hidden", std::string(hidden)},
                                         {"fusion.activation", std::string(activation)},
                                         {"fusion.members", std::string("item-knn")},
                                         {"fusion.dropout", 0.1},
                                         {"fusion.vectors", false},
                                         {"fusion.epochs", int64_t{1}}});
      EXPECT_NO_THROW(model->fit(context(), data.view(), {})) << hidden << " " << activation;
    }
  }
}

SHEAF_ON_EVERY_BACKEND(FusionTest);

/// The network of a fitted model in double, from its tensors: what a raw row of features scores.
class NetInDouble {
 public:
  explicit NetInDouble(const Recommender& model) {
    for (const NamedTensor& tensor : model.tensors()) {
      const auto* values = std::get_if<std::vector<float>>(&tensor.values);
      if (values != nullptr) tensors_[tensor.name] = {values->begin(), values->end()};
    }
  }
  const std::vector<double>& of(const std::string& name) const { return tensors_.at(name); }

  double score(const float* raw, int64_t width) const {
    std::vector<double> x;
    for (int64_t c = 0; c < width; ++c) {
      const auto at = static_cast<size_t>(c);
      double value = static_cast<double>(raw[c]);
      if (at >= kPairFeatures) value = std::asinh(value / of("scale")[at - kPairFeatures]);
      x.push_back(std::clamp((value - of("mean")[at]) / of("deviation")[at], -8.0, 8.0));
    }
    for (int layer = 0; tensors_.contains("layer_" + std::to_string(layer)); ++layer) {
      std::vector<double> next = product("layer_" + std::to_string(layer), x);
      for (double& value : next) value = std::max(0.0, value);
      x = std::move(next);
    }
    return product("score", x)[0];
  }

 private:
  std::vector<double> product(const std::string& name, const std::vector<double>& x) const {
    std::vector<double> out = of(name + "_bias");
    for (size_t o = 0; o < out.size(); ++o) {
      for (size_t c = 0; c < x.size(); ++c) out[o] += of(name)[o * x.size() + c] * x[c];
    }
    return out;
  }
  std::map<std::string, std::vector<double>> tensors_;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::ranges::nth_element(values, middle);
  return *middle;
}

class FusionFormulaTest : public FusionTest {
 protected:
  FusionFormulaTest() : model_(test::quick_model("fusion")) {
    apply_settings(model_->settings(), {{"fusion.members", std::string("item-knn+personal")},
                                        {"fusion.hidden", std::string("8-4")},
                                        {"fusion.vectors", false}});
  }
  std::vector<float> all(const Queries& queries) {
    Buffer<float> scores(context(), queries.n() * model_->n_items());
    model_->scorer(context())->all_scores(context(), queries, 0, scores.matrix(queries.n(), model_->n_items()));
    return scores.to_host();
  }
  void expect_scores(const FusionPairs& pairs, const std::vector<float>& scores) {
    const NetInDouble net(*model_);
    for (int64_t u = 0; u < pairs.pairs.n_rows(); ++u) {
      const auto row = pairs.pairs.row(u);
      const int64_t first = pairs.pairs.row_offsets[static_cast<size_t>(u)];
      for (int32_t i = 0; i < model_->n_items(); ++i) {
        const auto at = std::ranges::find(row, i);
        const float found = scores[static_cast<size_t>(u * model_->n_items() + i)];
        if (at == row.end()) {
          EXPECT_EQ(found, static_cast<float>(net.of("item_bias")[static_cast<size_t>(i)])) << u << ", " << i;
        } else {
          const double expected = net.score(pairs.x.data() + (first + (at - row.begin())) * pairs.width, pairs.width);
          EXPECT_NEAR(found, expected, 1e-4 * (1.0 + std::abs(expected))) << u << ", " << i;
          if (pairs.pairs.n_rows() == model_->n_users()) {
            EXPECT_GT(expected, *std::ranges::max_element(net.of("item_bias"))) << u << ", " << i;
          }
        }
      }
    }
  }

  std::unique_ptr<Recommender> model_;
};

TEST_P(FusionFormulaTest, ScoresAreThoseOfTheNetwork) {
  const Dues dues;
  model_->fit(context(), {Dues::n_users, dues.catalog, dues.purchases}, {});
  const BasketHistory history = training_baskets(dues.purchases, Dues::n_users);
  const Queries everyone = Queries::everyone(context(), Dues::n_users);
  const std::vector<std::string> names{"item-knn", "personal"};
  const FusionMembers members = FusionMembers::fitted(context(), names, history, dues.catalog, {.seed = 1});
  const FusionPairs now =
      fusion_pairs(context(), {.history = history, .queries = everyone, .first = 0, .day = history.last_day()},
                   dues.catalog.category, nullptr, members, 8);
  expect_scores(now, all(everyone));

  // The features are standardised by what the one past window shows, of users who bought some of the pairs in it.
  const FusionWindow window = fusion_windows(history, 28.0, 1, 1).at(0);
  const FusionMembers then = FusionMembers::fitted(context(), names, window.known, dues.catalog, {.seed = 1});
  const FusionPairs past =
      fusion_pairs(context(), {.history = window.known, .queries = everyone, .first = 0, .day = window.day},
                   dues.catalog.category, nullptr, then, 8);
  const NetInDouble net(*model_);
  for (int64_t c = 0; c < past.width; ++c) {
    std::vector<double> values, sizes;
    for (int64_t e = 0; e < past.pairs.nnz(); ++e) {
      values.push_back(static_cast<double>(past.x[static_cast<size_t>(e * past.width + c)]));
      if (values.back() != 0.0) sizes.push_back(std::abs(values.back()));
    }
    const auto at = static_cast<size_t>(c);
    if (at >= kPairFeatures) {
      EXPECT_NEAR(net.of("scale")[at - kPairFeatures], median(sizes), 1e-6);
      for (double& value : values) value = std::asinh(value / net.of("scale")[at - kPairFeatures]);
    }
    double mean = 0.0, variance = 0.0;
    for (const double value : values) mean += value / static_cast<double>(values.size());
    for (const double value : values) variance += (value - mean) * (value - mean) / static_cast<double>(values.size());
    EXPECT_NEAR(net.of("mean")[at], mean, 1e-4) << c;
    if (variance > 1e-6) {
      EXPECT_NEAR(net.of("deviation")[at], std::sqrt(variance), 1e-3) << c;
    }
  }
}

TEST_P(FusionFormulaTest, BasketsOfStrangersAreAWeekApart) {
  const Dues dues;
  model_->fit(context(), {Dues::n_users, dues.catalog, dues.purchases}, {});
  const BasketHistory history = training_baskets(dues.purchases, Dues::n_users);
  // Two people: three baskets, and one.
  const std::vector<std::vector<int32_t>> bought{{1, 7, 30}, {7, 25}};
  HostCsr purchases = test::pattern(bought, Dues::n_items);
  purchases.values.assign(purchases.columns.size(), 1.0f);
  const Queries strangers(context(), purchases,
                          {.offsets = {0, 4, 6}, .items = {7, 30, 1, 7, 7, 25}, .baskets = {0, 0, 1, 2, 3, 3}});
  const double day = history.last_day();
  const auto today = static_cast<int64_t>(day * 86400.0);
  const BasketHistory theirs{test::pattern({{7, 30}, {1}, {7}, {7, 25}}, Dues::n_items),
                             {0, 0, 0, 1},
                             {today - 14 * kDay, today - 7 * kDay, today, today},
                             2};
  const FusionMembers members =
      FusionMembers::fitted(context(), {"item-knn", "personal"}, history, dues.catalog, {.seed = 1});
  const ItemHabits items(history, day);
  expect_scores(fusion_pairs(context(), {.history = theirs, .queries = strangers, .first = 0, .day = day},
                             dues.catalog.category, &items, members, 8),
                all(strangers));
}

SHEAF_ON_EVERY_BACKEND(FusionFormulaTest);

// Many epochs, and no op that the tests above do not call: on the CPU alone.
TEST(Fusion, KnowsWhatIsDue) {
  // The coming days: 28 of 30, as the usual period. Whoever bought a moment ago will not buy; the old habit is over.
  Dues dues;
  dues.purchases.validation_basket_time = {Dues::n_days * kDay, (Dues::n_days + 6) * kDay + 1};  // a week
  Context context;
  auto model = make_recommender("fusion");
  apply_settings(model->settings(),
                 {{"fusion.windows", int64_t{12}}, {"fusion.epochs", int64_t{20}}, {"fusion.vectors", false}});
  model->fit(context, {Dues::n_users, dues.catalog, dues.purchases}, {});
  const auto scorer = model->scorer(context);
  Buffer<float> device(context, Dues::n_users * Dues::n_items);
  scorer->all_scores(context, Queries::everyone(context, Dues::n_users), 0,
                     device.matrix(Dues::n_users, Dues::n_items));
  const std::vector<float> scores = device.to_host();
  const auto score = [&](int64_t u, int64_t i) { return scores[static_cast<size_t>(u * Dues::n_items + i)]; };
  // Users whose item is due within the week against those who bought it within the last week.
  double due = 0.0, just_bought = 0.0, over = 0.0;
  int64_t n_due = 0, n_just = 0;
  for (int64_t u = 0; u < Dues::n_users; ++u) {
    over += static_cast<double>(score(u, u % 10)) / Dues::n_users;
    for (int64_t day = 1; day <= 7; ++day) {
      if (Dues::is_due(u, Dues::n_days - 1 + day)) {
        due += static_cast<double>(score(u, 10 + u % 10));
        ++n_due;
      }
      if (Dues::is_due(u, Dues::n_days - day)) {
        just_bought += static_cast<double>(score(u, 10 + u % 10));
        ++n_just;
      }
    }
  }
  ASSERT_GT(n_due, 5);
  ASSERT_GT(n_just, 5);
  EXPECT_GT(due / static_cast<double>(n_due), just_bought / static_cast<double>(n_just) + 2.0);
  EXPECT_GT(due / static_cast<double>(n_due), over + 2.0);
}

}  // namespace
}  // namespace sheaf
