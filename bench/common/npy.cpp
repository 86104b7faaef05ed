#include "bench/common/npy.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <system_error>

#include "kernels/core/error.hpp"

namespace sheaf::bench {
namespace {

// Format 1.0: magic, version, length of the header, the header padded so that the data begins at a multiple of 64.
std::string npy_header(const char* type, const std::vector<int64_t>& shape) {
  constexpr size_t kPrefix = 10, kAlignment = 64;
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({},), }}", type, fmt::join(shape, ", "));
  header.append(kAlignment - (kPrefix + header.size() + 1) % kAlignment, ' ');
  header += '\n';
  std::string prefix("\x93NUMPY\x01\x00", 8);
  prefix += static_cast<char>(header.size() & 0xff);
  prefix += static_cast<char>(header.size() >> 8);
  return prefix + header;
}

}  // namespace

ArrayFolder::ArrayFolder(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) throw DataError("cannot make folder " + path_.string() + ": " + error.message());
}

template <class T>
void ArrayFolder::write_as(const std::string& name, const char* type, const std::vector<T>& values,
                           const std::vector<int64_t>& shape) const {
  const std::filesystem::path path = path_ / (name + ".npy");
  const std::string header = npy_header(type, shape);
  std::ofstream file(path, std::ios::binary);
  file.write(header.data(), static_cast<std::streamsize>(header.size()));
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
  file.close();
  if (!file) throw DataError("cannot write " + path.string(), "is the disk full?");
}

void ArrayFolder::write(const std::string& name, const std::vector<float>& values,
                        const std::vector<int64_t>& shape) const {
  write_as(name, "<f4", values, shape);
}
void ArrayFolder::write(const std::string& name, const std::vector<int32_t>& values,
                        const std::vector<int64_t>& shape) const {
  write_as(name, "<i4", values, shape);
}
void ArrayFolder::write(const std::string& name, const std::vector<int64_t>& values,
                        const std::vector<int64_t>& shape) const {
  write_as(name, "<i8", values, shape);
}
void ArrayFolder::write(const std::string& name, const test::HostCsr& csr) const {
  const auto nnz = static_cast<int64_t>(csr.columns.size());
  write(name + "_row_offsets", csr.row_offsets, {csr.n_rows() + 1});
  write(name + "_columns", csr.columns, {nnz});
  if (!csr.values.empty()) write(name + "_values", csr.values, {nnz});
}

}  // namespace sheaf::bench
