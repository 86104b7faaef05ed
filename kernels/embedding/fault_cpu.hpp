#pragma once
/// How the CPU's ops record an id or entity out of range (table.hpp).

#include <atomic>
#include <cstdint>

namespace sheaf::embedding::cpu {

/// Lowers the word to `place`; several threads may call. Null records nothing.
inline void note_fault(uint64_t* fault, int64_t place) {
  if (!fault) return;
  std::atomic_ref<uint64_t> word(*fault);
  uint64_t lowest = word.load(std::memory_order_relaxed);
  while (static_cast<uint64_t>(place) < lowest &&
         !word.compare_exchange_weak(lowest, static_cast<uint64_t>(place), std::memory_order_relaxed)) {
  }
}

}  // namespace sheaf::embedding::cpu
