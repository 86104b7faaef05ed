#pragma once
/// Shares of what may be nothing.

#include <limits>

namespace sheaf {

/// part / whole; NaN where there is no whole.
inline double ratio(double part, double whole) {
  return whole > 0 ? part / whole : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace sheaf
