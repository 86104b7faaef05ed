#pragma once
/// Where and how ops run: device, stream, threads, seed, scratch memory. Every op takes a Context first.
/// One Context is used by one host thread at a time.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/core/device.hpp"

namespace sheaf {

/// Options of a context. `poison_memory` is the test mode: every fresh allocation is filled with 0xff bytes, so floats
/// are NaN.
struct ContextOptions {
  uint64_t seed = 0;
  int n_threads = 0;           // CPU threads; 0 takes OMP_NUM_THREADS or all cores
  bool poison_memory = false;  // fill every fresh buffer and scratch block with 0xff (NaN), for tests
};

class Context {
 public:
  explicit Context(Device device = {}, ContextOptions options = {});
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Device device() const noexcept { return device_; }
  Backend backend() const noexcept { return device_.backend; }
  bool on_cpu() const noexcept { return device_.backend == Backend::cpu; }
  uint64_t seed() const noexcept { return options_.seed; }
  int n_threads() const noexcept { return options_.n_threads; }
  /// cudaStream_t on a device backend, null on the CPU.
  void* stream() const noexcept { return stream_; }

  /// Waits for everything issued so far; raises DeviceError for any failure since the last call.
  void synchronize();

  /// Work issued here from now on begins after all work that was issued to `other`, a context of the same device. Two
  /// contexts are two streams: work that needs no result of the other context may run beside it.
  void wait_for(const Context& other);

  // Memory. Sizes in bytes. Copies are ordered on the stream. Copies from and to the host return when they are done.
  void* allocate(size_t bytes);
  void release(void* pointer) noexcept;
  void copy_from_host(void* device_destination, const void* host_source, size_t bytes);
  void copy_to_host(void* host_destination, const void* device_source, size_t bytes);
  void copy(void* destination, const void* source, size_t bytes);
  void fill_bytes(void* destination, int byte, size_t bytes);

 private:
  friend class ScratchScope;
  struct Chunk {
    std::byte* data;
    size_t capacity;
  };
  void* take_scratch(size_t bytes);

  Device device_;
  ContextOptions options_;
  void* stream_ = nullptr;
  std::vector<Chunk> chunks_;
  size_t active_chunk_ = 0;
  size_t offset_ = 0;
};

/// Temporary device memory, released in one step when the scope ends (last in, first out). The context keeps the memory
/// and uses it again, so a steady loop never allocates. Reuse is safe because one stream orders all work.
class ScratchScope {
 public:
  explicit ScratchScope(Context& context)
      : context_(context), chunk_(context.active_chunk_), offset_(context.offset_) {}
  ~ScratchScope() {
    context_.active_chunk_ = chunk_;
    context_.offset_ = offset_;
  }
  ScratchScope(const ScratchScope&) = delete;
  ScratchScope& operator=(const ScratchScope&) = delete;

  /// Uninitialised, 256-byte aligned; never null.
  template <class T>
  T* take(int64_t count) {
    return static_cast<T*>(context_.take_scratch(static_cast<size_t>(count) * sizeof(T)));
  }

 private:
  Context& context_;
  size_t chunk_;
  size_t offset_;
};

}  // namespace sheaf
