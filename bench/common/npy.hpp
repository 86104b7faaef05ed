#pragma once
/// Arrays as .npy files, for the same work in other systems (bench/peers).

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/common/inputs.hpp"

namespace sheaf::bench {

/// A folder of arrays; made when it is not there.
class ArrayFolder {
 public:
  explicit ArrayFolder(std::filesystem::path path);

  /// `shape` multiplies to the number of values. DataError if it cannot be written.
  void write(const std::string& name, const std::vector<float>& values, const std::vector<int64_t>& shape) const;
  void write(const std::string& name, const std::vector<int32_t>& values, const std::vector<int64_t>& shape) const;
  void write(const std::string& name, const std::vector<int64_t>& values, const std::vector<int64_t>& shape) const;
  /// <name>_row_offsets, <name>_columns and, if it has any, <name>_values.
  void write(const std::string& name, const test::HostCsr& csr) const;

 private:
  template <class T>
  void write_as(const std::string& name, const char* type, const std::vector<T>& values,
                const std::vector<int64_t>& shape) const;

  std::filesystem::path path_;
};

}  // namespace sheaf::bench
