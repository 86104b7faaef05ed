#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "engine/scoring/blend_scorer.hpp"
#include "engine/scoring/item_scorer.hpp"
#include "engine/scoring/linear_scorer.hpp"
#include "engine/scoring/network_scorer.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"

namespace sheaf {
namespace {

constexpr int64_t kUsers = 5, kItems = 30, kDim = 3;

class ScorersTest : public test::OpTest {
 protected:
  std::shared_ptr<LinearScorer> linear(int64_t n_items = kItems) {
    LinearParts parts{.n_users = kUsers, .n_items = n_items, .dim = kDim};
    parts.users = Buffer<float>(context(), test::random_floats(kUsers * kDim, 1));
    parts.items = Buffer<float>(context(), test::random_floats(n_items * kDim, 2));
    parts.user_bias = Buffer<float>(context(), test::random_floats(kUsers, 3));
    return std::make_shared<LinearScorer>(context(), std::move(parts));
  }
  HostCsr purchases(uint32_t seed) {
    HostCsr csr = test::engine_csr(test::random_csr(kUsers, kItems, 6, seed, true));
    return csr;
  }
  std::vector<float> all(const Scorer& scorer, const Queries& queries) {
    Buffer<float> scores(context(), queries.n() * kItems);
    scorer.all_scores(context(), queries, 0, scores.matrix(queries.n(), kItems));
    return scores.to_host();
  }
  Queries everyone() { return Queries::everyone(context(), kUsers); }
};

TEST_P(ScorersTest, ABlendIsTheWeightedSum) {
  const auto one = linear();
  const auto other = std::make_shared<ItemScorer>(context(), purchases(4),
                                                  ItemSimilarity{.n_items = kItems, .sparse = {}, .dense = {}});
  const BlendScorer blend({{one, 0.75f}, {other, -2.0f}});
  const std::vector<float> a = all(*one, everyone()), b = all(*other, everyone()), sum = all(blend, everyone());
  std::vector<int32_t> items;
  for (int64_t u = 0; u < kUsers; ++u) items.insert(items.end(), {3, static_cast<int32_t>(u)});
  const std::vector<float> pairs = pair_scores(context(), blend, everyone(), items, 2);
  for (size_t i = 0; i < sum.size(); ++i) {
    const double expected = 0.75 * static_cast<double>(a[i]) - 2.0 * static_cast<double>(b[i]);
    EXPECT_NEAR(sum[i], expected, 8 * test::kRound * (std::abs(a[i]) + 2 * std::abs(b[i])));
  }
  for (size_t p = 0; p < pairs.size(); ++p) {
    const size_t at = p / 2 * kItems + static_cast<size_t>(items[p]);
    EXPECT_NEAR(pairs[p], sum[at], 16 * test::kRound * (std::abs(a[at]) + 2 * std::abs(b[at])));
  }
  EXPECT_THROW(BlendScorer({}), UsageError);
  EXPECT_THROW(BlendScorer({{one, 1.0f}, {linear(kItems + 1), 1.0f}}), UsageError);
}

TEST_P(ScorersTest, SparseAndDenseSimilaritiesAgree) {
  const HostCsr weights = purchases(5), similarity = test::engine_csr(test::random_csr(kItems, kItems, 9, 6, true));
  std::vector<float> dense(kItems * kItems, 0.0f);
  for (int64_t i = 0; i < kItems; ++i) {
    for (int64_t e = similarity.row_offsets[static_cast<size_t>(i)];
         e < similarity.row_offsets[static_cast<size_t>(i) + 1]; ++e) {
      dense[static_cast<size_t>(i * kItems + similarity.columns[static_cast<size_t>(e)])] =
          similarity.values[static_cast<size_t>(e)];
    }
  }
  const ItemScorer one(context(), weights,
                       {.n_items = kItems, .sparse = sheaf::DeviceCsr(context(), similarity), .dense = {}});
  const ItemScorer other(context(), weights,
                         {.n_items = kItems, .sparse = {}, .dense = Buffer<float>(context(), dense)});
  const std::vector<float> a = all(one, everyone()), b = all(other, everyone());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 32 * test::kRound * 8);
  // A user's own purchases, given as a stranger's, score the same.
  const Queries strangers(context(), weights);
  EXPECT_EQ(all(one, strangers), a);
  // A bias of the items stands on top.
  const std::vector<float> bias = test::random_floats(kItems, 7);
  const ItemScorer biased(context(), weights, {.n_items = kItems, .sparse = {}, .dense = {}}, bias);
  const std::vector<float> with_bias = all(biased, everyone());
  for (int64_t u = 0; u < kUsers; ++u) {
    for (int32_t i = 0; i < kItems; ++i) {
      if (weights.contains(u, i)) continue;
      EXPECT_EQ(with_bias[static_cast<size_t>(u * kItems + i)], bias[static_cast<size_t>(i)]);
    }
  }
  EXPECT_THROW(
      ItemScorer(context(), weights, {.n_items = kItems, .sparse = {}, .dense = Buffer<float>(context(), dense)}, bias),
      UsageError);
}

TEST_P(ScorersTest, ANetworkRefusesWhatDoesNotFit) {
  const auto parts = [&](int64_t n_in, int64_t n_out, bool retrieval) {
    NetworkParts p{.n_users = kUsers, .n_items = kItems, .dim = kDim};
    p.users = Buffer<float>(context(), test::random_floats(kUsers * kDim, 1));
    p.items = Buffer<float>(context(), test::random_floats(kItems * kDim, 2));
    p.layers.push_back({n_in, n_out, Buffer<float>(context(), test::random_floats(n_in * n_out, 3)),
                        Buffer<float>(context(), test::random_floats(n_out, 4))});
    if (retrieval) p.retrieval = linear();
    return p;
  };
  EXPECT_NO_THROW(NetworkScorer(context(), parts(2 * kDim, 1, true)));
  EXPECT_THROW(NetworkScorer(context(), parts(kDim, 1, true)), UsageError);
  EXPECT_THROW(NetworkScorer(context(), parts(2 * kDim, 2, true)), UsageError);
  EXPECT_THROW(NetworkScorer(context(), parts(2 * kDim, 1, false)), UsageError);
  const NetworkScorer network(context(), parts(2 * kDim, 1, true));
  const Queries strangers(context(), purchases(8));
  EXPECT_THROW(network.top_k(context(), strangers, 3, {}), UsageError);
  EXPECT_THROW(linear()->top_k(context(), strangers, 3, {}), UsageError);
}

TEST_P(ScorersTest, ANetworkIsItsFormula) {
  // x = [e_u, e_i], then one layer with ReLU and one without. Small whole numbers: every sum is exact.
  constexpr int64_t kHidden = 4;
  const auto whole = [](int64_t n, uint32_t seed) {
    std::vector<float> values = test::random_floats(n, seed);
    for (float& value : values) value = std::nearbyint(3.0f * value);
    return values;
  };
  const std::vector<float> users = whole(kUsers * kDim, 1), items = whole(kItems * kDim, 2),
                           w1 = whole(kHidden * 2 * kDim, 3), b1 = whole(kHidden, 4), w2 = whole(kHidden, 5);
  NetworkParts parts{.n_users = kUsers, .n_items = kItems, .dim = kDim};
  parts.users = Buffer<float>(context(), users);
  parts.items = Buffer<float>(context(), items);
  parts.layers.push_back({2 * kDim, kHidden, Buffer<float>(context(), w1), Buffer<float>(context(), b1)});
  parts.layers.push_back(
      {kHidden, 1, Buffer<float>(context(), w2), Buffer<float>(context(), std::vector<float>{-7.0f})});
  parts.retrieval = linear();
  const std::vector<float> scores = all(NetworkScorer(context(), std::move(parts)), everyone());
  int64_t n_cut = 0, n_below_zero = 0;
  for (size_t u = 0; u < kUsers; ++u) {
    for (size_t i = 0; i < kItems; ++i) {
      float expected = -7.0f;
      for (size_t h = 0; h < kHidden; ++h) {
        float sum = b1[h];
        for (size_t d = 0; d < kDim; ++d) {
          sum += w1[h * 2 * kDim + d] * users[u * kDim + d] + w1[h * 2 * kDim + kDim + d] * items[i * kDim + d];
        }
        n_cut += sum < 0.0f ? 1 : 0;
        expected += w2[h] * std::max(0.0f, sum);
      }
      n_below_zero += expected < 0.0f ? 1 : 0;
      EXPECT_EQ(scores[u * kItems + i], expected) << "user " << u << ", item " << i;
    }
  }
  EXPECT_GT(n_cut, 0) << "the ReLU of the first layer is seen";
  EXPECT_GT(n_below_zero, 0) << "that the last has none is seen";
}

TEST_P(ScorersTest, ListsDoNotDependOnTheTiles) {
  const auto scorer = std::make_shared<BlendScorer>(std::vector<BlendScorer::Member>{{linear(), 1.0f}});
  const sheaf::DeviceCsr seen(context(), purchases(11));  // other items of each query
  const Queries queries(context(), std::vector<int32_t>{4, 0, 3, 1, 2});
  const auto lists = [&] {
    const TopLists top = scorer->top_k(context(), queries, 7, {.of_query = &seen});
    return std::pair(top.items.to_host(), top.scores.to_host());
  };
  const auto whole = lists();
  const std::vector<float> mean = scorer->mean_probability(context(), queries);
  for (const int64_t n_queries : {1, 2, 4}) {
    scorer->tile_scores = n_queries * kItems;
    EXPECT_EQ(lists(), whole) << n_queries << " queries a tile";
    EXPECT_EQ(scorer->mean_probability(context(), queries), mean) << n_queries << " queries a tile";
  }
  for (int64_t q = 0; q < kUsers; ++q) {
    for (int64_t place = 0; place < 7; ++place) {
      EXPECT_FALSE(purchases(11).contains(q, whole.first[static_cast<size_t>(q * 7 + place)])) << "query " << q;
    }
  }
}

TEST_P(ScorersTest, WhatDoesNotFitIsRefused) {
  LinearParts parts{.n_users = kUsers, .n_items = kItems, .dim = kDim};
  parts.users = Buffer<float>(context(), test::random_floats(kUsers * kDim, 1));
  parts.items = Buffer<float>(context(), test::random_floats(kItems * kDim, 2));
  parts.item_bias = Buffer<float>(context(), test::random_floats(kItems - 1, 3));
  EXPECT_THROW(LinearScorer(context(), std::move(parts)), UsageError);
  const sheaf::DeviceCsr seen(context(), purchases(4));
  const std::vector<int32_t> forbidden{1};
  EXPECT_THROW(linear()->top_k(context(), everyone(), 3, {.of_query = &seen, .everywhere = forbidden}), UsageError);
}

TEST_P(ScorersTest, PeopleNeedAHistoryEach) {
  History one;
  one.offsets = {0, 1};
  one.items = {3};
  EXPECT_THROW(Queries(context(), purchases(9), one), UsageError);
}

SHEAF_ON_EVERY_BACKEND(ScorersTest);

}  // namespace
}  // namespace sheaf
