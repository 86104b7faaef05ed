// Every number that a person reads, against the same number computed here another way.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "engine/scoring/calibration.hpp"
#include "host/app/bundle_quality.hpp"
#include "host/app/joint.hpp"
#include "host/app/quality.hpp"
#include "host/app/search_setup.hpp"
#include "host/app/searches.hpp"
#include "tests/host/shop.hpp"

namespace sheaf::app {
namespace {

/// The shop with other prices and a test period: the last two weeks of the four.
data::Prepared priced_shop() {
  data::Prepared shop = weekly_shop(data::kValidation);
  for (size_t i = 0; i < shop.item_price.size(); ++i) shop.item_price[i] = 1.0f + 0.75f * static_cast<float>(i);
  for (size_t line = 0; line < shop.split.size(); ++line) {
    if (shop.timestamp[line] >= int64_t{7 * 86400} * 58) shop.split[line] = data::kTest;
  }
  return shop;
}

struct PricedRun {
  explicit PricedRun(const config::Config& config) : session(context, config, priced_shop()) { train_model(session); }
  Context context;
  Session session;
};

/// P(at least two of independent events), by all subsets.
double at_least_two_by_subsets(const std::vector<double>& p) {
  double sum = 0.0;
  for (size_t set = 0; set < size_t{1} << p.size(); ++set) {
    if (std::popcount(set) < 2) continue;
    double chance = 1.0;
    for (size_t i = 0; i < p.size(); ++i) chance *= (set >> i & 1) != 0 ? p[i] : 1.0 - p[i];
    sum += chance;
  }
  return sum;
}

TEST(Numbers, AtLeastTwoIsTheSumOverSubsets) {
  for (const auto& p : {std::vector<double>{}, {0.4}, {0.5, 0.25}, {0.9, 0.1, 0.3}, {0.2, 0.7, 1.0, 0.0, 0.6}}) {
    EXPECT_NEAR(at_least_two(p), at_least_two_by_subsets(p), 1e-12);
  }
}

TEST(Numbers, OffersOfTheAffinityAreWhatTheirFormulasSay) {
  config::Config config = quick();
  config.search.objective = "affinity";
  config.discount.min = 0.05;
  config.discount.max = 0.25;
  const PricedRun run(config);
  const Session& session = run.session;
  const CatalogSearch found = search_catalog(session);
  ASSERT_GT(found.offers.size(), 2u);
  const PairCounts& counts = session.pair_counts();
  const auto bought_with = [&](int32_t i, int32_t j) {
    double baskets = 0;
    const HostCsr& all = session.purchases.train_baskets;
    for (int64_t b = 0; b < all.n_rows(); ++b) baskets += all.contains(b, i) && all.contains(b, j) ? 1 : 0;
    return baskets;
  };
  for (const Offer& offer : found.offers) {
    const std::vector<int32_t>& items = offer.bundle.items;
    double price = 0, lift = 0, cosine = 0, pairs = 0;
    for (size_t a = 0; a < items.size(); ++a) {
      price += 1.0 + 0.75 * items[a];
      for (size_t b = 0; b < a; ++b) {
        const double both = bought_with(items[a], items[b]);
        const double one = bought_with(items[a], items[a]), other = bought_with(items[b], items[b]);
        const double counted = both >= 2 ? both : 0;  // associate.min_count
        lift += counted * static_cast<double>(counts.n_baskets) / (one * other);
        cosine += counted / std::sqrt(one * other);
        ++pairs;
      }
    }
    lift /= pairs;
    EXPECT_NEAR(offer.price, price, 1e-6);
    EXPECT_NEAR(offer.lift, lift, 1e-9);
    EXPECT_NEAR(offer.cohesion, cosine / pairs, 1e-9);
    // Whole percents between the two settings: less where the items are bought together anyway.
    const double discount = std::round(100 * (0.05 + 0.2 / std::max(1.0, lift))) / 100;
    EXPECT_NEAR(offer.discount, discount, 1e-9);
    EXPECT_NEAR(offer.offer_price, std::round(100 * price * (1 - discount)) / 100, 1e-9);
    // The audience: users who buy at least two of the items, by the model's chances.
    double audience = 0;
    std::vector<std::pair<double, int32_t>> likely;
    for (int32_t u = 0; u < 12; ++u) {
      const double buys = at_least_two_by_subsets(pair_probabilities(
          session.context(), session.scorer(), Queries(session.context(), {u}), items, std::ssize(items)));
      audience += buys;
      likely.emplace_back(-buys, u);
    }
    EXPECT_NEAR(offer.audience, audience, 1e-5 * audience);
    EXPECT_NEAR(offer.expected_value, audience * offer.offer_price, 1e-5 * offer.expected_value);
    EXPECT_TRUE(std::isnan(offer.expected_baskets));
    std::ranges::sort(likely);
    ASSERT_EQ(offer.users.size(), 3u);
    EXPECT_EQ(offer.users.front(), likely.front().second);
  }
}

TEST(Numbers, ExpectedBasketsAreTheUsersTogether) {
  const PricedRun run(quick());
  const JointModel& joint = run.session.joint();
  const CatalogSearch found = search_catalog(run.session);
  ASSERT_FALSE(found.offers.empty());
  for (const Offer& offer : found.offers) {
    const std::vector<int32_t>& items = offer.bundle.items;
    double baskets = 0, audience = 0;
    for (int32_t u = 0; u < 12; ++u) {
      const std::vector<float> scores = pair_scores(run.session.context(), run.session.scorer(),
                                                    Queries(run.session.context(), {u}), items, std::ssize(items));
      std::vector<double> chances;
      for (size_t m = 0; m < items.size(); ++m) {
        const auto row = joint.chances.own.row(u);
        const auto at = std::ranges::find(row, items[m]);
        const auto first = static_cast<size_t>(joint.chances.own.row_offsets[static_cast<size_t>(u)]);
        chances.push_back(
            at == row.end()
                ? joint.chances.new_item.of(static_cast<double>(scores[m]))
                : static_cast<double>(joint.chances.own.values[first + static_cast<size_t>(at - row.begin())]));
      }
      const double chance = joint.at_least_two(items, chances);
      const auto expected = static_cast<double>(joint.chances.expected_baskets[static_cast<size_t>(u)]);
      baskets += expected * chance;
      audience += 1.0 - std::pow(1.0 - chance, expected);  // at least one of so many baskets
    }
    EXPECT_NEAR(offer.expected_baskets, baskets, 1e-5 * baskets);
    EXPECT_NEAR(offer.audience, audience, 1e-5 * audience);
    EXPECT_NEAR(offer.expected_value, baskets * offer.offer_price, 1e-5 * offer.expected_value);
  }
}

TEST(Numbers, TheBalancedSampleIsMeasuredByTheDefinitions) {
  config::Config config = quick();
  config.run.seed = 5;
  const PricedRun run(config);
  const Quality quality = evaluate(run.session, {});
  const LabelledPairs pairs = draw_pairs(run.session.purchases.test, 1, 5);
  const std::vector<float> scores = scores_of(run.session.context(), run.session.scorer(), pairs);
  const Calibration& c = run.session.scorer().calibration;
  std::vector<double> p;
  double right = 0, log_loss = 0, brier = 0, above = 0, compared = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    // Re-based to as many drawn as bought items.
    const double z = c.slope * static_cast<double>(scores[i]) + c.offset + std::log(pairs.negatives_per_positive);
    p.push_back(1 / (1 + std::exp(-z)));
    const double label = pairs.labels[i];
    right += (p[i] >= 0.5) == (label == 1) ? 1 : 0;
    log_loss -= label == 1 ? std::log(p[i]) : std::log1p(-p[i]);
    brier += (p[i] - label) * (p[i] - label);
  }
  for (size_t i = 0; i < p.size(); ++i) {
    for (size_t j = 0; j < p.size(); ++j) {
      if (pairs.labels[i] != 1 || pairs.labels[j] != 0) continue;
      above += p[i] > p[j] ? 1.0 : p[i] == p[j] ? 0.5 : 0.0;
      ++compared;
    }
  }
  const auto n = static_cast<double>(p.size());
  EXPECT_EQ(quality.n_pairs, static_cast<int64_t>(p.size()));
  ASSERT_GT(n, 40);
  EXPECT_NEAR(quality.accuracy, right / n, 1e-9);
  EXPECT_NEAR(quality.auc, above / compared, 2e-3);  // floats may tie where doubles do not
  EXPECT_NEAR(quality.log_loss, log_loss / n, 1e-5);
  EXPECT_NEAR(quality.brier, brier / n, 1e-5);
  EXPECT_GT(std::abs(quality.accuracy - quality.auc), 1e-3);  // two numbers, not one twice
  int64_t bought = 0, drawn = 0;
  for (const int64_t count : quality.preference_histogram) bought += count;
  for (const int64_t count : quality.other_histogram) drawn += count;
  EXPECT_EQ(bought, std::ranges::count(pairs.labels, 1));
  EXPECT_EQ(drawn, std::ranges::count(pairs.labels, 0));
}

TEST(Numbers, RankingsAreOfTheTestPeriodAtEveryLength) {
  config::Config config = quick();
  config.evaluate.k = {1, 3};
  const PricedRun run(config);
  const Quality quality = evaluate(run.session, {});
  ASSERT_EQ(quality.ranked.front().at.size(), 2u);
  const HostCsr& test = run.session.purchases.test;
  for (size_t at = 0; at < 2; ++at) {
    const int64_t k = config.evaluate.k[at];
    const std::vector<int32_t> items =
        top_items(run.session.context(), run.session.scorer(), nullptr, k).items.to_host();
    double recall = 0, ndcg = 0;
    for (int64_t u = 0; u < 12; ++u) {
      const auto size = static_cast<double>(test.row(u).size());
      double hits = 0, gain = 0, ideal = 0;
      for (int64_t r = 0; r < k; ++r) {
        const bool hit = test.contains(u, items[static_cast<size_t>(u * k + r)]);
        hits += hit ? 1 : 0;
        gain += hit ? 1 / std::log2(static_cast<double>(r) + 2) : 0;
        ideal += static_cast<double>(r) < size ? 1 / std::log2(static_cast<double>(r) + 2) : 0;
      }
      recall += hits / size / 12;
      ndcg += gain / ideal / 12;
    }
    EXPECT_EQ(quality.ranked.front().at[at].k, k);
    EXPECT_NEAR(quality.ranked.front().at[at].recall, recall, 1e-6) << k;
    EXPECT_NEAR(quality.ranked.front().at[at].ndcg, ndcg, 1e-6) << k;
  }
}

TEST(Numbers, PurchasesWeighByTheirAge) {
  data::Prepared shop = priced_shop();
  const Purchases plain = make_purchases(shop, 0.0), recent = make_purchases(shop, 100.0);
  int64_t last = 0;
  for (size_t i = 0; i < shop.user.size(); ++i) {
    if (shop.split[i] == data::kTrain) last = std::max(last, shop.timestamp[i]);
  }
  for (int64_t u = 0; u < 12; ++u) {
    const auto row = recent.train.row(u);
    for (size_t e = 0; e < row.size(); ++e) {
      double lines = 0, weight = 0;
      for (size_t i = 0; i < shop.user.size(); ++i) {
        if (shop.split[i] != data::kTrain || shop.user[i] != u || shop.item[i] != row[e]) continue;
        ++lines;
        weight += std::exp(-static_cast<double>(last - shop.timestamp[i]) / 86400.0 / 100.0);
      }
      const auto at = static_cast<size_t>(recent.train.row_offsets[static_cast<size_t>(u)]) + e;
      EXPECT_NEAR(static_cast<double>(recent.train.values[at]), weight, 1e-5 * weight);
      EXPECT_EQ(static_cast<double>(plain.train.values[at]), lines);
      EXPECT_EQ(static_cast<double>(recent.train_counts.values[at]), lines);
    }
  }
}

TEST(Numbers, ReasonsCountThePurchasesAndNameTheBestPartner) {
  const PricedRun run(quick());
  const Bundle bundle = search_users(run.session, {4}).bundles.front();
  const std::vector<Reason> reasons = reasons_of(run.session, bundle);
  ASSERT_EQ(reasons.size(), bundle.items.size());
  const PairCounts& counts = run.session.pair_counts();
  for (size_t m = 0; m < bundle.items.size(); ++m) {
    int64_t lines = 0;
    const data::Prepared& shop = run.session.prepared;
    for (size_t i = 0; i < shop.user.size(); ++i) {
      lines += shop.split[i] == data::kTrain && shop.user[i] == 4 && shop.item[i] == bundle.items[m] ? 1 : 0;
    }
    EXPECT_EQ(reasons[m].bought, lines);
    double best = 1.0;
    for (const int32_t other : bundle.items) {
      if (other != bundle.items[m])
        best = std::max(best, counts.measure(association::Measure::lift, bundle.items[m], other));
    }
    EXPECT_EQ(reasons[m].lift, best > 1.0 ? best : 0.0);
    EXPECT_EQ(reasons[m].partner >= 0, best > 1.0);
  }
}

TEST(Numbers, SearchSettingsReachTheSearch) {
  config::Config config = quick();
  config.search.candidates = 7;
  config.search.min_size = 2;
  config.search.max_size = 3;
  config.search.budget = 12.5;
  config.search.must_have = {"i3"};
  config.search.forbidden = {"i5", "i1"};
  config.search.weight_preference = 0.5;
  config.search.weight_revenue = 0.25;
  config.search.local_searches = 4;
  config.run.seed = 77;
  const SearchParams params = search_params(priced_shop(), config);
  EXPECT_EQ(params.candidates, 7);
  EXPECT_EQ(params.min_size, 2);
  EXPECT_EQ(params.max_size, 3);
  EXPECT_EQ(params.budget, 12.5);
  EXPECT_EQ(params.min_categories, 1);
  EXPECT_EQ(params.must_have, std::vector<int32_t>{3});
  EXPECT_EQ(params.forbidden, (std::vector<int32_t>{5, 1}));
  EXPECT_EQ(params.weight_association, 1.0f);
  EXPECT_EQ(params.weight_preference, 0.5f);
  EXPECT_EQ(params.weight_revenue, 0.25f);
  EXPECT_EQ(params.search.local_searches, 4);
  EXPECT_EQ(params.search.seed, 77u);
}

}  // namespace
}  // namespace sheaf::app
