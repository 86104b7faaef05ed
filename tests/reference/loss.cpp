#include "tests/reference/loss.hpp"

#include <cmath>

namespace sheaf::ref {
namespace {

constexpr double kRound = 0x1.0p-24;
constexpr double kTiny = 0x1.0p-126;  // what a float underflow may lose

double sigmoid(double x) { return x >= 0 ? 1.0 / (1.0 + std::exp(-x)) : std::exp(x) / (1.0 + std::exp(x)); }
double softplus(double x) { return std::fmax(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

// Float errors. exp and log1p are within 2 units in the last place (4 roundings each, as the tables of CUDA and glibc
// promise), and every other operation rounds once:
//   sigmoid = (1 or e) / (1 + e): 4 from e, again 4 at most through 1 + e, the sum, the quotient: 10, relative.
//   softplus = max(x, 0) + log1p(e): e's 4 reach log1p as less than 4 of its own, its own 4, the sum: 9, relative.
// The numbers count roundings.
constexpr double kSigmoidError = 10.0 * kRound;
constexpr double kSoftplusError = 9.0 * kRound;

// A double sum of n float terms and a division.
double double_sum_error(double n, double magnitude) { return (n + 2.0) * 0x1.0p-52 * magnitude; }

LossOutput empty_output(const LossInput& input) {
  LossOutput out;
  out.d_logits.resize(input.logits.size());
  out.d_bounds.resize(input.logits.size());
  return out;
}

}  // namespace

LossOutput bce(const LossInput& input) {
  LossOutput out = empty_output(input);
  const auto n = static_cast<double>(input.logits.size());
  double magnitude = 0.0;
  for (size_t i = 0; i < input.logits.size(); ++i) {
    const bool positive = i % static_cast<size_t>(input.group) == 0;
    const double x = input.logits[i];
    const double label = positive ? 1.0 : 0.0;
    const double weight =
        input.row_weight[i / static_cast<size_t>(input.group)] * (positive ? input.positive_weight : 1.0);
    out.loss += weight * (softplus(x) - label * x) / n;
    magnitude += std::abs(weight) * softplus(x) / n;
    // softplus, then the difference, the weight and their product. Terms are at most softplus for either label when x >
    // 0, and at most softplus + |x| else.
    out.loss_bound +=
        std::abs(weight) * (kSoftplusError * softplus(x) + 4.0 * kRound * (softplus(x) + std::abs(x))) / n;
    out.d_logits[i] = weight * (sigmoid(x) - label) / n;
    // sigmoid, then the difference, the weight, the rounded 1 / n, two products.
    out.d_bounds[i] =
        std::abs(weight) / n * (kSigmoidError * sigmoid(x) + 6.0 * kRound * std::abs(sigmoid(x) - label)) + kTiny;
  }
  out.loss_bound += double_sum_error(n, magnitude) + kTiny;
  return out;
}

LossOutput bpr(const LossInput& input) {
  LossOutput out = empty_output(input);
  const auto group = static_cast<size_t>(input.group);
  const double n = static_cast<double>(input.n_batch) * static_cast<double>(input.group - 1);
  for (size_t row = 0; row < static_cast<size_t>(input.n_batch); ++row) {
    const double weight = input.row_weight[row];
    const size_t positive = row * group;
    double magnitude = 0.0;
    for (size_t i = positive + 1; i < positive + group; ++i) {
      const double margin = input.logits[i] - input.logits[positive];
      const double s = sigmoid(margin) * weight / n;
      out.loss += weight * softplus(margin) / n;
      out.d_logits[i] = s;
      out.d_logits[positive] -= s;
      magnitude += std::abs(s);
      // The rounded margin moves sigmoid by sigmoid * (1 - sigmoid) and softplus by sigmoid times its error.
      const double margin_error = kRound * std::abs(margin);
      out.loss_bound += std::abs(weight) / n *
                        ((kSoftplusError + 2.0 * kRound) * softplus(margin) + 2.0 * margin_error * sigmoid(margin));
      // sigmoid, the rounded 1 / n, two products.
      out.d_bounds[i] = std::abs(s) * (kSigmoidError + 5.0 * kRound + 2.0 * margin_error * sigmoid(-margin)) + kTiny;
      out.d_bounds[positive] += out.d_bounds[i];
    }
    out.d_bounds[positive] += static_cast<double>(group) * kRound * magnitude * 1.01;
  }
  out.loss_bound += double_sum_error(n, std::abs(out.loss)) + kTiny;
  return out;
}

}  // namespace sheaf::ref
