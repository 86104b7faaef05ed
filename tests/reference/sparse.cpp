#include "tests/reference/sparse.hpp"

namespace sheaf::ref {
namespace {

// visit(column, value) for every entry of the row.
template <class Visit>
void for_each_entry(const test::HostCsr& matrix, int32_t row, const Visit& visit) {
  const auto r = static_cast<size_t>(row);
  for (auto e = static_cast<size_t>(matrix.row_offsets[r]); e < static_cast<size_t>(matrix.row_offsets[r + 1]); ++e) {
    visit(matrix.columns[e], matrix.values.empty() ? 1.0 : static_cast<double>(matrix.values[e]));
  }
}

}  // namespace

Sums spgemm(const test::HostCsr& left, const test::HostCsr* right, const std::vector<int32_t>& ids,
            const std::vector<float>& column_bias) {
  const int64_t n_columns = right ? right->n_columns : left.n_columns;
  Sums out(static_cast<int64_t>(ids.size()) * n_columns);
  for (size_t r = 0; r < ids.size(); ++r) {
    const int64_t first = static_cast<int64_t>(r) * n_columns;
    for (size_t i = 0; i < column_bias.size(); ++i) {
      out.add(first + static_cast<int64_t>(i), static_cast<double>(column_bias[i]));
    }
    for_each_entry(left, ids[r], [&](int32_t inner, double weight) {
      if (!right) return out.add(first + inner, weight);
      for_each_entry(*right, inner, [&](int32_t i, double value) { out.add(first + i, weight * value); });
    });
  }
  return out;
}

}  // namespace sheaf::ref
