#include "tests/reference/optim.hpp"

#include <algorithm>
#include <cmath>

namespace sheaf::ref {
namespace {

constexpr double kRound = 0x1.0p-24;
constexpr double kTiny = 0x1.0p-126;  // what a float underflow may lose

double correction(float beta, int64_t step) {
  return 1.0 - std::pow(static_cast<double>(beta), static_cast<double>(step));
}

}  // namespace

AdamElement adam(double grad, const OptimizerParams& params, const AdamElement& before) {
  const double beta1 = params.beta1, beta2 = params.beta2;
  const double g = grad + static_cast<double>(params.weight_decay) * before.parameter;
  AdamElement after;
  after.moment1 = beta1 * before.moment1 + (1.0 - beta1) * g;
  after.moment2 = beta2 * before.moment2 + (1.0 - beta2) * g * g;
  const double mean = after.moment1 / correction(params.beta1, params.step);
  const double variance = after.moment2 / correction(params.beta2, params.step);
  const double direction = mean / (std::sqrt(variance) + static_cast<double>(params.epsilon));
  after.parameter = before.parameter - static_cast<double>(params.learning_rate) *
                                           (direction + static_cast<double>(params.decoupled_decay) * before.parameter);
  return after;
}

AdamElement adam_bound(double grad, double grad_error, const OptimizerParams& params, const AdamElement& before) {
  const AdamElement exact = adam(grad, params, before);
  const double beta1 = params.beta1, beta2 = params.beta2, epsilon = params.epsilon, rate = params.learning_rate;
  const double decay = std::abs(static_cast<double>(params.weight_decay) * before.parameter);
  const double g = std::abs(grad + static_cast<double>(params.weight_decay) * before.parameter);

  // A product and a sum; then products, 1 - beta and the sum: four roundings for a moment (five for the square), 2 u
  // each to cover second-order terms.
  const double g_error = grad_error + 2.0 * kRound * (std::abs(grad) + decay + grad_error);
  AdamElement bound;
  bound.moment1 = (1.0 - beta1) * g_error +
                  8.0 * kRound * (std::abs(beta1 * before.moment1) + (1.0 - beta1) * (g + g_error)) + kTiny;
  bound.moment2 = (1.0 - beta2) * (2.0 * g + g_error) * g_error +
                  10.0 * kRound * (beta2 * before.moment2 + (1.0 - beta2) * (g + g_error) * (g + g_error)) + kTiny;

  // mean = m / c1 and deviation = sqrt(v / c2) + epsilon, with |sqrt(a) - sqrt(b)| <= |a - b| / sqrt(max(a, b)).
  const double c1 = correction(params.beta1, params.step), c2 = correction(params.beta2, params.step);
  const double mean = std::abs(exact.moment1) / c1;
  const double mean_error = bound.moment1 / c1 + 4.0 * kRound * (mean + bound.moment1 / c1);
  const double variance = exact.moment2 / c2;
  const double variance_error = bound.moment2 / c2 + 4.0 * kRound * (variance + bound.moment2 / c2);
  const double root_error = variance_error / std::sqrt(std::max(variance, variance_error));
  const double deviation = std::sqrt(variance) + epsilon;
  const double deviation_error = root_error + 4.0 * kRound * (deviation + root_error);
  const double least_deviation = std::max(deviation - deviation_error, epsilon * (1.0 - 2.0 * kRound));

  // rate * (mean / deviation + decay * parameter): four roundings; then the subtraction.
  const double direction_error = (mean_error + mean * deviation_error / deviation) / least_deviation;
  const double pull = std::abs(static_cast<double>(params.decoupled_decay) * before.parameter);
  const double move = rate * (mean / deviation + direction_error + pull);
  bound.parameter = rate * direction_error + 6.0 * kRound * move + 2.0 * kRound * (std::abs(before.parameter) + move);
  return bound;
}

OneState one_state(Optimizer optimizer, double grad, const OptimizerParams& params, const OneState& before) {
  const double rate = params.learning_rate, epsilon = params.epsilon, mu = params.mu, beta2 = params.beta2;
  const double g = grad + static_cast<double>(params.weight_decay) * before.parameter;
  switch (optimizer) {
    case Optimizer::momentum: {
      const double state = mu * before.state + g;
      return {before.parameter - rate * (params.nesterov ? g + mu * state : state), state};
    }
    case Optimizer::adagrad: {
      const double state = before.state + g * g;
      return {before.parameter - rate * g / (std::sqrt(state) + epsilon), state};
    }
    case Optimizer::rmsprop: {
      const double state = beta2 * before.state + (1.0 - beta2) * g * g;
      return {before.parameter - rate * g / (std::sqrt(state) + epsilon), state};
    }
    default: return {before.parameter - rate * g, before.state};
  }
}

OneState one_state_bound(Optimizer optimizer, double grad, double grad_error, const OptimizerParams& params,
                         const OneState& before) {
  const OneState exact = one_state(optimizer, grad, params, before);
  const double rate = params.learning_rate, epsilon = params.epsilon, mu = params.mu, beta2 = params.beta2;
  const double decay = static_cast<double>(params.weight_decay) * before.parameter;
  const double g = std::abs(grad + decay);
  const double g_error = grad_error + 2.0 * kRound * (std::abs(grad) + std::abs(decay) + grad_error);
  const double most = g + g_error;
  OneState bound;
  double direction = g, direction_error = g_error;
  if (optimizer == Optimizer::momentum) {
    bound.state = g_error + 4.0 * kRound * (std::abs(mu * before.state) + most) + kTiny;
    direction = std::abs(exact.state);
    direction_error = bound.state;
    if (params.nesterov) {
      const double ahead = mu * (direction + direction_error);
      direction_error = g_error + mu * bound.state + 4.0 * kRound * (most + ahead);
      direction = g + ahead;
    }
  } else if (optimizer == Optimizer::adagrad || optimizer == Optimizer::rmsprop) {
    const double fresh = optimizer == Optimizer::adagrad ? 1.0 : 1.0 - beta2;
    const double kept = optimizer == Optimizer::adagrad ? before.state : beta2 * before.state;
    // As Adam's second moment and its root.
    bound.state = fresh * (2.0 * g + g_error) * g_error + 10.0 * kRound * (kept + fresh * most * most) +
                  2.0 * kRound * most * most;
    bound.state += kTiny;
    const double root_error = bound.state / std::sqrt(std::max(exact.state, bound.state));
    const double deviation = std::sqrt(exact.state) + epsilon;
    const double deviation_error = root_error + 4.0 * kRound * (deviation + root_error);
    const double least_deviation = std::max(deviation - deviation_error, epsilon * (1.0 - 2.0 * kRound));
    direction_error = (g_error + g * deviation_error / deviation) / least_deviation;
    direction = g / deviation;
  }
  const double move = rate * (direction + direction_error);
  bound.parameter = rate * direction_error + 6.0 * kRound * move + 2.0 * kRound * (std::abs(before.parameter) + move);
  return bound;
}

}  // namespace sheaf::ref
