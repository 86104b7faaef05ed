#include "engine/models/tensors.hpp"

#include <algorithm>

#include "kernels/core/error.hpp"

namespace sheaf {

void throw_bad_tensor(const std::string& name, const std::string& what) {
  throw DataError("the model's tensor '" + name + "' " + what, "train the model again");
}

void add_csr(std::vector<NamedTensor>& tensors, const std::string& name, const HostCsr& matrix) {
  tensors.push_back({name + ".row_offsets", {std::ssize(matrix.row_offsets)}, matrix.row_offsets});
  tensors.push_back({name + ".columns", {matrix.nnz()}, matrix.columns});
  if (!matrix.values.empty()) tensors.push_back({name + ".values", {matrix.nnz()}, matrix.values});
}

const NamedTensor* Tensors::find(const std::string& name) const {
  const auto at = std::ranges::find(tensors_, name, &NamedTensor::name);
  return at == tensors_.end() ? nullptr : &*at;
}

const NamedTensor& Tensors::at(const std::string& name) const {
  const NamedTensor* tensor = find(name);
  if (tensor == nullptr) throw_bad_tensor(name, "is missing");
  return *tensor;
}

std::pair<int64_t, int64_t> Tensors::matrix_shape(const std::string& name) const {
  const NamedTensor& tensor = at(name);
  if (tensor.shape.size() != 2 || !std::holds_alternative<std::vector<float>>(tensor.values)) {
    throw_bad_tensor(name, "is no matrix of floats");
  }
  return {tensor.shape[0], tensor.shape[1]};
}

const std::vector<float>& Tensors::matrix(const std::string& name, int64_t rows, int64_t cols) const {
  const auto [has_rows, has_cols] = matrix_shape(name);
  if (has_rows != rows || has_cols != cols) {
    throw_bad_tensor(name, "is [" + std::to_string(has_rows) + ", " + std::to_string(has_cols) + "] and not [" +
                               std::to_string(rows) + ", " + std::to_string(cols) + "]");
  }
  return std::get<std::vector<float>>(at(name).values);
}

template <class T>
const std::vector<T>& Tensors::vector(const std::string& name, int64_t size) const {
  const auto* values = std::get_if<std::vector<T>>(&at(name).values);
  if (values == nullptr) throw_bad_tensor(name, "has another type");
  if (size >= 0 && std::ssize(*values) != size) {
    throw_bad_tensor(name, "has " + std::to_string(values->size()) + " values and not " + std::to_string(size));
  }
  return *values;
}
template const std::vector<float>& Tensors::vector<float>(const std::string&, int64_t) const;
template const std::vector<int32_t>& Tensors::vector<int32_t>(const std::string&, int64_t) const;
template const std::vector<int64_t>& Tensors::vector<int64_t>(const std::string&, int64_t) const;

Tensors Tensors::part(const std::string& prefix) const {
  std::vector<NamedTensor> part;
  for (const NamedTensor& tensor : tensors_) {
    if (!tensor.name.starts_with(prefix)) continue;
    part.push_back(tensor);
    part.back().name.erase(0, prefix.size());
  }
  return Tensors(std::move(part));
}

HostCsr Tensors::csr(const std::string& name, int64_t n_rows, int64_t n_columns) const {
  HostCsr matrix;
  matrix.n_columns = n_columns;
  matrix.row_offsets = vector<int64_t>(name + ".row_offsets", n_rows + 1);
  matrix.columns = vector<int32_t>(name + ".columns", -1);
  if (has(name + ".values")) {
    matrix.values = vector<float>(name + ".values", matrix.nnz());
  }
  if (matrix.row_offsets.empty() || matrix.n_rows() != n_rows || matrix.row_offsets.front() != 0 ||
      matrix.row_offsets.back() != matrix.nnz() || !std::ranges::is_sorted(matrix.row_offsets)) {
    throw_bad_tensor(name, "has rows that do not fit the model");
  }
  for (int64_t r = 0; r < n_rows; ++r) {
    const auto row = matrix.row(r);
    if (std::ranges::adjacent_find(row, std::ranges::greater_equal{}) != row.end()) {
      throw_bad_tensor(name, "has columns that do not ascend");
    }
  }
  if (!std::ranges::all_of(matrix.columns, [&](int32_t c) { return c >= 0 && c < n_columns; })) {
    throw_bad_tensor(name, "names a column that the model does not have");
  }
  return matrix;
}

}  // namespace sheaf
