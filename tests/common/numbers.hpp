#pragma once
/// Small number tools that several op tests share.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace sheaf::test {

/// Unit roundoff of float: one correctly rounded operation errs by at most this, relative.
inline constexpr double kRound = 0x1.0p-24;

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

inline std::vector<double> to_double(const std::vector<float>& values) {
  return std::vector<double>(values.begin(), values.end());
}

/// (f(x + h) - f(x - h)) / 2h along coordinate i. `f` takes the whole vector.
template <class F>
double central_difference(const F& f, std::vector<double> x, size_t i, double h) {
  const double at = x[i];
  x[i] = at + h;
  const double above = f(x);
  x[i] = at - h;
  return (above - f(x)) / (2.0 * h);
}

/// A value that chi-square with `freedom` degrees of freedom exceeds about once in 3.5 million times: the normal
/// quantile 5 by the cube formula of Wilson and Hilferty.
inline double chi_square_limit(double freedom) {
  const double a = 2.0 / (9.0 * freedom);
  return freedom * std::pow(1.0 - a + 5.0 * std::sqrt(a), 3.0);
}

/// Sum of (count - expected)^2 / expected; cells that expect nothing must hold nothing, else infinity.
inline double chi_square(const std::vector<int64_t>& counts, const std::vector<double>& expected) {
  double sum = 0.0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double excess = static_cast<double>(counts[i]) - expected[i];
    if (excess != 0.0) sum += excess * excess / expected[i];
  }
  return sum;
}

}  // namespace sheaf::test
