#include <gtest/gtest.h>

#include <cmath>

#include "engine/evaluate/baselines.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"
#include "tests/reference/recommend.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

constexpr size_t kUsers = 30, kItems = 12;

using Counts = std::vector<std::vector<float>>;

ref::Dense to_double(const Counts& counts) {
  ref::Dense dense;
  for (const auto& row : counts) dense.emplace_back(row.begin(), row.end());
  return dense;
}

/// Whole numbers 1 .. 9 in about a third of the cells; the last item is nobody's.
Counts random_counts(uint32_t seed) {
  const auto drawn = test::random_ints(kUsers * kItems, seed, -18, 9);
  Counts counts(kUsers, std::vector<float>(kItems, 0.0f));
  for (size_t u = 0; u < kUsers; ++u) {
    for (size_t i = 0; i + 1 < kItems; ++i) counts[u][i] = static_cast<float>(std::max(0, drawn[u * kItems + i]));
  }
  return counts;
}

class BaselinesTest : public test::OpTest {
 protected:
  Counts counts_ = random_counts(1);
  HostCsr train_counts_ = test::sparse(counts_);
};

TEST_P(BaselinesTest, PopularityListsEveryoneTheMostBought) {
  std::vector<double> bought(kItems, 0);
  for (const auto& row : counts_) {
    for (size_t i = 0; i < kItems; ++i) bought[i] += static_cast<double>(row[i]);
  }
  HostCsr pattern = train_counts_;
  pattern.values.clear();
  const DeviceCsr seen(context(), pattern);
  for (const DeviceCsr* exclude : {static_cast<const DeviceCsr*>(nullptr), &seen}) {
    const TopLists lists = popularity_lists(context(), train_counts_, exclude, kItems);
    const auto items = lists.items.to_host();
    for (size_t u = 0; u < kUsers; ++u) {
      std::vector<bool> may;
      for (const float count : counts_[u]) may.push_back(!exclude || count == 0.0f);
      std::vector<int32_t> expected = ref::best_columns(bought, may, kItems);
      expected.resize(kItems, -1);
      EXPECT_EQ(std::vector<int32_t>(items.begin() + static_cast<std::ptrdiff_t>(u * kItems),
                                     items.begin() + static_cast<std::ptrdiff_t>((u + 1) * kItems)),
                expected)
          << "user " << u;
    }
  }
}

TEST_P(BaselinesTest, PopularityOfAPatternCountsUsers) {
  const HostCsr train = test::pattern({{0, 1}, {1}, {1, 2}, {2}, {2, 3}, {2}}, 4);
  const auto items = popularity_lists(context(), train, nullptr, 4).items.to_host();
  EXPECT_EQ(std::vector<int32_t>(items.begin(), items.begin() + 4), (std::vector<int32_t>{2, 1, 0, 3}));
}

TEST_P(BaselinesTest, ItemKnnAgreesWithItsDefinition) {
  const Counts weights = [&] {
    Counts scaled = counts_;
    for (auto& row : scaled) {
      for (float& x : row) x *= 0.375f;
    }
    return scaled;
  }();
  const HostCsr train = test::sparse(weights);
  HostCsr pattern = train;
  pattern.values.clear();
  const DeviceCsr seen(context(), pattern);
  for (const int64_t neighbours : {int64_t{1}, int64_t{4}, int64_t{kItems}}) {
    for (const double shrink : {0.0, 8.0}) {
      for (const DeviceCsr* exclude : {static_cast<const DeviceCsr*>(nullptr), &seen}) {
        ref::Dense similarity = ref::item_similarity(to_double(counts_), neighbours, shrink);
        for (size_t i = 0; i < kItems && !exclude; ++i) similarity[i][i] = 1;
        const ref::Dense scores = ref::knn_scores(to_double(weights), similarity);
        const TopLists lists = item_knn_lists(context(), train, train_counts_, neighbours, shrink, exclude, kItems);
        const auto items = lists.items.to_host();
        const auto found = lists.scores.to_host();
        for (size_t u = 0; u < kUsers; ++u) {
          std::vector<ref::Candidate> candidates;
          for (size_t i = 0; i < kItems; ++i) {
            // A similarity takes two sums of kUsers products of rounded logarithms, a root, a product, a sum and a
            // quotient. A score sums kItems of their products. All terms are positive, so the bounds are relative.
            const bool may = scores[u][i] > 0 && (!exclude || counts_[u][i] == 0.0f);
            candidates.push_back({scores[u][i], ref::sum_bound(2 * kUsers + kItems + 12, scores[u][i]), may, may});
          }
          EXPECT_EQ(ref::top_k_fault(candidates, items.data() + u * kItems, found.data() + u * kItems, kItems, 0.0f),
                    "")
              << "user " << u << ", " << neighbours << " neighbours, shrink " << shrink << ", masked "
              << (exclude != nullptr);
        }
      }
    }
  }
}

TEST_P(BaselinesTest, PersonalCountsThenPopularity) {
  // Item 3 is bought most (9), then 0 (5), 2 (4), 1 (2), 4 (0).
  const HostCsr train_counts = test::sparse({{3, 2, 0, 0, 0}, {0, 0, 4, 9, 0}, {2, 0, 0, 0, 0}, {0, 0, 0, 0, 0}});
  HostCsr train = train_counts;
  train.values = {0.5f, 0.75f, 1.5f, 1.5f,
                  1.0f};  // recent purchases weigh more: user 0 prefers item 1, user 1 is undecided
  const auto lists_of = [&](const HostCsr& matrix, int64_t length) {
    return personal_count_lists(context(), matrix, train_counts, length);
  };
  const TopLists lists = lists_of(train, 6);
  EXPECT_EQ(lists.items.to_host(), (std::vector<int32_t>{1, 0, 3, 2, 4, -1,  //
                                                         2, 3, 0, 1, 4, -1,  //
                                                         0, 3, 2, 1, 4, -1,  //
                                                         3, 0, 2, 1, 4, -1}));
  EXPECT_EQ(lists.scores.to_host(), (std::vector<float>{0.75f, 0.5f, 0, 0, 0, 0,  //
                                                        1.5f,  1.5f, 0, 0, 0, 0,  //
                                                        1,     0,    0, 0, 0, 0,  //
                                                        0,     0,    0, 0, 0, 0}));
  EXPECT_EQ(lists_of(train, 1).items.to_host(), (std::vector<int32_t>{1, 2, 0, 3}));
  train.values.clear();  // a pattern: all weights alike, so the smaller id first
  EXPECT_EQ(lists_of(train, 2).items.to_host(), (std::vector<int32_t>{0, 1, 2, 3, 0, 3, 3, 0}));
}

SHEAF_ON_EVERY_BACKEND(BaselinesTest);

}  // namespace
}  // namespace sheaf
