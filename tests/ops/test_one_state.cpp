#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/optim/one_state.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/optim.hpp"

namespace sheaf {
namespace {

struct Values {
  std::vector<float> parameters, state;
  bool same_bits(const Values& other) const {
    return test::same_bits(parameters, other.parameters) && test::same_bits(state, other.state);
  }
};

/// States as those of a training: roots stay away from zero, momentum has either sign.
Values random_values(Optimizer optimizer, int64_t n) {
  const float lowest = optimizer == Optimizer::momentum ? -0.7f : 0.1f;
  return {test::random_floats(n, 70, -2.0f, 2.0f), test::random_floats(n * states_of(optimizer), 71, lowest, 0.7f)};
}

Values run(Context& context, Optimizer optimizer, const std::vector<float>& grad, const OptimizerParams& params,
           const Values& before) {
  const Buffer<float> device_grad(context, grad);
  test::Guarded<float> parameters(context, before.parameters), state(context, before.state);
  optim::one_state(context, {.grad = device_grad.view(),
                             .optimizer = optimizer,
                             .params = params,
                             .parameters = parameters.view(),
                             .state = state.view()});
  parameters.expect_intact();
  state.expect_intact();
  EXPECT_TRUE(test::same_bits(device_grad.to_host(), grad)) << "the gradient changed";
  return {parameters.to_host(), state.to_host()};
}

void expect_right(Optimizer optimizer, const std::vector<float>& grad, const OptimizerParams& params,
                  const Values& before, const Values& after) {
  for (size_t i = 0; i < grad.size(); ++i) {
    const bool has_state = states_of(optimizer) > 0;
    const ref::OneState start{before.parameters[i], has_state ? static_cast<double>(before.state[i]) : 0.0};
    const ref::OneState expected = ref::one_state(optimizer, grad[i], params, start);
    // The gradient is exact; the rest is one rounding an operation.
    const ref::OneState bound = ref::one_state_bound(optimizer, grad[i], 0.0, params, start);
    EXPECT_NEAR(after.parameters[i], expected.parameter, bound.parameter) << i;
    if (has_state) {
      EXPECT_NEAR(after.state[i], expected.state, bound.state) << i;
    }
  }
}

constexpr Optimizer kAll[] = {Optimizer::sgd, Optimizer::momentum, Optimizer::adagrad, Optimizer::rmsprop};

class OneStateTest : public test::OpTest {};

TEST_P(OneStateTest, AgreesWithOracle) {
  for (const Optimizer optimizer : kAll) {
    for (const int64_t n : {0, 1, 33, 257, 16385}) {
      const std::vector<float> grad = test::random_floats(n, 72);
      const OptimizerParams params{.learning_rate = 0.05f, .weight_decay = 0.1f};
      const Values before = random_values(optimizer, n);
      expect_right(optimizer, grad, params, before, run(context(), optimizer, grad, params, before));
    }
  }
}

TEST_P(OneStateTest, EveryParameterCounts) {
  const std::vector<float> grad = test::random_floats(200, 73);
  for (const Optimizer optimizer : kAll) {
    const Values before = random_values(optimizer, 200);
    for (const float mu : {0.0f, 0.9f}) {
      for (const bool nesterov : {false, true}) {
        for (const float beta2 : {0.5f, 0.99f}) {
          for (const float epsilon : {1e-8f, 0.5f}) {
            for (const float weight_decay : {0.0f, 0.3f}) {
              const OptimizerParams params{.learning_rate = 0.5f,
                                           .beta2 = beta2,
                                           .epsilon = epsilon,
                                           .weight_decay = weight_decay,
                                           .mu = mu,
                                           .nesterov = nesterov};
              expect_right(optimizer, grad, params, before, run(context(), optimizer, grad, params, before));
            }
          }
        }
      }
    }
  }
}

TEST_P(OneStateTest, ByHandInNumbersThatDoNotRound) {
  const auto step = [&](Optimizer optimizer, OptimizerParams params, std::vector<float> state) {
    params.learning_rate = 0.5f;
    params.epsilon = 0.0f;
    params.weight_decay = 0.25f;  // g = 3 + 0.25 * 4 = 4
    return run(context(), optimizer, {3.0f}, params, {{4.0f}, std::move(state)});
  };
  EXPECT_EQ(step(Optimizer::sgd, {}, {}).parameters[0], 2.0f);
  const Values heavy = step(Optimizer::momentum, {.mu = 0.5f}, {8.0f});  // m = 4 + 4
  EXPECT_EQ(heavy.state[0], 8.0f);
  EXPECT_EQ(heavy.parameters[0], 0.0f);
  EXPECT_EQ(step(Optimizer::momentum, {.mu = 0.5f, .nesterov = true}, {4.0f}).parameters[0], 4.0f - 0.5f * (4 + 3));
  const Values summed = step(Optimizer::adagrad, {}, {48.0f});  // v = 48 + 16
  EXPECT_EQ(summed.state[0], 64.0f);
  EXPECT_EQ(summed.parameters[0], 4.0f - 0.5f * 4.0f / 8.0f);
  const Values faded = step(Optimizer::rmsprop, {.beta2 = 0.75f}, {0.0f});  // v = 16 / 4
  EXPECT_EQ(faded.state[0], 4.0f);
  EXPECT_EQ(faded.parameters[0], 4.0f - 0.5f * 4.0f / 2.0f);
}

TEST_P(OneStateTest, SameBitsOnAnyThreads) {
  const std::vector<float> grad = test::random_floats(40001, 74);
  for (const Optimizer optimizer : kAll) {
    const Values before = random_values(optimizer, 40001);
    const Values first = run(context(), optimizer, grad, {}, before);
    for (const int threads : {1, 3}) {
      EXPECT_TRUE(run(*make_context(threads), optimizer, grad, {}, before).same_bits(first)) << threads;
    }
  }
}

TEST_P(OneStateTest, RefusesWrongArguments) {
  const std::vector<float> grad(3, 1.0f);
  EXPECT_THROW(run(context(), Optimizer::adam, grad, {}, {grad, grad}), UsageError);
  EXPECT_THROW(run(context(), Optimizer::rowwise_adagrad, grad, {}, {grad, {}}), UsageError);
  EXPECT_THROW(run(context(), Optimizer::sgd, grad, {}, {grad, grad}), UsageError);
  EXPECT_THROW(run(context(), Optimizer::sgd, grad, {}, {{1.0f}, {}}), UsageError);
  EXPECT_THROW(run(context(), Optimizer::rmsprop, grad, {}, {grad, {}}), UsageError);
}

SHEAF_ON_EVERY_BACKEND(OneStateTest);

}  // namespace
}  // namespace sheaf
