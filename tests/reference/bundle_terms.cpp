#include <algorithm>
#include <cmath>

#include "tests/reference/genetic.hpp"

namespace sheaf::ref {
namespace {

constexpr double kRound = 0x1.0p-24;
constexpr double kTiny = 0x1.0p-126;  // what a float underflow may lose

BoundedNumber association(const BundleInput& input, int32_t i, int32_t j) {
  const auto row = [&](int32_t item) { return input.vectors.data() + item * input.dim; };
  if (input.dim > 0) return positive_cosine(row(i), row(j), input.dim);
  const auto n_items = input.item_price.size();
  const auto entry = [&](int32_t r, int32_t c) {
    return static_cast<double>(input.association[static_cast<size_t>(r) * n_items + static_cast<size_t>(c)]);
  };
  return {std::max(entry(i, j), entry(j, i)), 0.0};
}

}  // namespace

// Each length and the product of the two rows sum `dim` products; a root, a quotient and a product follow for each row.
// The sum of absolute products also bounds the cosine, by Cauchy and Schwarz.
BoundedNumber positive_cosine(const float* a, const float* b, int64_t dim) {
  double product = 0.0, magnitude = 0.0, a_squared = 0.0, b_squared = 0.0;
  for (int64_t c = 0; c < dim; ++c) {
    const double x = a[c], y = b[c];
    product += x * y;
    magnitude += std::abs(x * y);
    a_squared += x * x;
    b_squared += y * y;
  }
  const double lengths = std::sqrt(a_squared) * std::sqrt(b_squared);
  if (!(lengths > 0.0)) return {};  // zero or NaN
  const double steps = (2.0 * static_cast<double>(dim) + 12.0) * kRound;
  return {std::max(0.0, product / lengths), steps / (1.0 - steps) * magnitude / lengths};
}

BundleTerms bundle_terms(const BundleInput& input) {
  const auto c = static_cast<size_t>(input.n_candidates), n = input.candidates.size();
  BundleTerms terms;
  for (auto* linear : {&terms.linear, &terms.linear_bound}) linear->assign(n, 0.0);
  for (auto* pair : {&terms.pair, &terms.pair_bound}) pair->assign(n * c, 0.0);
  for (size_t a = 0; a < n; ++a) {
    const int32_t i = input.candidates[a];
    if (i < 0) continue;
    const double p = input.probability[a];
    const double revenue = input.weight_revenue * static_cast<double>(input.item_price[static_cast<size_t>(i)]);
    terms.linear[a] = p * (input.weight_preference + revenue);
    // Product, sum, product.
    terms.linear_bound[a] = 3.01 * kRound * std::abs(p) * (std::abs(input.weight_preference) + std::abs(revenue));
    if (!input.item_cost.empty()) {
      const double cost = input.item_cost[static_cast<size_t>(i)];
      terms.linear[a] -= cost;
      terms.linear_bound[a] += kRound * (std::abs(terms.linear[a]) + terms.linear_bound[a]);
    }
    for (size_t place = 0; place < c; ++place) {
      const size_t b = a / c * c + place;
      const int32_t j = input.candidates[b];
      if (j < 0 || a == b) continue;
      const double q = input.probability[b];
      const BoundedNumber between = association(input, i, j);
      const double weight = input.weight_association * input.scale;
      terms.pair[a * c + place] = weight * (p + q) * between.value;
      // The sum and three products.
      terms.pair_bound[a * c + place] = std::abs(weight) * (std::abs(p) + std::abs(q)) *
                                            (1.001 * between.error + 4.01 * kRound * std::abs(between.value)) +
                                        kTiny;
    }
  }
  return terms;
}

}  // namespace sheaf::ref
