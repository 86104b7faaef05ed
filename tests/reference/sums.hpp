#pragma once
/// Sums in double precision that know how far a float sum of the same terms may be from them.

#include <cmath>
#include <cstdint>
#include <vector>

namespace sheaf::ref {

/// An array of sums; beside each the sum of its terms' absolute values and the number of its terms.
struct Sums {
  std::vector<double> value;
  std::vector<double> magnitude;
  std::vector<int64_t> n_terms;

  explicit Sums(int64_t size) : value(static_cast<size_t>(size)), magnitude(value.size()), n_terms(value.size()) {}

  void add(int64_t at, double term) {
    const auto i = static_cast<size_t>(at);
    value[i] += term;
    magnitude[i] += std::abs(term);
    ++n_terms[i];
  }

  /// Rounding bound of a float sum of n terms in any order, when each term took at most two roundings to make:
  /// gamma(n + 2) * magnitude (Higham, "Accuracy and Stability of Numerical Algorithms", chapter 4).
  double bound(size_t at) const {
    const double steps = static_cast<double>(n_terms[at] + 2) * 0x1.0p-24;
    return steps / (1.0 - steps) * magnitude[at];
  }
};

}  // namespace sheaf::ref
