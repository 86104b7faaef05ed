#pragma once
/// What a model has learned, by name. It is the same for every model, so one reader and one writer serve all
/// (model_file.hpp).

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "engine/data/csr.hpp"

namespace sheaf {

struct NamedTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::variant<std::vector<float>, std::vector<int32_t>, std::vector<int64_t>> values;
};

/// A sparse matrix as `name`.row_offsets, .columns and, unless it is a pattern, .values.
void add_csr(std::vector<NamedTensor>& tensors, const std::string& name, const HostCsr& matrix);

/// Tensors to restore a model from.
class Tensors {
 public:
  explicit Tensors(std::vector<NamedTensor> tensors) : tensors_(std::move(tensors)) {}

  bool has(const std::string& name) const { return find(name) != nullptr; }
  /// The shape of a matrix. DataError if it is missing or no matrix.
  std::pair<int64_t, int64_t> matrix_shape(const std::string& name) const;
  /// DataError unless it is there with this type and shape.
  const std::vector<float>& matrix(const std::string& name, int64_t rows, int64_t cols) const;
  /// DataError unless it is there with this type and, for size >= 0, this many values.
  template <class T>
  const std::vector<T>& vector(const std::string& name, int64_t size) const;
  /// A matrix of add_csr(). DataError unless it has n_rows rows in order and its columns are in [0, n_columns).
  HostCsr csr(const std::string& name, int64_t n_rows, int64_t n_columns) const;
  /// Those whose names begin with `prefix`, named by the rest.
  Tensors part(const std::string& prefix) const;

 private:
  const NamedTensor* find(const std::string& name) const;
  const NamedTensor& at(const std::string& name) const;
  std::vector<NamedTensor> tensors_;
};

/// DataError: the model's tensor `name` `what`.
[[noreturn]] void throw_bad_tensor(const std::string& name, const std::string& what);

}  // namespace sheaf
