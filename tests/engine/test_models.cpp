// What holds for every model of the registry: a new one is tested here by its line in the registry alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "engine/evaluate/ranking_eval.hpp"
#include "engine/models/pair_model.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/model_data.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

using test::Planted;

constexpr int64_t kUsers = Planted::n_users, kItems = Planted::n_items;

std::vector<int32_t> all_items(int64_t n_queries) {
  std::vector<int32_t> items;
  for (int64_t q = 0; q < n_queries; ++q) {
    for (int32_t i = 0; i < kItems; ++i) items.push_back(i);
  }
  return items;
}

class ModelsTest : public test::OpTest {
 protected:
  std::unique_ptr<Recommender> fitted(Context& where, std::string_view name, const FitOptions& options = {}) {
    std::unique_ptr<Recommender> model = test::quick_model(name);
    report_ = model->fit(where, data_.view(), options);
    return model;
  }
  std::unique_ptr<Recommender> fitted(std::string_view name) { return fitted(context(), name); }

  test::ModelData data_;
  FitReport report_;
};

TEST_P(ModelsTest, NamesSettingsAndHelpAreThere) {
  std::set<std::string> names, sections;
  for (const auto& model : all_recommenders()) {
    EXPECT_TRUE(names.insert(std::string(model->name())).second) << model->name();
    EXPECT_FALSE(model->about().empty()) << model->name();
    for (const SettingGroup& group : model->settings()) {
      for (const Setting& setting : group.settings) {
        EXPECT_FALSE(setting.help.empty()) << group.section << "." << setting.name;
        // The usual value is valid.
        EXPECT_NO_THROW(apply_settings({{group.section, {setting}}}, values_of({{group.section, {setting}}})));
      }
    }
  }
}

TEST_P(ModelsTest, LearnsTheTastes) {
  for (const std::string& name : model_names()) {
    const auto model = test::quick_model(name);
    apply_settings(model->settings(), {{"model.epochs", int64_t{40}}, {"model.learning_rate", 0.02}});
    report_ = model->fit(context(), data_.view(), {});
    EXPECT_EQ(model->n_users(), kUsers);
    EXPECT_EQ(model->n_items(), kItems);
    ASSERT_FALSE(report_.epochs.empty()) << name;
    EXPECT_TRUE(report_.epochs[static_cast<size_t>(report_.best_epoch - 1)].best) << name;
    // Items of the user's taste stand before the others: all but the additive model can know it.
    const TopLists lists = top_items(context(), *model->scorer(context()), nullptr, 5);
    const std::vector<int32_t> items = lists.items.to_host();
    int64_t right = 0;
    for (size_t at = 0; at < items.size(); ++at) right += items[at] % 2 == static_cast<int32_t>(at / 5 % 2) ? 1 : 0;
    if (name != "additive") {
      EXPECT_GT(right, static_cast<int64_t>(items.size()) * 7 / 10) << name;
    }
  }
}

TEST_P(ModelsTest, TheSeedAloneDecidesTheBits) {
  for (const std::string& name : model_names()) {
    const std::vector<float> one = test::float_values(*fitted(*make_context(1), name, {.seed = 5}));
    EXPECT_TRUE(test::same_bits(test::float_values(*fitted(*make_context(3), name, {.seed = 5})), one)) << name;
  }
}

TEST_P(ModelsTest, TensorsGiveBackTheSameModel) {
  for (const std::string& name : model_names()) {
    const auto model = fitted(name);
    auto again = test::quick_model(name);
    again->set_size(kUsers, kItems);
    again->restore(context(), Tensors(model->tensors()));
    EXPECT_TRUE(test::same_bits(test::float_values(*again), test::float_values(*model))) << name;
    const Queries everyone = Queries::everyone(context(), kUsers);
    const auto scores = [&](const Recommender& of) {
      return pair_scores(context(), *of.scorer(context()), everyone, all_items(kUsers), kItems);
    };
    EXPECT_TRUE(test::same_bits(scores(*again), scores(*model))) << name;
    // Without any of the tensors, or with another of another shape, nothing is restored.
    const std::vector<NamedTensor> good = model->tensors();
    for (size_t t = 0; t < good.size(); ++t) {
      std::vector<NamedTensor> lacking = good;
      lacking.erase(lacking.begin() + static_cast<std::ptrdiff_t>(t));
      const bool optional = good[t].name.ends_with(".values");  // a sparse matrix may be a pattern
      const auto restore = [&](std::vector<NamedTensor> tensors) {
        auto other = test::quick_model(name);
        other->set_size(kUsers, kItems);
        other->restore(context(), Tensors(std::move(tensors)));
      };
      if (!optional) {
        EXPECT_THROW(restore(lacking), DataError) << name << " without " << good[t].name;
      }
      std::vector<NamedTensor> longer = good;
      std::visit([](auto& values) { values.push_back({}); }, longer[t].values);
      longer[t].shape.assign(1, longer[t].shape.size() == 1 ? longer[t].shape[0] + 1 : 1);
      EXPECT_THROW(restore(longer), DataError) << name << ", " << good[t].name;
    }
    // A column that is there twice in a row of a sparse matrix.
    for (size_t t = 0; t < good.size(); ++t) {
      if (!good[t].name.ends_with(".columns") || good[t].name.ends_with("item_bags.columns")) continue;
      std::vector<NamedTensor> twice = good;
      auto& columns = std::get<std::vector<int32_t>>(twice[t].values);
      columns[1] = columns[0];
      auto other = test::quick_model(name);
      other->set_size(kUsers, kItems);
      EXPECT_THROW(other->restore(context(), Tensors(twice)), DataError) << name << ", " << good[t].name;
    }
    auto larger = test::quick_model(name);
    larger->set_size(kUsers + 1, kItems);
    EXPECT_THROW(larger->restore(context(), Tensors(good)), DataError) << name;
  }
}

TEST_P(ModelsTest, ScorersAgreeWithThemselves) {
  for (const std::string& name : model_names()) {
    const auto model = fitted(name);
    model->calibration = {0.5, -1.0};
    const auto scorer = calibrated_scorer(context(), *model);
    EXPECT_EQ(scorer->n_users(), kUsers);
    EXPECT_EQ(scorer->n_items(), kItems);
    const std::vector<int32_t> users{7, 0, 33, 7};
    const Queries queries(context(), users);
    const std::vector<float> scores = pair_scores(context(), *scorer, queries, all_items(4), kItems);
    Buffer<float> all(context(), 3 * kItems);
    scorer->all_scores(context(), queries, 1, all.matrix(3, kItems));
    const std::vector<float> tile = all.to_host();
    for (size_t at = 0; at < tile.size(); ++at) {
      // One sum in another order.
      const double score = scores[static_cast<size_t>(kItems) + at];
      EXPECT_NEAR(tile[at], score, 64 * test::kRound * (1.0 + std::abs(score))) << name;
    }
    EXPECT_TRUE(std::equal(scores.begin(), scores.begin() + kItems, scores.begin() + 3 * kItems)) << name;
    // The same items for all queries, few of them.
    const std::vector<int32_t> few{31, 0, 7};
    std::vector<int32_t> repeated;
    for (int q = 0; q < 4; ++q) repeated.insert(repeated.end(), few.begin(), few.end());
    const std::vector<float> common = pair_scores(context(), *scorer, queries, repeated, 3);
    for (size_t at = 0; at < common.size(); ++at) {
      const double score = scores[at / 3 * static_cast<size_t>(kItems) + static_cast<size_t>(few[at % 3])];
      EXPECT_NEAR(common[at], score, 64 * test::kRound * (1.0 + std::abs(score))) << name;
    }
    // Lists hold the best of the scores, without what is excluded.
    HostCsr seen = test::pattern({{0, 1, 2}, {}, {39}, {5}}, kItems);
    const DeviceCsr device_seen(context(), seen);
    const std::vector<int32_t> forbidden{3, 4, 3};
    for (const bool everywhere : {false, true}) {
      const Exclusion exclude = everywhere ? Exclusion{.everywhere = forbidden} : Exclusion{.of_query = &device_seen};
      const std::vector<int32_t> lists = scorer->top_k(context(), queries, 6, exclude).items.to_host();
      for (int64_t q = 0; q < 4; ++q) {
        std::set<int32_t> listed(lists.begin() + q * 6, lists.begin() + (q + 1) * 6);
        ASSERT_EQ(listed.size(), 6u) << name;
        const auto may = [&](int32_t i) { return everywhere ? i != 3 && i != 4 : !seen.contains(q, i); };
        float least = std::numeric_limits<float>::infinity(), best_other = -least;
        for (int32_t i = 0; i < kItems; ++i) {
          const float score = scores[static_cast<size_t>(q * kItems + i)];
          if (listed.contains(i)) {
            EXPECT_TRUE(may(i)) << name << ", item " << i;
            least = std::min(least, score);
          } else if (may(i)) {
            best_other = std::max(best_other, score);
          }
        }
        EXPECT_GE(least, best_other - 1e-5f * (1.0f + std::abs(best_other))) << name;
      }
    }
    // The mean of calibrated probabilities.
    const std::vector<float> mean = scorer->mean_probability(context(), queries);
    for (int64_t i = 0; i < kItems; ++i) {
      double sum = 0.0;
      for (int64_t q = 0; q < 4; ++q) {
        sum += scorer->calibration.probability(static_cast<double>(scores[static_cast<size_t>(q * kItems + i)])) / 4;
      }
      EXPECT_NEAR(mean[static_cast<size_t>(i)], sum, 1e-5) << name;
    }
  }
}

TEST_P(ModelsTest, ScoresPeopleThatItNeverSaw) {
  // Ten buy even items, ten odd ones: what they are offered beside follows the taste.
  std::vector<std::vector<int32_t>> bought;
  for (int32_t p = 0; p < 20; ++p) bought.push_back({p % 2, 2 + p % 2, 6 + p % 2, 10 + p % 2});
  HostCsr purchases = test::pattern(bought, kItems);
  purchases.values.assign(purchases.columns.size(), 1.0f);
  const DeviceCsr seen(context(), purchases);
  for (const std::string& name : model_names()) {
    const auto scorer = fitted(name)->scorer(context());
    const Queries strangers(context(), purchases);
    const std::vector<int32_t> items = scorer->top_k(context(), strangers, 4).items.to_host();
    int64_t right = 0;
    for (size_t at = 0; at < items.size(); ++at) right += items[at] % 2 == static_cast<int32_t>(at / 4 % 2) ? 1 : 0;
    if (name != "additive") {
      EXPECT_GT(right, 50) << name << " of 80";
    }
  }
}

TEST_P(ModelsTest, TakesWhatAnEarlierFitChose) {
  for (const std::string& name : model_names()) {
    fitted(name);
    const std::map<std::string, double> chosen = report_.chosen;
    test::ModelData without;
    std::ranges::fill(without.purchases.validation.row_offsets, 0);
    without.purchases.validation.columns.clear();
    const auto model = test::quick_model(name);
    const FitReport report = model->fit(context(), without.view(), {.chosen = chosen});
    EXPECT_EQ(report.chosen, chosen) << name;
    EXPECT_TRUE(std::isnan(report.epochs.back().validation_ndcg)) << name;
  }
}

TEST_P(ModelsTest, WhereAllOfTheValidationIsMaskedTheUsualIsKept) {
  test::ModelData repeats;  // in the validation everyone buys again what they bought
  repeats.purchases.validation = repeats.purchases.train;
  repeats.purchases.validation.values.clear();
  for (const std::string& name : model_names()) {
    const auto model = test::quick_model(name);
    const FitReport report = model->fit(context(), repeats.view(), {.mask_seen = true});
    ASSERT_GE(report.best_epoch, 1) << name;
    EXPECT_TRUE(report.epochs[static_cast<size_t>(report.best_epoch - 1)].best) << name;
    EXPECT_NO_THROW(top_items(context(), *model->scorer(context()), nullptr, 3)) << name;
    auto again = test::quick_model(name);
    again->set_size(kUsers, kItems);
    EXPECT_NO_THROW(again->restore(context(), Tensors(model->tensors()))) << name;
  }
}

TEST_P(ModelsTest, VectorsAreOfTheModelsSize) {
  for (const std::string& name : model_names()) {
    const auto model = fitted(name);
    const Vectors items = model->item_vectors(context()), users = model->user_vectors(context());
    EXPECT_EQ(items.dim, users.dim) << name;
    if (items.empty()) continue;
    EXPECT_EQ(items.values.size(), kItems * items.dim) << name;
    EXPECT_EQ(users.values.size(), kUsers * users.dim) << name;
  }
}

TEST_P(ModelsTest, AnInterruptEndsIt) {
  for (const std::string& name : model_names()) {
    const auto model = test::quick_model(name);
    request_interrupt();
    EXPECT_THROW(model->fit(context(), data_.view(), {}), Interrupted) << name;
    clear_interrupt();
  }
}

TEST_P(ModelsTest, LongEpochsNameTheLossThatHasShorterOnes) {
  std::vector<std::string> notes;
  FitOptions options{.on_note = [&](const std::string& note) { notes.push_back(note); }, .long_epoch = 0.0};
  fitted(context(), "sasrec", options);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("80 users with all 40 items"), std::string::npos) << notes[0];
  EXPECT_NE(notes[0].find("model.loss = sampled_softmax"), std::string::npos) << notes[0];
  for (const auto& [name, faster] : {std::pair{"lightgcn", "bpr"}, std::pair{"autoencoder", "bce"}}) {
    notes.clear();
    fitted(context(), name, options);
    ASSERT_EQ(notes.size(), 1u) << name;
    EXPECT_NE(notes[0].find(std::string("model.loss = ") + faster), std::string::npos) << notes[0];
  }
  notes.resize(1);
  TrainParams params;
  note_long_epoch(options, 20000, 172888, LossKind::bpr, params);
  params.on_long_epoch(229.6);
  EXPECT_NE(notes[1].find("20000 users with all 172888 items and takes about 230 s; model.loss = bpr"),
            std::string::npos)
      << notes[1];
  notes.clear();
  options.long_epoch = 30.0;
  for (const std::string& name : model_names()) fitted(context(), name, options);
  EXPECT_TRUE(notes.empty());
}

TEST_P(ModelsTest, WithoutPurchasesThereIsNothingToLearn) {
  test::ModelData nothing;
  for (HostCsr* csr : {&nothing.purchases.train, &nothing.purchases.train_counts, &nothing.purchases.train_baskets}) {
    std::ranges::fill(csr->row_offsets, 0);
    csr->columns.clear();
    csr->values.clear();
  }
  std::ranges::fill(nothing.purchases.train_history.offsets, 0);
  nothing.purchases.train_history.items.clear();
  nothing.purchases.train_history.baskets.clear();
  for (const std::string& name : model_names()) {
    EXPECT_THROW(test::quick_model(name)->fit(context(), nothing.view(), {}), DataError) << name;
  }
}

SHEAF_ON_EVERY_BACKEND(ModelsTest);

TEST(Personal, CountsHalfAsMuchAfterAHalfLife) {
  test::ModelData data;
  Context context;
  auto model = make_recommender("personal");
  apply_settings(model->settings(), {{"personal.half_life_days", 10.0}});
  model->fit(context, data.view(), {});
  const Purchases& purchases = data.purchases;
  const int64_t last = *std::ranges::max_element(purchases.train_basket_time);
  std::vector<double> expected(kUsers * kItems, 0.0);
  for (int64_t b = 0; b < purchases.train_baskets.n_rows(); ++b) {
    const double days = static_cast<double>(last - purchases.train_basket_time[static_cast<size_t>(b)]) / 86400;
    for (const int32_t item : purchases.train_baskets.row(b)) {
      expected[static_cast<size_t>(purchases.train_basket_user[static_cast<size_t>(b)] * kItems + item)] +=
          std::pow(0.5, days / 10.0);
    }
  }
  const HostCsr own = Tensors(model->tensors()).csr("own", kUsers, kItems);
  for (int64_t u = 0; u < kUsers; ++u) {
    const auto row = own.row(u);
    for (size_t e = 0; e < row.size(); ++e) {
      const double value = own.values[static_cast<size_t>(own.row_offsets[static_cast<size_t>(u)]) + e];
      EXPECT_NEAR(value, expected[static_cast<size_t>(u * kItems + row[e])], 1e-6) << "user " << u;
    }
  }
}

TEST(Ease, WeightsAreOfTheSetting) {
  test::ModelData data;
  data.purchases.train.values.assign(data.purchases.train.columns.size(), 0.25f);  // recency
  data.purchases.train_counts.values.assign(data.purchases.train.columns.size(), 3.0f);
  const std::pair<const char*, float> cases[]{{"one", 1.0f}, {"log", std::log1p(3.0f)}, {"recency", 0.25f}};
  for (const auto& [weight, value] : cases) {
    Context context;
    auto model = make_recommender("ease");
    apply_settings(model->settings(), {{"ease.weight", std::string(weight)}});
    model->fit(context, data.view(), {});
    const HostCsr learned = Tensors(model->tensors()).csr("purchases", kUsers, kItems);
    EXPECT_EQ(learned.values, std::vector<float>(learned.columns.size(), value)) << weight;
  }
}

TEST(Tensors, AMatrixHasBothItsSizes) {
  const Tensors tensors({{"m", {2, 3}, std::vector<float>(6)}});
  EXPECT_EQ(tensors.matrix("m", 2, 3).size(), 6u);
  EXPECT_THROW(tensors.matrix("m", 2, 2), DataError);
  EXPECT_THROW(tensors.matrix("m", 3, 3), DataError);
}

TEST(Registry, AnUnknownNameGivesTheNearest) {
  const auto hint_of = [](const std::string& name) {
    try {
      make_recommender(name);
    } catch (const UsageError& error) {
      return error.hint();
    }
    return std::string("none");
  };
  EXPECT_NE(hint_of("eas").find("'ease'"), std::string::npos);
  EXPECT_NE(hint_of("Additive").find("'additive'"), std::string::npos);
  EXPECT_NE(hint_of("transformer").find("sasrec"), std::string::npos);
  EXPECT_EQ(hint_of("ease"), "none");
}

TEST(Registry, AnUnknownLossGivesTheNearest) {
  const test::ModelData data;
  Context context;
  auto model = make_recommender("factorization");
  SettingValues settings = test::quick_settings();
  settings["model.loss"] = std::string("sampled_softmax");
  apply_settings(model->settings(), settings);
  try {
    model->fit(context, data.view(), {});
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(error.hint().find("softmax, bpr, bce"), std::string::npos) << error.hint();
  }
  EXPECT_THROW(parse_loss("bse", {LossKind::bpr, LossKind::bce}, "x"), UsageError);
}

TEST(Settings, ValuesOutOfRangeAreRefused) {
  int64_t whole = 3;
  double number = 0.5;
  std::string text = "a";
  const std::vector<SettingGroup> groups{
      {"s", {{"whole", "h", &whole, 1, 5}, {"number", "h", &number, 0.0, 1.0}, {"text", "h", &text, {"a", "b"}}}}};
  apply_settings(groups, {{"s.whole", int64_t{5}}, {"s.number", 1.0}, {"s.text", std::string("b")}, {"t.x", 1.0}});
  EXPECT_EQ(whole, 5);
  EXPECT_EQ(number, 1.0);
  EXPECT_EQ(text, "b");
  EXPECT_THROW(apply_settings(groups, {{"s.whole", int64_t{6}}}), UsageError);
  EXPECT_THROW(apply_settings(groups, {{"s.whole", int64_t{0}}}), UsageError);
  EXPECT_THROW(apply_settings(groups, {{"s.whole", 2.0}}), UsageError);
  EXPECT_THROW(apply_settings(groups, {{"s.number", 1.5}}), UsageError);
  EXPECT_THROW(apply_settings(groups, {{"s.number", -0.5}}), UsageError);
  EXPECT_THROW(apply_settings(groups, {{"s.text", std::string("c")}}), UsageError);
  EXPECT_EQ(std::get<int64_t>(values_of(groups).at("s.whole")), 5);
}

}  // namespace
}  // namespace sheaf
