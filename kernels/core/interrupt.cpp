#include "kernels/core/interrupt.hpp"

#include <atomic>
#include <limits>

#include "kernels/core/error.hpp"

namespace sheaf {
namespace {
constexpr int64_t kUncounted = std::numeric_limits<int64_t>::max();
std::atomic<bool> requested{false};
std::atomic<int64_t> left{kUncounted};
std::atomic<const char*> last_phase{"the work"};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free,
              "they are used in a signal handler");
}  // namespace

void request_interrupt() noexcept { requested.store(true, std::memory_order_relaxed); }
bool interrupt_requested() noexcept {
  if (left.load(std::memory_order_relaxed) != kUncounted && left.fetch_sub(1) <= 0) request_interrupt();
  return requested.load(std::memory_order_relaxed);
}
void clear_interrupt() noexcept {
  left.store(kUncounted, std::memory_order_relaxed);
  requested.store(false, std::memory_order_relaxed);
}

void check_interrupt(const char* phase) {
  last_phase.store(phase, std::memory_order_relaxed);
  check_interrupt();
}
void check_interrupt() {
  if (interrupt_requested()) throw Interrupted(last_phase.load(std::memory_order_relaxed));
}

void interrupt_after(int64_t looks) noexcept { left.store(looks, std::memory_order_relaxed); }
int64_t looks_left() noexcept { return left.load(std::memory_order_relaxed); }

}  // namespace sheaf
