#include <random>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/core/scan.hpp"
#include "tests/common/op_test.hpp"

namespace sheaf {
namespace {

std::vector<int64_t> run(Context& context, const std::vector<int64_t>& values) {
  const Buffer<int64_t> in(context, values);
  test::Guarded<int64_t> out(context, in.size() + 1);
  exclusive_scan(context, {.in = in.view(), .out = out.view()});
  out.expect_intact();
  EXPECT_EQ(in.to_host(), values) << "the input changed";
  return out.to_host();
}

std::vector<int64_t> prefix_sums(const std::vector<int64_t>& values) {
  std::vector<int64_t> sums{0};
  for (const int64_t value : values) sums.push_back(sums.back() + value);
  return sums;
}

std::vector<int64_t> random_values(int64_t n, int64_t low, int64_t high) {
  std::mt19937_64 engine(55);
  std::uniform_int_distribution<int64_t> uniform(low, high);
  std::vector<int64_t> values(static_cast<size_t>(n));
  for (int64_t& value : values) value = uniform(engine);
  return values;
}

class ScanTest : public test::OpTest {};

TEST_P(ScanTest, AgreesWithPrefixSums) {
  for (const int64_t n : {0, 1, 2, 31, 32, 33, 255, 256, 257, 4097, 100003}) {
    const std::vector<int64_t> counts = random_values(n, 0, 9);
    EXPECT_EQ(run(context(), counts), prefix_sums(counts)) << "n " << n;
  }
}

TEST_P(ScanTest, SumsBeyond32BitsAndBelowZero) {
  const std::vector<int64_t> large = random_values(3001, 0, int64_t{1} << 50);
  EXPECT_EQ(run(context(), large), prefix_sums(large));
  const std::vector<int64_t> mixed = random_values(3001, -(int64_t{1} << 40), int64_t{1} << 40);
  EXPECT_EQ(run(context(), mixed), prefix_sums(mixed));
}

TEST_P(ScanTest, ByHand) {
  EXPECT_EQ(run(context(), {}), (std::vector<int64_t>{0}));
  EXPECT_EQ(run(context(), {5}), (std::vector<int64_t>{0, 5}));
  EXPECT_EQ(run(context(), {3, 0, 4}), (std::vector<int64_t>{0, 3, 3, 7}));
}

TEST_P(ScanTest, SameOnAnyThreads) {
  const std::vector<int64_t> counts = random_values(70001, 0, 1000);
  const std::vector<int64_t> first = run(context(), counts);
  for (const int threads : {1, 2, 3}) EXPECT_EQ(run(*make_context(threads), counts), first) << threads;
}

TEST_P(ScanTest, RefusesWrongArguments) {
  Buffer<int64_t> three(context(), 3), same(context(), 3), five(context(), 5);
  EXPECT_THROW(exclusive_scan(context(), {.in = three.view(), .out = same.view()}), UsageError);
  EXPECT_THROW(exclusive_scan(context(), {.in = three.view(), .out = five.view()}), UsageError);
}

SHEAF_ON_EVERY_BACKEND(ScanTest);

}  // namespace
}  // namespace sheaf
