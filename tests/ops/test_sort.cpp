#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/core/sort.hpp"
#include "tests/common/op_test.hpp"

namespace sheaf {
namespace {

struct Pairs {
  std::vector<uint32_t> keys, values;
  bool operator==(const Pairs&) const = default;
};

// Keys below 2^key_bits, the largest of them among the keys; values tell the places that the keys came from.
Pairs random_pairs(int64_t n, int key_bits, uint32_t seed) {
  const uint32_t largest = key_bits == 32 ? 0xffffffffu : (1u << key_bits) - 1u;
  std::mt19937 engine(seed);
  std::uniform_int_distribution<uint32_t> key(0, largest);
  Pairs pairs;
  for (int64_t i = 0; i < n; ++i) pairs.keys.push_back(i == n / 2 ? largest : key(engine));
  pairs.values.resize(static_cast<size_t>(n));
  std::iota(pairs.values.begin(), pairs.values.end(), 1000u);
  return pairs;
}

// The oracle: the standard library's stable sort of the places.
Pairs stable_sorted(const Pairs& pairs) {
  std::vector<size_t> order(pairs.keys.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return pairs.keys[a] < pairs.keys[b]; });
  Pairs sorted;
  for (const size_t from : order) {
    sorted.keys.push_back(pairs.keys[from]);
    sorted.values.push_back(pairs.values[from]);
  }
  return sorted;
}

Pairs run(Context& context, const Pairs& pairs, int key_bits) {
  const auto n = static_cast<int64_t>(pairs.keys.size());
  const Buffer<uint32_t> keys(context, pairs.keys), values(context, pairs.values);
  test::Guarded<uint32_t> sorted_keys(context, n), sorted_values(context, n);
  sort_pairs(context, {keys.view(), values.view(), key_bits, sorted_keys.view(), sorted_values.view()});
  sorted_keys.expect_intact();
  sorted_values.expect_intact();
  EXPECT_EQ(keys.to_host(), pairs.keys) << "the input changed";
  EXPECT_EQ(values.to_host(), pairs.values) << "the input changed";
  return {sorted_keys.to_host(), sorted_values.to_host()};
}

class SortTest : public test::OpTest {};

TEST_P(SortTest, AgreesWithStableSort) {
  for (const int64_t n : {0, 1, 2, 31, 33, 255, 257, 4097, 20000}) {
    for (const int key_bits : {1, 7, 8, 9, 16, 17, 24, 25, 31, 32}) {
      const Pairs pairs = random_pairs(n, key_bits, 50);
      EXPECT_TRUE(run(context(), pairs, key_bits) == stable_sorted(pairs)) << "n " << n << ", bits " << key_bits;
    }
  }
}

TEST_P(SortTest, EqualKeysKeepTheirOrder) {
  Pairs pairs = random_pairs(3000, 20, 51);
  std::fill(pairs.keys.begin(), pairs.keys.end(), 777777u);
  EXPECT_TRUE(run(context(), pairs, 20) == pairs);
  for (size_t i = 0; i < pairs.keys.size(); ++i) pairs.keys[i] = (i % 3) << 18;
  EXPECT_TRUE(run(context(), pairs, 20) == stable_sorted(pairs));
}

TEST_P(SortTest, SortedAndReversedKeys) {
  Pairs pairs = random_pairs(1000, 10, 52);
  for (uint32_t i = 0; i < 1000; ++i) pairs.keys[i] = i;
  EXPECT_TRUE(run(context(), pairs, 10) == pairs);
  std::reverse(pairs.keys.begin(), pairs.keys.end());
  EXPECT_TRUE(run(context(), pairs, 10) == stable_sorted(pairs));
}

TEST_P(SortTest, SameOnEveryRunAndAnyThreads) {
  const Pairs pairs = random_pairs(5001, 12, 53);
  const Pairs first = run(context(), pairs, 12);
  for (const int threads : {1, 2, 3}) EXPECT_TRUE(run(*make_context(threads), pairs, 12) == first) << threads;
}

TEST_P(SortTest, RefusesWrongArguments) {
  const Pairs pairs = random_pairs(4, 8, 54);
  EXPECT_THROW(run(context(), pairs, 0), UsageError);
  EXPECT_THROW(run(context(), pairs, 33), UsageError);
  Buffer<uint32_t> four(context(), pairs.keys), other(context(), pairs.keys), out(context(), 4), three(context(), 3);
  EXPECT_THROW(sort_pairs(context(), {four.view(), three.view(), 8, other.view(), out.view()}), UsageError);
  EXPECT_THROW(sort_pairs(context(), {four.view(), other.view(), 8, three.view(), out.view()}), UsageError);
  EXPECT_THROW(sort_pairs(context(), {four.view(), other.view(), 8, out.view(), three.view()}), UsageError);
}

SHEAF_ON_EVERY_BACKEND(SortTest);

}  // namespace
}  // namespace sheaf
