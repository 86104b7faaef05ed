#include "tests/reference/association.hpp"

#include <cmath>
#include <limits>

#include "tests/reference/topk.hpp"

namespace sheaf::ref {

test::HostCsr transpose(const test::HostCsr& matrix) {
  std::vector<std::vector<int32_t>> rows(static_cast<size_t>(matrix.n_columns));
  for (int64_t row = 0; row < matrix.n_rows(); ++row) {
    for (int64_t e = matrix.row_offsets[static_cast<size_t>(row)]; e < matrix.row_offsets[static_cast<size_t>(row) + 1];
         ++e) {
      rows[static_cast<size_t>(matrix.columns[static_cast<size_t>(e)])].push_back(static_cast<int32_t>(row));
    }
  }
  test::HostCsr result;
  result.n_columns = matrix.n_rows();
  for (const auto& row : rows) {
    result.columns.insert(result.columns.end(), row.begin(), row.end());
    result.row_offsets.push_back(static_cast<int64_t>(result.columns.size()));
  }
  return result;
}

std::vector<std::map<int32_t, int32_t>> cooccurrence(const test::HostCsr& baskets, int32_t min_count) {
  std::vector<std::map<int32_t, int32_t>> counts(static_cast<size_t>(baskets.n_columns));
  for (size_t basket = 0; basket + 1 < baskets.row_offsets.size(); ++basket) {
    const auto begin = static_cast<size_t>(baskets.row_offsets[basket]);
    const auto end = static_cast<size_t>(baskets.row_offsets[basket + 1]);
    for (size_t a = begin; a < end; ++a) {
      for (size_t b = begin; b < end; ++b) {
        if (a != b) ++counts[static_cast<size_t>(baskets.columns[a])][baskets.columns[b]];
      }
    }
  }
  for (auto& row : counts) std::erase_if(row, [&](const auto& entry) { return entry.second < min_count; });
  return counts;
}

double measure(association::Measure measure, int64_t c_ij, int64_t c_i, int64_t c_j, int64_t n) {
  using association::Measure;
  if (c_i == 0 || c_j == 0 || n == 0) return 0.0;
  const auto share = [n](int64_t count) { return static_cast<double>(count) / static_cast<double>(n); };
  const double confidence = share(c_ij) / share(c_i);
  switch (measure) {
    case Measure::support: return share(c_ij);
    case Measure::confidence: return confidence;
    case Measure::lift: return confidence / share(c_j);
    case Measure::leverage: return share(c_ij) - share(c_i) * share(c_j);
    case Measure::conviction:
      // P(i) P(not j) / P(i and not j)
      if (c_i == c_ij) return std::numeric_limits<double>::infinity();
      return share(c_i) * share(n - c_j) / share(c_i - c_ij);
    case Measure::jaccard: return share(c_ij) / (share(c_i) + share(c_j) - share(c_ij));
    case Measure::cosine: return share(c_ij) / std::sqrt(share(c_i) * share(c_j));
  }
  return std::numeric_limits<double>::quiet_NaN();
}

double cosine(const float* a, const float* b, int64_t dim) {
  const double lengths = std::sqrt(dot(a, a, dim).value) * std::sqrt(dot(b, b, dim).value);
  if (!(lengths > 0.0) || std::isinf(lengths)) return std::numeric_limits<double>::quiet_NaN();
  return dot(a, b, dim).value / lengths;
}

}  // namespace sheaf::ref
