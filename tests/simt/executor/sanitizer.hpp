#pragma once
/// Tells AddressSanitizer and ThreadSanitizer which stack runs and what orders memory. Nothing in other builds.
/// The executor itself is compiled without either: its own accesses are no part of the kernel.

#include <cstddef>
#include <cstdint>

#if defined(SIMT_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#elif defined(SIMT_TSAN)
#include <sanitizer/tsan_interface.h>
extern "C" void __tsan_java_alloc(uintptr_t begin, uintptr_t bytes);
extern "C" void __tsan_java_free(uintptr_t begin, uintptr_t bytes);
#endif

namespace simt::sanitizer {

/// ThreadSanitizer orders what one fiber of its own runs, so there each thread of the grid needs one.
#if defined(SIMT_TSAN)
inline constexpr bool kWatchesOrder = true;
#else
inline constexpr bool kWatchesOrder = false;
#endif

struct Stack {
  const void* bottom = nullptr;
  size_t bytes = 0;
  void* fake_stack = nullptr;  // AddressSanitizer
  void* tsan_fiber = nullptr;  // ThreadSanitizer
};

/// Before a stack is used from its start, for the first time or again.
inline void begin([[maybe_unused]] Stack& stack) {
#if defined(SIMT_ASAN)
  __asan_unpoison_memory_region(stack.bottom, stack.bytes);
#elif defined(SIMT_TSAN)
  stack.tsan_fiber = __tsan_create_fiber(0);
#endif
}

/// What remembers a stack's past is not needed any more.
inline void end([[maybe_unused]] Stack& stack) {
#if defined(SIMT_TSAN)
  __tsan_destroy_fiber(stack.tsan_fiber);
#endif
}

/// The stack that the operating system gave.
inline void begin_native([[maybe_unused]] Stack& stack) {
#if defined(SIMT_TSAN)
  stack.tsan_fiber = __tsan_get_current_fiber();
#endif
}

/// All that a given-up stack did happens before what the caller, on `self`, does next.
inline void give_up([[maybe_unused]] const Stack& stack, [[maybe_unused]] const Stack& self) {
#if defined(SIMT_TSAN)
  constexpr unsigned kNoSync = 1, kSync = 0;
  __tsan_switch_to_fiber(stack.tsan_fiber, kNoSync);
  __tsan_switch_to_fiber(self.tsan_fiber, kSync);
#endif
}

/// Right before the jump.
inline void leave([[maybe_unused]] Stack& from, [[maybe_unused]] const Stack& to) {
#if defined(SIMT_ASAN)
  __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.bytes);
#elif defined(SIMT_TSAN)
  constexpr unsigned kNoSync = 1;
  __tsan_switch_to_fiber(to.tsan_fiber, kNoSync);
#endif
}

/// Right after the jump, on the new stack.
inline void arrive([[maybe_unused]] Stack& self, [[maybe_unused]] Stack& from) {
#if defined(SIMT_ASAN)
  __sanitizer_finish_switch_fiber(self.fake_stack, &from.bottom, &from.bytes);
#endif
}

/// Accesses to this memory until now are none of what comes next in it.
inline void forget([[maybe_unused]] const void* begin, [[maybe_unused]] size_t bytes) {
#if defined(SIMT_TSAN)
  // Meant for Java's heap: clears all that is known of whole 8-byte words.
  const uintptr_t first = reinterpret_cast<uintptr_t>(begin) / 8 * 8;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(begin) + bytes + 7) / 8 * 8;
  if (first == end) return;
  __tsan_java_free(first, end - first);
  __tsan_java_alloc(first, end - first);
#endif
}

/// What the running thread did before release(key) happens before what another does after acquire(key).
inline void release([[maybe_unused]] void* key) {
#if defined(SIMT_TSAN)
  __tsan_release(key);
#endif
}

inline void acquire([[maybe_unused]] void* key) {
#if defined(SIMT_TSAN)
  __tsan_acquire(key);
#endif
}

}  // namespace simt::sanitizer
