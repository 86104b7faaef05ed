#pragma once
/// Owning device memory. Move-only; the Context must outlive it.

#include <cassert>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/core/context.hpp"
#include "kernels/core/view.hpp"

namespace sheaf {

template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  /// Uninitialised.
  Buffer(Context& context, int64_t size) : context_(&context), size_(size) {
    data_ = static_cast<T*>(context.allocate(static_cast<size_t>(size) * sizeof(T)));
  }
  /// A copy of host values.
  Buffer(Context& context, std::span<const T> values) : Buffer(context, static_cast<int64_t>(values.size())) {
    context.copy_from_host(data_, values.data(), values.size_bytes());
  }
  Buffer(Context& context, const std::vector<T>& values) : Buffer(context, std::span<const T>(values)) {}
  static Buffer zeros(Context& context, int64_t size) {
    Buffer buffer(context, size);
    buffer.fill_bytes(0);
    return buffer;
  }
  ~Buffer() {
    if (data_) context_->release(data_);
  }
  Buffer(Buffer&& other) noexcept
      : context_(other.context_), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  T* data() const noexcept { return data_; }
  int64_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  VectorView<T> view() { return {data_, size_}; }
  VectorView<const T> view() const { return {data_, size_}; }
  MatrixView<T> matrix(int64_t rows, int64_t cols) {
    assert(rows * cols == size_);
    return {data_, rows, cols};
  }
  MatrixView<const T> matrix(int64_t rows, int64_t cols) const {
    assert(rows * cols == size_);
    return {data_, rows, cols};
  }

  void fill_bytes(int byte) {
    if (size_) context_->fill_bytes(data_, byte, static_cast<size_t>(size_) * sizeof(T));
  }
  void assign(std::span<const T> values) {
    assert(static_cast<int64_t>(values.size()) == size_);
    context_->copy_from_host(data_, values.data(), values.size_bytes());
  }
  /// Waits for the stream.
  std::vector<T> to_host() const {
    std::vector<T> values(static_cast<size_t>(size_));
    if (size_) context_->copy_to_host(values.data(), data_, values.size() * sizeof(T));
    return values;
  }

 private:
  Context* context_ = nullptr;
  T* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace sheaf
