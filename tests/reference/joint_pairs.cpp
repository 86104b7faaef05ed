#include <algorithm>
#include <cmath>

#include "tests/reference/genetic.hpp"

namespace sheaf::ref {
namespace {

constexpr double kRound = 0x1.0p-24;
constexpr double kTiny = 0x1.0p-126;           // what a float underflow may lose
constexpr double kExponential = 4.0 * kRound;  // two units in the last place, on a device
constexpr double kPower = 18.0 * kRound;       // nine

// rho(i, j), its error relative.
BoundedNumber dependence(const JointInput& input, size_t i, size_t j) {
  const size_t n_items = input.frequency.size();
  BoundedNumber prior{1.0, 0.0};
  if (input.n_categories > 0) {
    const auto row = static_cast<size_t>(input.item_category[i]), column = static_cast<size_t>(input.item_category[j]);
    prior.value = input.prior[row * static_cast<size_t>(input.n_categories) + column];
  }
  if (input.dim > 0) {
    const auto dim = static_cast<size_t>(input.dim);
    const BoundedNumber cosine =
        positive_cosine(input.vectors.data() + i * dim, input.vectors.data() + j * dim, input.dim);
    prior.value *= std::exp(input.prior_cosine * cosine.value);
    // What the exponential is of, with the product that made it; the exponential; the product with the prior.
    prior.error = std::abs(input.prior_cosine) * (cosine.error + kRound * cosine.value) + kExponential + kRound;
  }
  const double count = input.counts.empty() ? 0.0 : static_cast<double>(input.counts[i * n_items + j]);
  const double expected = static_cast<double>(input.frequency[i]) * static_cast<double>(input.frequency[j]);
  const double ratio = (count + input.prior_strength * prior.value) / (expected + input.prior_strength);
  // Nothing is negative: relative errors do not grow in sums. A product and a sum above and below, a quotient.
  const double ratio_error = prior.error + 5.0 * kRound;
  // The power, the exponential of the offset, their product.
  return {std::exp(input.offset) * std::pow(ratio, input.exponent),
          std::abs(input.exponent) * ratio_error + kPower + kExponential + kRound};
}

}  // namespace

JointPairs joint_pairs(const JointInput& input) {
  const auto c = static_cast<size_t>(input.n_candidates), n = input.candidates.size();
  JointPairs result{std::vector<double>(input.pair.begin(), input.pair.end()),
                    std::vector<double>(input.pair.size(), 0.0)};
  for (size_t a = 0; a < n; ++a) {
    for (size_t place = 0; place < c; ++place) {
      const size_t b = a / c * c + place;
      if (input.candidates[a] < 0 || input.candidates[b] < 0 || a == b) continue;
      const auto i = static_cast<size_t>(input.candidates[a]), j = static_cast<size_t>(input.candidates[b]);
      const BoundedNumber rho = dependence(input, i, j);
      const double p = input.probability[a], q = input.probability[b];
      const double joint = std::min({p, q, p * q * rho.value});
      const bool is_substitute = !input.substitutes.empty() && input.substitutes[i * input.frequency.size() + j] != 0;
      const double factor = input.weight * joint * (is_substitute ? input.substitute_factor : 1.0);
      const double u = input.value[a], v = input.value[b];
      double& sum = result.pair[a * c + place];
      sum += factor * (u + v);
      // Two products make the joint chance; then the sum of the values and three products; then the sum with what was
      // there.
      result.bound[a * c + place] = 1.01 * std::abs(factor) * (std::abs(u) + std::abs(v)) * (rho.error + 6.0 * kRound) +
                                    1.01 * kRound * std::abs(sum) + kTiny;
    }
  }
  return result;
}

}  // namespace sheaf::ref
