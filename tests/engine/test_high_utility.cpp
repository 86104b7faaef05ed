// High-utility sets against an exact miner.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "engine/mining/high_utility.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/utility.hpp"

namespace sheaf::utility_test {
namespace {

UtilityTransactions to_csr(const ref::UtilityRows& rows, int64_t n_items) {
  UtilityTransactions result;
  sheaf::HostCsr& csr = result.rows;
  csr.n_columns = n_items;
  for (const auto& row : rows) {
    for (const auto& [item, utility] : row) {
      csr.columns.push_back(item);
      result.utilities.push_back(utility);
    }
    csr.row_offsets.push_back(csr.nnz());
  }
  return result;
}

std::vector<ref::MinedSet> to_mined(const std::vector<UtilitySet>& sets) {
  std::vector<ref::MinedSet> mined;
  for (const UtilitySet& set : sets) mined.push_back({set.items, set.utility});
  return mined;
}

/// Baskets of 1 .. 8 items, few of them popular or all alike; whole numbers, so that sums are exact in any order.
ref::UtilityRows random_rows(int32_t n_items, size_t n_rows, uint32_t seed, bool alike = false) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  std::uniform_int_distribution<int32_t> worth(0, 50), size(1, 8);
  ref::UtilityRows rows(n_rows);
  for (auto& row : rows) {
    std::set<int32_t> items;
    for (int32_t draw = size(engine); draw > 0; --draw) {
      const double x = uniform(engine);
      items.insert(static_cast<int32_t>((alike ? x : x * x) * n_items));
    }
    for (const int32_t item : items) row.push_back({item, static_cast<double>(worth(engine))});
  }
  return rows;
}

class UtilityTest : public test::OpTest {
 protected:
  bool on_cpu() const { return GetParam() == Backend::cpu; }
  UtilityParams params() const {
    UtilityParams params;
    if (!on_cpu()) params.search = {.local_searches = 4, .rounds = 1, .iterations = 2};
    return params;
  }
};

TEST_P(UtilityTest, BestSetsEqualTheExactMiners) {
  for (uint32_t seed = 0; seed < (on_cpu() ? 20u : 1u); ++seed) {
    const int32_t n_items = on_cpu() ? 60 : 12;
    const ref::UtilityRows rows = random_rows(n_items, 40 * static_cast<size_t>(n_items / 12), seed);
    const std::vector<UtilitySet> found = high_utility_sets(context(), to_csr(rows, n_items), params());
    EXPECT_EQ(to_mined(found), ref::mine_utility(rows, 2, 4, 20)) << "seed " << seed;
  }
}

// Few sets occur twice: what is worth most stands beside nothing that is worth much, as in a shop of many items.
TEST(SparseUtility, BestSetsEqualTheExactMiners) {
  Context context;
  for (uint32_t seed = 0; seed < 4; ++seed) {
    const ref::UtilityRows rows = random_rows(300, 800, seed, true);
    EXPECT_EQ(to_mined(high_utility_sets(context, to_csr(rows, 300), {})), ref::mine_utility(rows, 2, 4, 20))
        << "seed " << seed;
  }
}

TEST_P(UtilityTest, SizesCountsAndTransactions) {
  const ref::UtilityRows rows{{{0, 5}, {1, 1}, {3, 2}}, {{0, 1}, {1, 2}}, {{2, 0}, {3, 9}}, {}};
  UtilityParams params = this->params();
  params.min_size = params.max_size = 1;
  params.count = 2;
  const std::vector<UtilitySet> singles = high_utility_sets(context(), to_csr(rows, 5), params);
  ASSERT_EQ(singles.size(), 2u);
  EXPECT_EQ(singles[0].items, (std::vector<int32_t>{3}));
  EXPECT_EQ(singles[0].utility, 11.0);
  EXPECT_EQ(singles[0].n_transactions, 2);
  EXPECT_EQ(singles[1].items, (std::vector<int32_t>{0}));
  params.min_size = 2;
  params.max_size = 3;
  params.count = 100;
  const std::vector<UtilitySet> sets = high_utility_sets(context(), to_csr(rows, 5), params);
  EXPECT_EQ(to_mined(sets), ref::enumerate_utility(rows, 2, 3, 100));
  EXPECT_EQ(sets.size(), 5u);
  EXPECT_TRUE(high_utility_sets(context(), to_csr({}, 0), params).empty());
}

TEST_P(UtilityTest, ThreadsDoNotMatter) {
  const UtilityTransactions rows = to_csr(random_rows(12, 60, 3), 12);
  EXPECT_EQ(to_mined(high_utility_sets(*make_context(1), rows, params())),
            to_mined(high_utility_sets(context(), rows, params())));
}

TEST_P(UtilityTest, RefusesWrongArguments) {
  const auto refused = [&](UtilityParams params, double worth = 1.0) {
    EXPECT_THROW(high_utility_sets(context(), to_csr({{{0, worth}, {1, 2}}}, 2), params), UsageError);
  };
  refused({.count = 0});
  refused({.min_size = 0});
  refused({.min_size = 3, .max_size = 2});
  refused({.max_size = 17});
  refused({.candidates = 1});
  refused({.candidates = 256});
  refused({}, -1.0);
  UtilityTransactions pattern = to_csr({{{0, 1}}}, 1);
  pattern.utilities.clear();
  EXPECT_THROW(high_utility_sets(context(), pattern, {}), UsageError);
}

// Whole numbers beyond 2^24, which float32 rounds.
TEST_P(UtilityTest, WholeNumbersUpTo2To53AreExact) {
  const ref::UtilityRows rows{{{0, 16777217.0}, {1, 1.0}},
                              {{0, 9007199254740900.0}, {2, 91.0}},
                              {{1, 16777217.0}, {2, 16777217.0}, {3, 16777219.0}}};
  UtilityParams params = this->params();
  params.max_size = 3;
  params.count = 100;
  const std::vector<UtilitySet> sets = high_utility_sets(context(), to_csr(rows, 4), params);
  EXPECT_EQ(to_mined(sets), ref::enumerate_utility(rows, 2, 3, 100));
  EXPECT_EQ(sets[0].utility, 9007199254740991.0);
  EXPECT_EQ(sets.back().utility, 16777218.0);
}

// One transaction of many items is days of work: the interrupt is heeded inside of it.
TEST_P(UtilityTest, AnInterruptEndsALongTransaction) {
  if (!on_cpu()) return;
  ref::UtilityRows rows(1);
  for (int32_t item = 0; item < 100000; ++item) rows[0].push_back({item, 1.0});
  const UtilityTransactions transactions = to_csr(rows, 100000);
  std::chrono::steady_clock::time_point asked;
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    asked = std::chrono::steady_clock::now();
    request_interrupt();
  });
  EXPECT_THROW(high_utility_sets(context(), transactions, params()), Interrupted);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - asked).count();
  later.join();
  clear_interrupt();
  EXPECT_LT(seconds, 1.0);
}

SHEAF_ON_EVERY_BACKEND(UtilityTest);

TEST(UtilityMiner, EqualsEnumeration) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    const ref::UtilityRows rows = random_rows(15, 40, seed);
    for (const size_t count : {1u, 7u, 60u, 100000u}) {
      EXPECT_EQ(ref::mine_utility(rows, 1, 5, count), ref::enumerate_utility(rows, 1, 5, count));
      EXPECT_EQ(ref::mine_utility(rows, 3, 4, count), ref::enumerate_utility(rows, 3, 4, count));
    }
  }
}

// 4,141 baskets, 1,559 items. By size as well: pairs are easy, and singles alone would fill the whole list.
TEST(Foodmart, BestSetsEqualTheExactMiners) {
  const char* data = std::getenv("SHEAF_DATA");
  const std::filesystem::path source = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  const auto path = (data ? std::filesystem::path(data) : source.parent_path() / "shared" / "data") / "foodmart" /
                    "foodmart_utility_spmf.txt";
  std::ifstream file(path);
  if (!file) GTEST_SKIP() << "no " << path << "; set SHEAF_DATA to the folder of the public data sets";
  ref::UtilityRows rows;
  int32_t n_items = 0;
  for (std::string items, total, utilities;
       std::getline(file, items, ':') && std::getline(file, total, ':') && std::getline(file, utilities);) {
    std::istringstream ids(items), worths(utilities);
    auto& row = rows.emplace_back();
    for (ref::UtilityEntry entry{}; ids >> entry.item && worths >> entry.utility;) {
      row.push_back(entry);
      n_items = std::max(n_items, entry.item + 1);
    }
    std::ranges::sort(row, std::ranges::less{}, &ref::UtilityEntry::item);
  }
  ASSERT_EQ(rows.size(), 4141u);
  Context context({}, {.n_threads = 2});
  const UtilityTransactions csr = to_csr(rows, n_items);
  uint64_t seed = 0;
  for (const auto& [least, most] : {std::pair{1, 4}, {2, 4}, {2, 2}, {3, 3}, {4, 4}}) {
    UtilityParams params{.min_size = least, .max_size = most};
    params.search.seed = seed++;
    EXPECT_EQ(to_mined(high_utility_sets(context, csr, params)),
              ref::mine_utility(rows, static_cast<size_t>(least), static_cast<size_t>(most), 20))
        << least << " .. " << most;
  }
}

}  // namespace
}  // namespace sheaf::utility_test
