#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/evaluate/ranking_eval.hpp"
#include "engine/layers/recurrent_layer.hpp"
#include "engine/layers/sequential.hpp"
#include "engine/models/registry.hpp"
#include "engine/models/sequence_step.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"
#include "tests/engine/histories.hpp"
#include "tests/engine/model_data.hpp"

namespace sheaf {
namespace {

using test::Baskets;
using test::bought;
using test::history_of;

constexpr const char* kSequenceModels[] = {"sasrec", "gru", "lstm"};
constexpr int32_t kWalkItems = 10;

/// User u buys u, u + 3, u + 6, .. modulo kWalkItems: the next item follows from the last one alone.
Baskets walks(int64_t n_users, int64_t length) {
  Baskets users;
  for (int64_t u = 0; u < n_users; ++u) {
    users.emplace_back();
    for (int64_t t = 0; t < length; ++t) users.back().push_back({static_cast<int32_t>((u + 3 * t) % kWalkItems)});
  }
  return users;
}

SettingValues walk_settings(const std::string& model) {
  SettingValues settings{{"model.dim", int64_t{16}},
                         {"model.epochs", int64_t{30}},
                         {"model.learning_rate", 0.01},
                         {"model.weight_decay", 0.0},
                         {"model.patience", int64_t{0}}};
  const auto set = [&](const char* key, const SettingValue& value) { settings[model + "." + key] = value; };
  set("dropout", 0.1);
  set("batch", int64_t{5});
  set("horizon", int64_t{1});
  set("negatives", int64_t{6});
  set("layers", int64_t{1});
  set("max_length", int64_t{8});
  set("user_vectors", false);
  if (model == "sasrec") {
    set("heads", int64_t{2});
    set("feed_forward", int64_t{16});
  }
  return settings;
}

Purchases purchases_of(const History& history) {
  Purchases purchases;
  purchases.train = purchases.train_counts = bought(history, kWalkItems);
  purchases.train_history = history;
  purchases.validation.row_offsets.assign(static_cast<size_t>(history.n_users()) + 1, 0);
  purchases.validation.n_columns = kWalkItems;
  return purchases;
}

struct Walk {
  std::unique_ptr<Recommender> model;
  std::vector<double> losses;
};

Walk walked(Context& context, const std::string& model, const SettingValues& settings, const History& history,
            uint64_t seed = 3) {
  Walk walk{make_recommender(model), {}};
  apply_settings(walk.model->settings(), settings);
  const Catalog items = test::plain_catalog(kWalkItems);
  const Purchases purchases = purchases_of(history);
  const FitReport report = walk.model->fit(
      context, {.n_users = history.n_users(), .catalog = items, .purchases = purchases}, {.seed = seed});
  for (const EpochReport& e : report.epochs) walk.losses.push_back(e.train_loss);
  return walk;
}

TEST(NextItems, CutsHistoriesAndLooksBehindBaskets) {
  // A user of three baskets, one without purchases, one of a single basket, one of two.
  const History history = history_of({{{4, 2}, {1, 4, 4}, {5}}, {}, {{0, 1}}, {{3}, {6}}});
  const NextItems next = next_items(history, 7, 4, 3);
  EXPECT_EQ(next.offsets, (std::vector<int64_t>{0, 2, 6, 8}));  // 2 + 4, and 2: the single basket foresees nothing
  EXPECT_EQ(next.items, (std::vector<int32_t>{4, 2, 1, 4, 4, 5, 3, 6}));
  EXPECT_EQ(next.users, (std::vector<int32_t>{0, 0, 3}));
  EXPECT_EQ(next.queries, (std::vector<int32_t>{1, 4, 6}));
  EXPECT_EQ(next.targets.row_offsets, (std::vector<int64_t>{0, 2, 3, 4}));
  EXPECT_EQ(next.targets.columns, (std::vector<int32_t>{1, 4, 5, 6}));
  EXPECT_EQ(next.targets.values, (std::vector<float>{1.0f / 3, 2.0f / 3, 1, 1}));
  const NextItems some = stretches_of(next, {2, 0});
  EXPECT_EQ(some.offsets, (std::vector<int64_t>{0, 2, 4}));
  EXPECT_EQ(some.items, (std::vector<int32_t>{3, 6, 4, 2}));
  EXPECT_EQ(some.users, (std::vector<int32_t>{3, 0}));
  EXPECT_EQ(some.queries, (std::vector<int32_t>{0, 3}));
  EXPECT_EQ(some.targets.columns, (std::vector<int32_t>{6, 1, 4}));
  EXPECT_EQ(some.targets.row_offsets, (std::vector<int64_t>{0, 1, 3}));
}

class SequenceModelTest : public test::OpTest {};

TEST_P(SequenceModelTest, LearnsAnOrderThatPopularityCannotKnow) {
  const History history = history_of(walks(20, 9));
  for (const std::string name : kSequenceModels) {
    for (const char* loss : {"softmax", "sampled_softmax"}) {
      SCOPED_TRACE(name + ", " + loss);
      SettingValues settings = walk_settings(name);
      settings["model.loss"] = std::string(loss);
      const Walk walk = walked(context(), name, settings, history);
      EXPECT_LT(walk.losses.back(), 0.3 * walk.losses.front());
      const std::unique_ptr<Scorer> scorer = walk.model->scorer(context());
      const std::vector<int32_t> top = top_items(context(), *scorer, nullptr, 1).items.to_host();
      for (int64_t u = 0; u < 20; ++u) {
        EXPECT_EQ(top[static_cast<size_t>(u)], (u + 3 * 9) % kWalkItems) << "user " << u;
      }
      // People that the model never saw, on the same walks: what comes next follows from the last purchase.
      const History strangers = history_of(walks(7, 5));
      const Queries queries(context(), bought(strangers, kWalkItems), strangers);
      const std::vector<int32_t> next = scorer->top_k(context(), queries, 1).items.to_host();
      for (int64_t u = 0; u < 7; ++u) {
        EXPECT_EQ(next[static_cast<size_t>(u)], (u + 3 * 5) % kWalkItems) << "stranger " << u;
      }
    }
  }
}

TEST_P(SequenceModelTest, TheSeedAloneDecidesTheBits) {
  const History history = history_of(walks(12, 6));
  for (const std::string name : kSequenceModels) {
    for (const char* loss : {"softmax", "sampled_softmax"}) {
      SCOPED_TRACE(name + ", " + loss);
      SettingValues settings = walk_settings(name);
      settings["model.loss"] = std::string(loss);
      settings["model.epochs"] = int64_t{2};
      const auto bits = [&](int threads, uint64_t seed) {
        return test::float_values(*walked(*make_context(threads), name, settings, history, seed).model);
      };
      const std::vector<float> one = bits(1, 1);
      EXPECT_TRUE(test::same_bits(bits(3, 1), one));
      EXPECT_FALSE(test::same_bits(bits(1, 2), one));
    }
  }
}

TEST_P(SequenceModelTest, OnlyTheNewestPurchasesCount) {
  for (const std::string name : kSequenceModels) {
    SCOPED_TRACE(name);
    SettingValues settings = walk_settings(name);
    settings["model.epochs"] = int64_t{2};
    settings[name + ".max_length"] = int64_t{3};
    const Walk walk = walked(context(), name, settings, history_of(walks(12, 6)));
    const std::unique_ptr<Scorer> scorer = walk.model->scorer(context());
    const History people = history_of({{{1}, {2}, {3}, {4}}, {{6}, {2}, {3}, {4}}, {{2}, {1}, {4}}});
    const Queries queries(context(), bought(people, kWalkItems), people);
    const std::vector<float> scores = pair_scores(context(), *scorer, queries, {0, 1, 2, 0, 1, 2, 0, 1, 2}, 3);
    float other = 0;
    for (size_t i = 0; i < 3; ++i) {
      // The same but for the order of roundings in rows of one matrix product.
      EXPECT_NEAR(scores[i], scores[3 + i], 1e-5);
      other = std::max(other, std::abs(scores[i] - scores[6 + i]));
    }
    EXPECT_GT(other, 1e-3f);
  }
}

// What a history of max_length does not tell is in the user's own vector.
TEST_P(SequenceModelTest, UsersOfTheSamePurchasesDifferByTheirVectors) {
  const History history = history_of({{{1}, {2}, {3}}, {{4}, {2}, {3}}, {{1}, {2}, {3}}});
  for (const std::string name : kSequenceModels) {
    for (const bool user_vectors : {false, true}) {
      SCOPED_TRACE(testing::Message() << name << ", user vectors " << user_vectors);
      SettingValues settings = walk_settings(name);
      settings["model.epochs"] = int64_t{2};
      settings[name + ".user_vectors"] = user_vectors;
      const Walk walk = walked(context(), name, settings, history);
      const std::vector<float> users = walk.model->user_vectors(context()).values.to_host();
      const auto difference = [&](size_t a, size_t b) {
        float largest = 0;
        for (size_t c = 0; c < 16; ++c) largest = std::max(largest, std::abs(users[16 * a + c] - users[16 * b + c]));
        return largest;
      };
      // The same but for the order of roundings in rows of one matrix product.
      if (user_vectors) {
        EXPECT_GT(difference(0, 2), 1e-3f);
      } else {
        EXPECT_LT(difference(0, 2), 1e-5f);
      }
      EXPECT_GT(difference(0, 1), 1e-3f);
    }
  }
}

TEST_P(SequenceModelTest, RefusesWhatCannotBe) {
  const History good = history_of({{{1}, {2}}, {{3}, {4}}});
  for (const std::string name : kSequenceModels) {
    SCOPED_TRACE(name);
    const auto refused = [&](const History& history, const std::string& key, const SettingValue& value) {
      SettingValues settings = walk_settings(name);
      settings[key] = value;
      walked(context(), name, settings, history);
    };
    EXPECT_THROW(refused(good, "model.loss", std::string("bpr")), UsageError);
    EXPECT_THROW(refused(good, name + ".horizon", int64_t{0}), UsageError);
    EXPECT_THROW(refused(good, name + ".batch", int64_t{0}), UsageError);
    EXPECT_THROW(refused(good, name + ".layers", int64_t{0}), UsageError);
    EXPECT_THROW(refused(good, name + ".max_length", int64_t{0}), UsageError);
    if (name == "sasrec") {
      EXPECT_THROW(refused(good, "sasrec.heads", int64_t{3}), UsageError);
    }
    EXPECT_THROW(refused(history_of({{{1, 2}}, {{3}}}), "model.patience", int64_t{0}), DataError);
    Purchases other = purchases_of(good);
    other.train_history = {};
    const Catalog items = test::plain_catalog(kWalkItems);
    EXPECT_THROW(make_recommender(name)->fit(context(), {.n_users = 2, .catalog = items, .purchases = other}, {}),
                 UsageError);
  }
  Layers none;
  none.push_back(std::make_unique<Gru>(context(), "", 4, 4));
  EXPECT_THROW(SequenceNetwork(context(), {.max_length = 0}, 4, std::make_unique<Sequential>(std::move(none))),
               UsageError);
}

// Small inputs leave the gates where they begin: the state is a mean in which each step fades by z.
TEST_P(SequenceModelTest, ARecurrentLayerBeginsAsAFadingMean) {
  constexpr int64_t kRows = 6, kDim = 3;
  const Buffer<int64_t> offsets(context(), std::vector<int64_t>{0, kRows});
  const std::vector<float> inputs = test::random_floats(kRows * kDim, 9, -1e-3f, 1e-3f);
  Buffer<float> x(context(), inputs), out(context(), kRows * kDim);
  const auto states_of = [&](Layer& layer) {
    Initialiser from{.seed = 5};
    layer.initialise(from);
    ScratchScope scratch(context());
    Pass pass(context(), scratch, {}, {offsets.view(), kRows});
    layer.forward(pass, x.matrix(kRows, kDim), out.matrix(kRows, kDim));
    return out.to_host();
  };
  const double fades = 1.0 / (1.0 + std::exp(-4.0));
  const auto expect_mean = [&](const std::vector<float>& states, double scale) {
    for (int64_t c = 0; c < kDim; ++c) {
      double mean = 0;
      for (int64_t r = 0; r < kRows; ++r) {
        mean = fades * mean + (1.0 - fades) * static_cast<double>(inputs[static_cast<size_t>(r * kDim + c)]);
        // Gates move by up to a share of 1e-3, six times.
        EXPECT_NEAR(states[static_cast<size_t>(r * kDim + c)], scale * mean, 1e-2 * 1e-3 * (1.0 - fades) * kRows);
      }
    }
  };
  Gru gru(context(), "", kDim, kDim);
  expect_mean(states_of(gru), 1.0);
  Lstm lstm(context(), "", kDim, kDim);
  expect_mean(states_of(lstm), 0.5);
}

SHEAF_ON_EVERY_BACKEND(SequenceModelTest);

}  // namespace
}  // namespace sheaf
