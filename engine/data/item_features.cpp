#include "engine/data/item_features.hpp"

namespace sheaf {
namespace {

/// Number c of item i, in column `first` + c; a zero is left out.
void add_number(const ItemNumbers& numbers, int64_t i, int64_t c, int64_t first, HostCsr& matrix) {
  const float value = numbers.values[static_cast<size_t>(i * numbers.n + c)];
  if (value == 0.0f) return;
  matrix.columns.push_back(static_cast<int32_t>(first + c));
  matrix.values.push_back(value);
}

void add_numbers(const ItemNumbers& numbers, int64_t i, int64_t first, HostCsr& matrix) {
  for (int64_t c = 0; c < numbers.n; ++c) add_number(numbers, i, c, first, matrix);
}

/// The column of each field's first value; `n_columns` becomes the number of all values.
std::vector<int64_t> first_columns(const Catalog& catalog, int64_t& n_columns) {
  std::vector<int64_t> first;
  for (const ItemField& field : catalog.fields) {
    first.push_back(n_columns);
    n_columns += field.n_values;
  }
  return first;
}

}  // namespace

HostCsr feature_matrix(const Catalog& catalog) {
  HostCsr matrix;
  const std::vector<int64_t> first = first_columns(catalog, matrix.n_columns);
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

HostCsr attribute_sequences(const Catalog& catalog) {
  HostCsr matrix;
  const std::vector<int64_t> first = first_columns(catalog, matrix.n_columns);
  const int64_t first_number = matrix.n_columns;
  matrix.n_columns += catalog.numbers.n;
  for (int64_t i = 0; i < catalog.n_items; ++i) {
    for (size_t f = 0; f < first.size(); ++f) {
      matrix.columns.push_back(static_cast<int32_t>(first[f] + catalog.fields[f].codes[static_cast<size_t>(i)]));
      if (catalog.numbers.n > 0) matrix.values.push_back(1.0f);
      matrix.row_offsets.push_back(matrix.nnz());
    }
    for (int64_t c = 0; c < catalog.numbers.n; ++c) {
      add_number(catalog.numbers, i, c, first_number, matrix);
      matrix.row_offsets.push_back(matrix.nnz());
    }
  }
  return matrix;
}

}  // namespace sheaf
