#pragma once
/// Inputs of the benchmarks, and the comparison of results with the oracles. Everything is drawn from fixed seeds.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/core/buffer.hpp"
#include "tests/reference/embedding.hpp"
#include "tests/reference/sums.hpp"

namespace sheaf::bench {

/// Ids as shops see them: id i is drawn with density ~ i^(-2/3), so a few are asked for all the time.
std::vector<int32_t> popular_ids(int64_t n, int64_t n_values, uint32_t seed);

/// Ids by Zipf's law: id i with density ~ (i + 1)^-exponent, exponent > 1.
std::vector<int32_t> zipf_ids(int64_t n, int64_t n_values, double exponent, uint32_t seed);

/// Rows of up to max_per_row popular columns, unique and ascending; values, if any, in [0.1, 2).
test::HostCsr popular_csr(int64_t n_rows, int64_t n_columns, int64_t max_per_row, uint32_t seed, bool with_values);

/// `count` places of [0, n), evenly spread, the first and the last among them; all of them if there are no more.
std::vector<int64_t> spread(int64_t n, int64_t count);

/// An output that nobody has written yet: every float of it is NaN.
template <class T>
Buffer<T> poisoned(Context& context, int64_t size) {
  Buffer<T> buffer(context, size);
  buffer.fill_bytes(0xff);
  return buffer;
}

std::vector<double> to_double(const std::vector<float>& values);

/// Empty when |got - expected| <= bound, else a line that names `what` and the place.
std::string difference(const std::string& what, int64_t place, double got, double expected, double bound);
/// The same for every element.
std::string difference(const std::string& what, const std::vector<float>& got, const ref::Sums& expected);

/// The first line that is not empty.
inline std::string first_of(std::initializer_list<std::string> faults) {
  for (const std::string& fault : faults) {
    if (!fault.empty()) return fault;
  }
  return {};
}

}  // namespace sheaf::bench
