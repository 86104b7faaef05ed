#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/genetic/evaluate_sets.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/search.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

struct Evaluated {
  std::vector<float> value, violation;
};

Evaluated evaluate(Context& context, const ref::SearchCases& host, int64_t n_sets, int64_t width,
                   const std::vector<int32_t>& sets) {
  const ref::DeviceSearchCases problems(context, host);
  const Buffer<int32_t> device_sets(context, sets);
  const int64_t total = host.n_problems * n_sets;
  test::Guarded<float> value(context, total), violation(context, total);
  genetic::evaluate_sets(context, {.problems = problems.view(),
                                   .n_sets = n_sets,
                                   .sets = device_sets.matrix(total, width),
                                   .value = value.view(),
                                   .violation = violation.view()});
  value.expect_intact();
  violation.expect_intact();
  return {value.to_host(), violation.to_host()};
}

class EvaluateSetsTest : public test::OpTest {
 protected:
  void expect_true(const ref::SearchCases& host, int64_t n_sets, int64_t width) {
    std::vector<int32_t> sets;
    std::vector<std::vector<int32_t>> members;
    std::mt19937 engine(51);
    for (int64_t set = 0; set < host.n_problems * n_sets; ++set) {
      std::vector<int32_t> all(static_cast<size_t>(host.n_candidates));
      for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
      std::shuffle(all.begin(), all.end(), engine);
      all.resize(static_cast<size_t>(std::min<int64_t>(set % (width + 1), host.n_candidates)));
      members.push_back(all);
      for (size_t i = 0; i < static_cast<size_t>(width); ++i) sets.push_back(i < all.size() ? all[i] : -1);
    }
    const Evaluated result = evaluate(context(), host, n_sets, width, sets);
    for (size_t set = 0; set < members.size(); ++set) {
      const ref::SearchScore expected = ref::score(host, static_cast<int64_t>(set) / n_sets, members[set]);
      EXPECT_EQ(result.value[set], expected.value) << "whole numbers are exact";
      // Summed in double, rounded to float once.
      EXPECT_NEAR(result.violation[set], expected.violation, expected.violation * 0x1.0p-23);
    }
  }
};

TEST_P(EvaluateSetsTest, AgreesWithOracle) {
  for (const int32_t n_candidates : {2, 31, 33, 256}) {
    for (const int64_t n_sets : {0, 1, 255, 257}) {
      expect_true(ref::full_search_cases(2, n_candidates, 2, 5, 50), n_sets, 7);
      expect_true(ref::plain_search_cases(2, n_candidates, 0, 2, 5, 51), n_sets, 3);
    }
  }
  expect_true(ref::plain_search_cases(1, 1, 1, 0, 1, 52), 3, 1);
  expect_true(ref::full_search_cases(1, 40, 2, 20, 53), 41, 40);
}

TEST_P(EvaluateSetsTest, MoreSetsThanABlockHas) { expect_true(ref::plain_search_cases(2, 5, 1, 1, 3, 54), 8193, 2); }

TEST_P(EvaluateSetsTest, RealNumbersWithinTheBound) {
  ref::SearchCases host = ref::plain_search_cases(1, 20, 0, 1, 16, 55);
  host.linear = test::random_floats(20, 56);
  const std::vector<float> half = test::random_floats(400, 57);
  for (size_t i = 0; i < 20; ++i) {
    for (size_t j = 0; j < 20; ++j) host.pair[i * 20 + j] = half[std::min(i, j) * 20 + std::max(i, j)];
  }
  std::vector<int32_t> set(16);
  for (size_t i = 0; i < 16; ++i) set[i] = static_cast<int32_t>(i);
  const Evaluated result = evaluate(context(), host, 1, 16, set);
  EXPECT_NEAR(result.value[0], ref::score(host, 0, set).value, ref::sum_bound(136, 136.0));  // 16 + 120 terms below 1
  EXPECT_EQ(result.violation[0], 0.0f);
}

TEST_P(EvaluateSetsTest, RefusesWrongArguments) {
  ref::SearchCases host = ref::plain_search_cases(1, 5, 1, 2, 3, 58);
  EXPECT_THROW(evaluate(context(), host, 1, 257, std::vector<int32_t>(257, -1)), UsageError);
  host.min_size = 4;
  EXPECT_THROW(evaluate(context(), host, 1, 3, std::vector<int32_t>(3, -1)), UsageError);
}

SHEAF_ON_EVERY_BACKEND(EvaluateSetsTest);

}  // namespace
}  // namespace sheaf
