#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/association/cooccurrence.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/association.hpp"

namespace sheaf {
namespace {

using Counts = std::vector<std::map<int32_t, int32_t>>;

Counts run(Context& context, const test::HostCsr& baskets, int32_t min_count) {
  const test::DeviceCsr device_baskets(context, baskets);
  const test::DeviceCsr device_items(context, ref::transpose(baskets));
  const association::CooccurrenceArgs args{device_baskets.view(), device_items.view(), min_count};
  test::Guarded<int64_t> offsets(context, baskets.n_columns + 1);
  association::cooccurrence_sizes(context, args, offsets.view());
  offsets.expect_intact();
  const std::vector<int64_t> row_offsets = offsets.to_host();
  test::Guarded<int32_t> neighbours(context, row_offsets.back()), counts(context, row_offsets.back());
  association::cooccurrence(context, args, offsets.view(), neighbours.view(), counts.view());
  neighbours.expect_intact();
  counts.expect_intact();

  const std::vector<int32_t> ids = neighbours.to_host(), values = counts.to_host();
  Counts result(static_cast<size_t>(baskets.n_columns));
  EXPECT_EQ(row_offsets.front(), 0);
  for (size_t item = 0; item < result.size(); ++item) {
    for (auto e = static_cast<size_t>(row_offsets[item]); e < static_cast<size_t>(row_offsets[item + 1]); ++e) {
      const bool follows = e == static_cast<size_t>(row_offsets[item]) || ids[e - 1] < ids[e];
      EXPECT_TRUE(follows) << "columns ascend";
      result[item][ids[e]] = values[e];
    }
  }
  return result;
}

class CooccurrenceTest : public test::OpTest {};

TEST_P(CooccurrenceTest, EqualsBruteForce) {
  for (const int64_t n_items : {1, 31, 33, 63, 64, 65, 255, 256, 257, 600}) {
    for (const int64_t n_baskets : {0, 1, 33, 400}) {
      const test::HostCsr baskets = test::random_csr(n_baskets, n_items, 40, 12, false);
      for (const int32_t min_count : {1, 3}) {
        EXPECT_EQ(run(context(), baskets, min_count), ref::cooccurrence(baskets, min_count))
            << n_items << " items, " << n_baskets << " baskets, min_count " << min_count;
      }
    }
  }
}

TEST_P(CooccurrenceTest, FewPartnersInALargeCatalog) {
  // The executor, which is slow, walks a smaller one: the way to put partners in order is the CPU's own.
  const bool on_simt = GetParam() == Backend::simt;
  for (const int64_t n_baskets : {300, 4000}) {  // about 2 and 20 partners an item
    const test::HostCsr baskets =
        test::random_csr(on_simt ? n_baskets / 20 : n_baskets, on_simt ? 450 : 9001, 10, 15, false);
    for (const int32_t min_count : {1, 2})
      EXPECT_EQ(run(context(), baskets, min_count), ref::cooccurrence(baskets, min_count));
  }
}

TEST_P(CooccurrenceTest, NoItems) {
  test::HostCsr baskets;
  baskets.row_offsets = {0, 0, 0};
  EXPECT_TRUE(run(context(), baskets, 1).empty());
}

TEST_P(CooccurrenceTest, OneItemInEveryBasket) {
  test::HostCsr baskets;
  baskets.n_columns = 300;
  for (int32_t basket = 1; basket < 300; ++basket) {
    baskets.columns.push_back(0);
    baskets.columns.push_back(basket);
    baskets.row_offsets.push_back(static_cast<int64_t>(baskets.columns.size()));
  }
  EXPECT_EQ(run(context(), baskets, 1), ref::cooccurrence(baskets, 1));
}

TEST_P(CooccurrenceTest, AnyThreadsGiveTheSame) {
  const test::HostCsr baskets = test::random_csr(500, 200, 15, 13, false);
  const Counts expected = ref::cooccurrence(baskets, 2);
  for (const int threads : {1, 2, 3}) EXPECT_EQ(run(*make_context(threads), baskets, 2), expected);
}

std::filesystem::path groceries() {
  const char* folder = std::getenv("SHEAF_DATA");
  const std::filesystem::path source = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  const std::filesystem::path root = folder ? std::filesystem::path(folder) : source.parent_path() / "shared" / "data";
  return root / "groceries" / "groceries_baskets.csv";
}

/// One basket a line, item names apart by commas.
test::HostCsr read_groceries(std::istream& in, std::map<std::string, int32_t>& ids) {
  test::HostCsr baskets;
  for (std::string line; std::getline(in, line);) {
    std::vector<int32_t> basket;
    std::istringstream fields(line);
    for (std::string name; std::getline(fields, name, ',');) {
      basket.push_back(ids.try_emplace(name, static_cast<int32_t>(ids.size())).first->second);
    }
    std::sort(basket.begin(), basket.end());
    baskets.columns.insert(baskets.columns.end(), basket.begin(), basket.end());
    baskets.row_offsets.push_back(static_cast<int64_t>(baskets.columns.size()));
  }
  baskets.n_columns = static_cast<int64_t>(ids.size());
  return baskets;
}

// Hahsler, Hornik and Reutterer (2006): 9,835 baskets of 169 items; the two most frequent items and their common
// baskets.
TEST_P(CooccurrenceTest, GroceriesAsPublished) {
  std::ifstream in(groceries());
  if (!in) GTEST_SKIP() << "no " << groceries() << "; set SHEAF_DATA to the folder of the public data sets";
  std::map<std::string, int32_t> ids;
  const test::HostCsr baskets = read_groceries(in, ids);
  EXPECT_EQ(baskets.n_rows(), 9835);
  EXPECT_EQ(ids.size(), 169u);
  const int32_t milk = ids.at("whole milk"), vegetables = ids.at("other vegetables");
  const test::HostCsr items = ref::transpose(baskets);
  const auto support = [&](int32_t item) {
    return items.row_offsets[static_cast<size_t>(item) + 1] - items.row_offsets[static_cast<size_t>(item)];
  };
  EXPECT_EQ(support(milk), 2513);
  EXPECT_EQ(support(vegetables), 1903);
  const Counts counts = run(context(), baskets, 1);
  EXPECT_EQ(counts, ref::cooccurrence(baskets, 1));
  EXPECT_EQ(counts[static_cast<size_t>(milk)].at(vegetables), 736);
}

TEST_P(CooccurrenceTest, RefusesWrongArguments) {
  const test::HostCsr baskets = test::random_csr(5, 4, 3, 14, false);
  EXPECT_THROW(run(context(), baskets, 0), UsageError);
  const test::DeviceCsr device(context(), baskets);
  Buffer<int64_t> offsets(context(), 5);
  EXPECT_THROW(association::cooccurrence_sizes(context(), {device.view(), device.view(), 1}, offsets.view()),
               UsageError);
}

SHEAF_ON_EVERY_BACKEND(CooccurrenceTest);

}  // namespace
}  // namespace sheaf
