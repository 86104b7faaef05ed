#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/genetic/evaluate_sets.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/genetic.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

struct Result {
  std::vector<float> value, violation;
};

Result run(Context& context, const ref::HostProblems& host, int64_t n_sets, const std::vector<int32_t>& sets) {
  const ref::DeviceProblems problems(context, host);
  const Buffer<int32_t> device_sets(context, sets);
  test::Guarded<float> value(context, host.n_problems * n_sets), violation(context, host.n_problems * n_sets);
  genetic::evaluate_sets(context, {.problems = problems.view(),
                                   .n_sets = n_sets,
                                   .sets = device_sets.view(),
                                   .value = value.view(),
                                   .violation = violation.view()});
  value.expect_intact();
  violation.expect_intact();
  return {value.to_host(), violation.to_host()};
}

class EvaluateSetsTest : public test::OpTest {};

TEST_P(EvaluateSetsTest, AgreesWithOracle) {
  for (const int64_t n_candidates : {1, 2, 31, 33, 256}) {
    for (const int64_t n_sets : {0, 1, 127, 129}) {
      ref::HostProblems host = ref::random_problems(3, n_candidates, 2, 5, 3, 50);
      host.budget[1] = 0.5f;
      host.budget[2] = std::numeric_limits<float>::infinity();
      std::vector<int32_t> sets;
      std::vector<std::vector<int32_t>> members;
      std::mt19937 engine(51);
      for (int64_t set = 0; set < 3 * n_sets; ++set) {
        std::vector<int32_t> all(static_cast<size_t>(n_candidates));
        for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
        std::shuffle(all.begin(), all.end(), engine);
        all.resize(static_cast<size_t>(std::min<int64_t>(set % 17, n_candidates)));
        members.push_back(all);
        for (size_t i = 0; i < 16; ++i) sets.push_back(i < all.size() ? all[i] : -1);
      }
      const Result result = run(context(), host, n_sets, sets);
      for (size_t set = 0; set < members.size(); ++set) {
        const auto p = static_cast<int64_t>(set) / n_sets;
        const ref::Evaluation expected = ref::evaluate(host, p, members[set]);
        EXPECT_EQ(result.value[set], expected.value) << "whole numbers are exact";
        // Summed in double, rounded to float once.
        EXPECT_NEAR(result.violation[set], expected.violation, expected.violation * 0x1.0p-23);
      }
    }
  }
}

TEST_P(EvaluateSetsTest, RealNumbersWithinTheBound) {
  ref::HostProblems host = ref::blank_problems(1, 20, 1, 16);
  host.linear = test::random_floats(20, 52);
  const std::vector<float> half = test::random_floats(400, 53);
  for (size_t i = 0; i < 20; ++i) {
    for (size_t j = 0; j < 20; ++j) host.pair[i * 20 + j] = half[std::min(i, j) * 20 + std::max(i, j)];
  }
  std::vector<int32_t> set(16);
  for (size_t i = 0; i < 16; ++i) set[i] = static_cast<int32_t>(i);
  const Result result = run(context(), host, 1, set);
  EXPECT_NEAR(result.value[0], ref::evaluate(host, 0, set).value,
              ref::sum_bound(136, 136.0));  // 16 + 120 terms below 1
  EXPECT_EQ(result.violation[0], 0.0f);
}

TEST_P(EvaluateSetsTest, RefusesWrongArguments) {
  ref::HostProblems host = ref::random_problems(1, 5, 2, 3, 0, 54);
  EXPECT_THROW(run(context(), host, 1, std::vector<int32_t>(15, -1)), UsageError);
  host.max_size = 17;
  EXPECT_THROW(run(context(), host, 1, std::vector<int32_t>(16, -1)), UsageError);
}

SHEAF_ON_EVERY_BACKEND(EvaluateSetsTest);

}  // namespace
}  // namespace sheaf
