#include "engine/data/item_features.hpp"

namespace sheaf {
namespace {

/// The values of item i, from column `first` on; zeros are left out.
void add_numbers(const ItemNumbers& numbers, int64_t i, int64_t first, HostCsr& matrix) {
  for (int64_t c = 0; c < numbers.n; ++c) {
    const float value = numbers.values[static_cast<size_t>(i * numbers.n + c)];
    if (value == 0.0f) continue;
    matrix.columns.push_back(static_cast<int32_t>(first + c));
    matrix.values.push_back(value);
  }
}

}  // namespace

HostCsr feature_matrix(const Catalog& catalog) {
  HostCsr matrix;
  std::vector<int64_t> first;  // column of each field
  for (const ItemField& field : catalog.fields) {
    first.push_back(matrix.n_columns);
    matrix.n_columns += field.n_values;
  }
  const int64_t first_number = matrix.n_columns, first_of_vector = first_number + catalog.numbers.n;
  matrix.n_columns = first_of_vector + catalog.vectors.n;
  const bool weighted = matrix.n_columns > first_number;
  for (int64_t i = 0; i < catalog.n_items; ++i) {
    for (size_t f = 0; f < first.size(); ++f) {
      matrix.columns.push_back(static_cast<int32_t>(first[f] + catalog.fields[f].codes[static_cast<size_t>(i)]));
      if (weighted) matrix.values.push_back(1.0f);
    }
    add_numbers(catalog.numbers, i, first_number, matrix);
    add_numbers(catalog.vectors, i, first_of_vector, matrix);
    matrix.row_offsets.push_back(matrix.nnz());
  }
  return matrix;
}

}  // namespace sheaf
