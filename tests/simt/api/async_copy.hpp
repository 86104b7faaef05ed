#pragma once
/// cp.async on the executor. The source is read at once. The destination is written by the wait, the latest moment that
/// a device may choose. Until then it is poison, which shows a use before the wait and a slow reader of the earlier
/// content.

#include <cstdint>
#include <cstring>

#include "tests/simt/executor/executor.hpp"

namespace simt {

constexpr unsigned kMaxAsyncBytes = 16;

struct AsyncCopy {
  void* destination;
  unsigned n_bytes;
  unsigned group;
  unsigned char bytes[kMaxAsyncBytes];
};

// Of the running thread.
/// False: too many are under way for the executor.
bool async_add(const AsyncCopy& copy);
void async_commit();
/// Takes the oldest copy that all but the latest `n_groups` committed groups hold.
bool async_take(unsigned n_groups, AsyncCopy* copy);

/// What is not copied is zero. Source and destination are aligned to kBytes.
template <unsigned kBytes>
void async_copy(void* destination, const void* source, bool valid, const Where& where = Where::current()) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  const auto misaligned = [](const void* address) { return reinterpret_cast<uintptr_t>(address) % kBytes != 0; };
  if (misaligned(destination) || (valid && misaligned(source))) {
    fail("an asynchronous copy of " + std::to_string(kBytes) + " bytes is not aligned", where);
  }
  AsyncCopy copy{destination, kBytes, 0, {}};
  if (valid) std::memcpy(copy.bytes, source, kBytes);
  std::memset(destination, 0xff, kBytes);
  if (!async_add(copy)) fail("more asynchronous copies are under way than the executor keeps", where);
}

/// Waits until at most the latest `n_groups` groups of copies are under way.
inline void async_wait(unsigned n_groups) {
  for (AsyncCopy copy; async_take(n_groups, &copy);) std::memcpy(copy.destination, copy.bytes, copy.n_bytes);
}

}  // namespace simt
