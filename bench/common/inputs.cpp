#include "bench/common/inputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace sheaf::bench {
namespace {

// The cube of a uniform number has density ~ x^(-2/3).
int32_t popular_id(std::mt19937& engine, int64_t n_values) {
  const double u = std::uniform_real_distribution<double>(0.0, 1.0)(engine);
  return static_cast<int32_t>(std::min(static_cast<double>(n_values) * u * u * u, static_cast<double>(n_values - 1)));
}

}  // namespace

std::vector<int32_t> popular_ids(int64_t n, int64_t n_values, uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (int32_t& id : ids) id = popular_id(engine, n_values);
  return ids;
}

std::vector<int32_t> zipf_ids(int64_t n, int64_t n_values, double exponent, uint32_t seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  // The inverse of the distribution function of x^-exponent on [1, n_values + 1).
  const double power = 1.0 - exponent;
  const double tail = std::pow(static_cast<double>(n_values + 1), power) - 1.0;
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (int32_t& id : ids) {
    const double x = std::pow(1.0 + uniform(engine) * tail, 1.0 / power);
    id = static_cast<int32_t>(std::clamp(x - 1.0, 0.0, static_cast<double>(n_values - 1)));
  }
  return ids;
}

test::HostCsr popular_csr(int64_t n_rows, int64_t n_columns, int64_t max_per_row, uint32_t seed, bool with_values) {
  std::mt19937 engine(seed);
  std::uniform_int_distribution<int64_t> length(1, max_per_row);
  std::uniform_real_distribution<float> value(0.1f, 2.0f);
  test::HostCsr csr;
  csr.n_columns = n_columns;
  for (int64_t row = 0; row < n_rows; ++row) {
    std::vector<int32_t> columns(static_cast<size_t>(length(engine)));
    for (int32_t& column : columns) column = popular_id(engine, n_columns);
    std::sort(columns.begin(), columns.end());
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    csr.columns.insert(csr.columns.end(), columns.begin(), columns.end());
    csr.row_offsets.push_back(static_cast<int64_t>(csr.columns.size()));
  }
  if (with_values) {
    csr.values.resize(csr.columns.size());
    for (float& v : csr.values) v = value(engine);
  }
  return csr;
}

std::vector<int64_t> spread(int64_t n, int64_t count) {
  std::vector<int64_t> places;
  const int64_t taken = std::min(n, count);
  for (int64_t i = 0; i < taken; ++i) places.push_back(taken == 1 ? 0 : i * (n - 1) / (taken - 1));
  return places;
}

std::vector<double> to_double(const std::vector<float>& values) {
  return std::vector<double>(values.begin(), values.end());
}

std::string difference(const std::string& what, int64_t place, double got, double expected, double bound) {
  if (std::abs(got - expected) <= bound) return {};
  return fmt::format("{}[{}] is {:.9g}, the oracle says {:.9g} +- {:.2g}", what, place, got, expected, bound);
}

std::string difference(const std::string& what, const std::vector<float>& got, const ref::Sums& expected) {
  if (got.size() != expected.value.size()) return what + " has another size than the oracle's";
  for (size_t i = 0; i < got.size(); ++i) {
    const std::string fault =
        difference(what, static_cast<int64_t>(i), static_cast<double>(got[i]), expected.value[i], expected.bound(i));
    if (!fault.empty()) return fault;
  }
  return {};
}

}  // namespace sheaf::bench
