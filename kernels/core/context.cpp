#include "kernels/core/context.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "kernels/core/error.hpp"
#if SHEAF_DEVICE_KERNELS
#include "kernels/core/device_runtime.hpp"
#endif

namespace sheaf {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kFirstChunk = size_t{1} << 20;

// With pages of 4 KiB, nearly every read of a random row of a large table misses the TLB. This is advice: the kernel
// may refuse.
void advise_huge_pages([[maybe_unused]] void* pointer, [[maybe_unused]] size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  madvise(pointer, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
}

int default_threads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    const int n = std::atoi(text);
    if (n > 0) return n;
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

Context::Context(Device device, ContextOptions options) : device_(device), options_(options) {
  if (options_.n_threads < 0) throw UsageError("threads must not be negative", "give --threads 1 or more");
  if (options_.n_threads == 0) options_.n_threads = default_threads();
  if (on_cpu()) return;
#if SHEAF_DEVICE_KERNELS
  stream_ = device_runtime::create_stream(device.ordinal);
#else
  throw DeviceError("this program was built without " + to_string(device), "configure with -DSHEAF_CUDA=ON");
#endif
}

Context::~Context() {
  for (const Chunk& chunk : chunks_) release(chunk.data);
#if SHEAF_DEVICE_KERNELS
  if (stream_) device_runtime::destroy_stream(stream_);
#endif
}

void Context::synchronize() {
#if SHEAF_DEVICE_KERNELS
  if (!on_cpu()) device_runtime::synchronize(stream_);
#endif
}

void Context::wait_for(const Context& other) {
  if (!(device_ == other.device_)) {
    throw UsageError("a context of " + to_string(device_) + " cannot wait for one of " + to_string(other.device_),
                     "make both on the same device");
  }
#if SHEAF_DEVICE_KERNELS
  if (!on_cpu()) device_runtime::wait_for(device_.ordinal, stream_, other.stream_);
#endif
}

void* Context::allocate(size_t bytes) {
  void* pointer = nullptr;
  const size_t rounded = std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  if (on_cpu()) {
    // Tests ask for exact sizes so that AddressSanitizer sees the first byte past the end.
    const bool is_large = !options_.poison_memory && rounded >= 2 * kHugePage;
    if (posix_memalign(&pointer, is_large ? kHugePage : kAlignment,
                       options_.poison_memory ? std::max<size_t>(bytes, 1) : rounded) != 0) {
      throw DeviceError("out of memory: " + std::to_string(bytes) + " bytes were asked for",
                        "use a smaller batch or dim, or a machine with more memory");
    }
    if (is_large) advise_huge_pages(pointer, rounded);
  }
#if SHEAF_DEVICE_KERNELS
  else {
    pointer = device_runtime::allocate(device_.ordinal, options_.poison_memory ? bytes : rounded);
  }
#endif
  if (options_.poison_memory && bytes) fill_bytes(pointer, 0xff, bytes);
  return pointer;
}

void Context::release(void* pointer) noexcept {
  if (on_cpu()) {
    std::free(pointer);
    return;
  }
#if SHEAF_DEVICE_KERNELS
  device_runtime::release(pointer);
#endif
}

void Context::copy_from_host(void* device_destination, const void* host_source, size_t bytes) {
  if (bytes == 0) return;
  if (on_cpu()) {
    std::memcpy(device_destination, host_source, bytes);
    return;
  }
#if SHEAF_DEVICE_KERNELS
  device_runtime::copy_from_host(device_destination, host_source, bytes, stream_);
#endif
}

void Context::copy_to_host(void* host_destination, const void* device_source, size_t bytes) {
  if (bytes == 0) return;
  if (on_cpu()) {
    std::memcpy(host_destination, device_source, bytes);
    return;
  }
#if SHEAF_DEVICE_KERNELS
  device_runtime::copy_to_host(host_destination, device_source, bytes, stream_);
#endif
}

void Context::copy(void* destination, const void* source, size_t bytes) {
  if (bytes == 0) return;
  if (on_cpu()) {
    std::memcpy(destination, source, bytes);
    return;
  }
#if SHEAF_DEVICE_KERNELS
  device_runtime::copy(destination, source, bytes, stream_);
#endif
}

void Context::fill_bytes(void* destination, int byte, size_t bytes) {
  if (bytes == 0) return;
  if (on_cpu()) {
    std::memset(destination, byte, bytes);
    return;
  }
#if SHEAF_DEVICE_KERNELS
  device_runtime::fill_bytes(device_.ordinal, destination, byte, bytes, stream_);
#endif
}

void* Context::take_scratch(size_t bytes) {
  const size_t rounded = std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  while (active_chunk_ < chunks_.size() && offset_ + rounded > chunks_[active_chunk_].capacity) {
    ++active_chunk_;
    offset_ = 0;
  }
  if (active_chunk_ == chunks_.size()) {
    size_t capacity = chunks_.empty() ? kFirstChunk : 2 * chunks_.back().capacity;
    capacity = std::max(capacity, rounded);
    chunks_.push_back({static_cast<std::byte*>(allocate(capacity)), capacity});
    offset_ = 0;
  }
  void* pointer = chunks_[active_chunk_].data + offset_;
  offset_ += rounded;
  if (options_.poison_memory) fill_bytes(pointer, 0xff, rounded);
  return pointer;
}

}  // namespace sheaf
