#include "host/data/vector_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "engine/data/shown.hpp"
#include "engine/io/file_io.hpp"
#include "engine/io/safetensors.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/half.hpp"

namespace sheaf::data {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_vectors(const fs::path& path, const std::string& what, const std::string& hint) {
  throw DataError(fmt::format("{}: {}", path.string(), what), hint);
}

constexpr const char* kSaveAgain = "save it again: numpy.save(file, vectors.astype('<f4'))";

/// The elements in 32 bits; memcpy, because they may lie anywhere in a file.
template <class T>
void append_as_floats(std::string_view bytes, std::vector<float>& out) {
  for (size_t at = 0; at < bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    if constexpr (std::is_same_v<T, double>) {
      out.push_back(static_cast<float>(value));
    } else {
      out.push_back(to_float(value));
    }
  }
}

/// What follows `'key':` in the header of a .npy, a Python dictionary; empty if it is not there.
std::string_view npy_value(std::string_view header, std::string_view key) {
  const size_t at = header.find(fmt::format("'{}':", key));
  if (at == std::string_view::npos) return {};
  std::string_view value = header.substr(at + key.size() + 3);
  value.remove_prefix(std::min(value.size(), value.find_first_not_of(' ')));
  const size_t end = value.starts_with('(') ? value.find(')') : value.find_first_of(",}");
  return end == std::string_view::npos ? std::string_view{} : value.substr(0, value.starts_with('(') ? end + 1 : end);
}

/// "(3, 4)" or "(3,)"; empty for anything else.
std::vector<int64_t> npy_shape(std::string_view text) {
  constexpr int64_t kMost = int64_t{1} << 40;
  std::vector<int64_t> shape;
  bool in_number = false;
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      if (!in_number) shape.push_back(0);
      shape.back() = shape.back() * 10 + (c - '0');
      if (shape.back() > kMost) return {};
    } else if (c != '(' && c != ')' && c != ',' && c != ' ') {
      return {};
    }
    in_number = c >= '0' && c <= '9';
  }
  return shape;
}

VectorFile read_npy(const fs::path& path) {
  constexpr std::string_view kMagic("\x93NUMPY", 6);
  constexpr size_t kVersionEnd = 8;
  const std::string bytes = io::read_file(path);
  const std::string_view all = bytes;
  const auto unsigned_at = [&](size_t at) { return static_cast<size_t>(static_cast<unsigned char>(all[at])); };
  if (!all.starts_with(kMagic) || all.size() < kVersionEnd + 4) fail_vectors(path, "no .npy file", kSaveAgain);
  const bool first_version = all[6] == 1;
  const size_t begin = kVersionEnd + (first_version ? 2 : 4);
  size_t length = unsigned_at(8) | unsigned_at(9) << 8;
  if (!first_version) length |= unsigned_at(10) << 16 | unsigned_at(11) << 24;
  if (length > all.size() - begin) fail_vectors(path, "the file ends within its header", kSaveAgain);
  const std::string_view header = all.substr(begin, length), type = npy_value(header, "descr");
  const std::vector<int64_t> shape = npy_shape(npy_value(header, "shape"));
  const size_t element = type == "'<f4'" ? 4 : type == "'<f8'" ? 8 : type == "'<f2'" ? 2 : 0;
  if (element == 0) {
    fail_vectors(path, fmt::format("elements of type {}, expected '<f2', '<f4' or '<f8'", text::shown(type)),
                 kSaveAgain);
  }
  if (shape.size() != 2 || shape[0] < 1 || shape[1] < 1) {
    fail_vectors(path,
                 fmt::format("a shape of {}, expected (items, dimensions)", text::shown(npy_value(header, "shape"))),
                 "give a matrix with a row for each item");
  }
  const std::string_view data = all.substr(begin + length);
  int64_t expected = 0;
  if (__builtin_mul_overflow(shape[0], shape[1], &expected) ||
      __builtin_mul_overflow(expected, static_cast<int64_t>(element), &expected) || std::ssize(data) != expected) {
    fail_vectors(
        path,
        fmt::format("{} bytes of elements, expected {} x {} of {} bytes", data.size(), shape[0], shape[1], element),
        "the file is cut off or damaged: make it again");
  }
  VectorFile file{shape[0], shape[1], {}};
  if (element == 4) append_as_floats<float>(data, file.values);
  if (element == 8) append_as_floats<double>(data, file.values);
  if (element == 2) append_as_floats<Half>(data, file.values);
  if (npy_value(header, "fortran_order") == "True") {  // column by column
    std::vector<float> by_rows(file.values.size());
    for (int64_t row = 0; row < file.rows; ++row) {
      for (int64_t c = 0; c < file.dim; ++c) {
        by_rows[static_cast<size_t>(row * file.dim + c)] = file.values[static_cast<size_t>(c * file.rows + row)];
      }
    }
    file.values = std::move(by_rows);
  }
  return file;
}

template <class T>
void append_tensor(const io::SafetensorsFile& tensors, const std::string& name, std::vector<float>& out) {
  const auto bytes = std::as_bytes(tensors.tensor<T>(name));
  append_as_floats<T>({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, out);
}

VectorFile read_tensor(const fs::path& path, const std::string& named) {
  const io::SafetensorsFile tensors(path);
  const std::vector<std::string> names = tensors.names();
  if (named.empty() && names.size() != 1) {
    fail_vectors(path, fmt::format("{} tensors: {}", names.size(), text::shown_list(names)),
                 "name one: vectors.tensor");
  }
  const std::string& name = named.empty() ? names.front() : named;
  const std::vector<int64_t>& shape = tensors.shape(name);
  if (shape.size() != 2 || shape[0] < 1 || shape[1] < 1) {
    fail_vectors(path,
                 fmt::format("tensor '{}' has a shape of ({}), expected (items, dimensions)", text::shown(name),
                             fmt::join(shape, ", ")),
                 "give a matrix with a row for each item");
  }
  VectorFile file{shape[0], shape[1], {}};
  switch (tensors.type(name)) {
    case io::TensorType::f16: append_tensor<Half>(tensors, name, file.values); break;
    case io::TensorType::f32: append_tensor<float>(tensors, name, file.values); break;
    case io::TensorType::f64: append_tensor<double>(tensors, name, file.values); break;
    default:
      fail_vectors(path, fmt::format("tensor '{}' holds whole numbers", text::shown(name)), "give F16, F32 or F64");
  }
  return file;
}

}  // namespace

VectorFile read_vectors(const fs::path& path, const std::string& tensor) {
  const bool is_npy = path.extension() == ".npy";
  if (!is_npy && path.extension() != ".safetensors") {
    fail_vectors(path, "vectors come as .npy or .safetensors", kSaveAgain);
  }
  VectorFile file = is_npy ? read_npy(path) : read_tensor(path, tensor);
  for (size_t at = 0; at < file.values.size(); ++at) {
    if (std::isfinite(file.values[at])) continue;
    fail_vectors(path,
                 fmt::format("row {}, column {} (from 0) is not a finite number", at / static_cast<size_t>(file.dim),
                             at % static_cast<size_t>(file.dim)),
                 "leave the item out, or give it zeros");
  }
  return file;
}

}  // namespace sheaf::data
