#pragma once
/// Tensors in a file, in the safetensors format (https://huggingface.co/docs/safetensors: 8 bytes header length, a JSON
/// header, the raw little-endian tensors). Files are mapped, not parsed. Tensors lie on a multiple of their element
/// size.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/core/half.hpp"

namespace sheaf::io {

enum class TensorType : uint8_t { f32, f64, i32, i64, u8, f16 };

namespace detail {
template <class T>
struct TensorTypeOf;
template <>
struct TensorTypeOf<float> {
  static constexpr TensorType value = TensorType::f32;
};
template <>
struct TensorTypeOf<Half> {
  static constexpr TensorType value = TensorType::f16;
};
template <>
struct TensorTypeOf<double> {
  static constexpr TensorType value = TensorType::f64;
};
template <>
struct TensorTypeOf<int32_t> {
  static constexpr TensorType value = TensorType::i32;
};
template <>
struct TensorTypeOf<int64_t> {
  static constexpr TensorType value = TensorType::i64;
};
template <>
struct TensorTypeOf<uint8_t> {
  static constexpr TensorType value = TensorType::u8;
};
}  // namespace detail

/// Collects views of tensors and writes them in one go. Nothing is copied: the values must live until `write` returns.
class SafetensorsWriter {
 public:
  /// UsageError for an empty or repeated name, or a shape that does not hold `values.size()` elements.
  template <class T>
  void add(std::string name, std::vector<int64_t> shape, std::span<const T> values) {
    add_bytes(std::move(name), detail::TensorTypeOf<T>::value, std::move(shape), std::as_bytes(values));
  }
  template <class T>
  void add(std::string name, std::vector<int64_t> shape, const std::vector<T>& values) {
    add(std::move(name), std::move(shape), std::span<const T>(values));
  }
  template <class T>
  void add(std::string name, std::vector<int64_t> shape, const std::vector<T>&& gone_before_write) = delete;

  /// Replaces `path`, then fsyncs it. The bytes depend on the tensors only, not on the order of the calls to `add`.
  /// DataError with the path and the system's reason if it cannot be written.
  void write(const std::filesystem::path& path) const;

 private:
  struct Entry {
    std::string name;
    TensorType type;
    std::vector<int64_t> shape;
    std::span<const std::byte> bytes;
  };
  void add_bytes(std::string name, TensorType type, std::vector<int64_t> shape, std::span<const std::byte> bytes);

  std::vector<Entry> entries_;
};

/// A mapped file, read-only. Spans stay valid as long as the object. Anything malformed is a DataError that names the
/// path, the tensor, and the expected and found bytes.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&& other) noexcept;
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  bool has(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  std::vector<std::string> names() const;
  const std::vector<int64_t>& shape(std::string_view name) const { return find(name).shape; }
  TensorType type(std::string_view name) const { return find(name).type; }

  /// DataError if there is no such tensor or it holds another type.
  template <class T>
  std::span<const T> tensor(std::string_view name) const {
    const auto bytes = bytes_of(name, detail::TensorTypeOf<T>::value);
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }

 private:
  struct Entry {
    TensorType type;
    std::vector<int64_t> shape;
    std::span<const std::byte> bytes;
  };
  void map();
  void unmap() noexcept;
  void parse();
  const Entry& find(std::string_view name) const;
  std::span<const std::byte> bytes_of(std::string_view name, TensorType type) const;

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::map<std::string, Entry, std::less<>> tensors_;
};

}  // namespace sheaf::io
