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

double cosine(const float* a, const float* b, int64_t dim) {
  const double lengths = std::sqrt(dot(a, a, dim).value) * std::sqrt(dot(b, b, dim).value);
  if (!(lengths > 0.0) || std::isinf(lengths)) return std::numeric_limits<double>::quiet_NaN();
  return dot(a, b, dim).value / lengths;
}

}  // namespace sheaf::ref
