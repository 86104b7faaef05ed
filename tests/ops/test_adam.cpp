#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/optim/adam.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/optim.hpp"

namespace sheaf {
namespace {

struct State {
  std::vector<float> parameters, moment1, moment2;
  bool same_bits(const State& other) const {
    return test::same_bits(parameters, other.parameters) && test::same_bits(moment1, other.moment1) &&
           test::same_bits(moment2, other.moment2);
  }
};

State random_state(int64_t n) {
  return {test::random_floats(n, 60, -2.0f, 2.0f), test::random_floats(n, 61, -0.5f, 0.5f),
          test::random_floats(n, 62, 0.0f, 0.3f)};
}

State run(Context& context, const std::vector<float>& grad, const OptimizerParams& params, const State& before) {
  const Buffer<float> device_grad(context, grad);
  test::Guarded<float> parameters(context, before.parameters), moment1(context, before.moment1),
      moment2(context, before.moment2);
  optim::adam(context, {.grad = device_grad.view(),
                        .adam = params,
                        .parameters = parameters.view(),
                        .moment1 = moment1.view(),
                        .moment2 = moment2.view()});
  parameters.expect_intact();
  moment1.expect_intact();
  moment2.expect_intact();
  EXPECT_TRUE(test::same_bits(device_grad.to_host(), grad)) << "the gradient changed";
  return {parameters.to_host(), moment1.to_host(), moment2.to_host()};
}

void expect_right(const std::vector<float>& grad, const OptimizerParams& params, const State& before,
                  const State& after) {
  for (size_t i = 0; i < grad.size(); ++i) {
    const ref::AdamElement start{before.parameters[i], before.moment1[i], before.moment2[i]};
    const ref::AdamElement expected = ref::adam(grad[i], params, start);
    // The gradient is exact; the rest is one rounding an operation, see adam_bound.
    const ref::AdamElement bound = ref::adam_bound(grad[i], 0.0, params, start);
    EXPECT_NEAR(after.moment1[i], expected.moment1, bound.moment1) << i << ", step " << params.step;
    EXPECT_NEAR(after.moment2[i], expected.moment2, bound.moment2) << i << ", step " << params.step;
    EXPECT_NEAR(after.parameters[i], expected.parameter, bound.parameter) << i << ", step " << params.step;
  }
}

class AdamTest : public test::OpTest {};

TEST_P(AdamTest, AgreesWithOracle) {
  for (const int64_t n : {0, 1, 31, 33, 255, 257, 16383, 16385, 40000}) {
    const std::vector<float> grad = test::random_floats(n, 63);
    const OptimizerParams params{.learning_rate = 0.01f, .weight_decay = 0.1f, .step = 3};
    const State before = random_state(n);
    expect_right(grad, params, before, run(context(), grad, params, before));
  }
}

TEST_P(AdamTest, EveryParameterCounts) {
  const std::vector<float> grad = test::random_floats(300, 64);
  const State before = random_state(300);
  for (const int64_t step : {int64_t{1}, int64_t{2}, int64_t{10}, int64_t{1000}, int64_t{5000000000}}) {
    for (const float beta1 : {0.0f, 0.5f, 0.9f}) {
      for (const float beta2 : {0.9f, 0.999f}) {
        for (const float epsilon : {1e-8f, 0.5f}) {
          for (const float weight_decay : {0.0f, 0.3f}) {
            for (const float decoupled_decay : {0.0f, 0.2f}) {
              const OptimizerParams params{.learning_rate = 0.05f,
                                           .beta1 = beta1,
                                           .beta2 = beta2,
                                           .epsilon = epsilon,
                                           .weight_decay = weight_decay,
                                           .decoupled_decay = decoupled_decay,
                                           .step = step};
              expect_right(grad, params, before, run(context(), grad, params, before));
            }
          }
        }
      }
    }
  }
}

TEST_P(AdamTest, FirstStepFromRestMovesByTheLearningRate) {
  // m / (1 - b1) = g and v / (1 - b2) = g^2: the step is lr * g / (|g| + eps), so +-lr whatever the gradient's size.
  const std::vector<float> grad{3.0f, -0.001f, 250.0f, -7.0f};
  const OptimizerParams params{.learning_rate = 0.125f};
  const State before{{1.0f, 1.0f, 1.0f, 1.0f}, std::vector<float>(4, 0.0f), std::vector<float>(4, 0.0f)};
  const State after = run(context(), grad, params, before);
  for (size_t i = 0; i < 4; ++i) {
    // eps / |g| is at most 1e-5; a dozen roundings.
    EXPECT_NEAR(after.parameters[i], grad[i] > 0 ? 0.875f : 1.125f, 0.125 * 1e-5 + 12.0 * test::kRound);
  }
}

TEST_P(AdamTest, NoGradientAtRestMovesNothing) {
  const std::vector<float> zeros(100, 0.0f);
  const State before{random_state(100).parameters, zeros, zeros};
  EXPECT_TRUE(run(context(), zeros, {}, before).same_bits(before));
}

TEST_P(AdamTest, DecoupledDecayLeavesTheMomentsAlone) {
  const std::vector<float> zeros(100, 0.0f);
  const State before{random_state(100).parameters, zeros, zeros};
  const State after = run(context(), zeros, {.learning_rate = 0.5f, .decoupled_decay = 0.25f}, before);
  // Powers of two: parameters - parameters / 8 rounds once.
  for (size_t i = 0; i < 100; ++i) EXPECT_EQ(after.parameters[i], before.parameters[i] * 0.875f);
  EXPECT_EQ(after.moment1, zeros);
  EXPECT_EQ(after.moment2, zeros);
}

TEST_P(AdamTest, ManyStepsStayNearTheOracle) {
  // Each step starts the oracle from the float state, so that the bound is that of one step.
  State state{random_state(65).parameters, std::vector<float>(65, 0.0f), std::vector<float>(65, 0.0f)};
  for (int64_t step = 1; step <= 40; ++step) {
    const std::vector<float> grad = test::random_floats(65, static_cast<uint32_t>(100 + step));
    const OptimizerParams params{.weight_decay = 1e-2f, .step = step};
    const State after = run(context(), grad, params, state);
    expect_right(grad, params, state, after);
    state = after;
  }
}

TEST_P(AdamTest, SameBitsOnEveryRunAndAnyThreads) {
  const std::vector<float> grad = test::random_floats(50001, 65);
  const State before = random_state(50001);
  const State first = run(context(), grad, {}, before);
  for (const int threads : {1, 2, 3}) EXPECT_TRUE(run(*make_context(threads), grad, {}, before).same_bits(first));
}

TEST_P(AdamTest, AnElementsBitsDoNotDependOnItsPlace) {
  // Whole vectors and what is left of them do the same arithmetic.
  const int64_t n = 71;
  const std::vector<float> grad = test::random_floats(n, 66);
  const State before = random_state(n);
  const OptimizerParams params{.weight_decay = 0.02f, .decoupled_decay = 0.1f, .step = 7};
  const State whole = run(context(), grad, params, before);
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    const State one{{before.parameters[i]}, {before.moment1[i]}, {before.moment2[i]}};
    const State expected{{whole.parameters[i]}, {whole.moment1[i]}, {whole.moment2[i]}};
    EXPECT_TRUE(run(context(), {grad[i]}, params, one).same_bits(expected)) << i;
  }
}

TEST_P(AdamTest, RefusesWrongArguments) {
  const State good = random_state(3);
  const std::vector<float> grad(3, 1.0f);
  EXPECT_THROW(run(context(), grad, {.step = 0}, good), UsageError);
  EXPECT_THROW(run(context(), {1.0f}, {}, good), UsageError);
  State bad = good;
  bad.parameters.pop_back();
  EXPECT_THROW(run(context(), grad, {}, bad), UsageError);
  bad = good;
  bad.moment1.pop_back();
  EXPECT_THROW(run(context(), grad, {}, bad), UsageError);
  bad = good;
  bad.moment2.pop_back();
  EXPECT_THROW(run(context(), grad, {}, bad), UsageError);
}

SHEAF_ON_EVERY_BACKEND(AdamTest);

}  // namespace
}  // namespace sheaf
