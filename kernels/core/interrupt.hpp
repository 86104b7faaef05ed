#pragma once
/// Cooperative cancellation: a signal handler sets one flag. Long loops read it between steps, and `parallel_for`
/// before each chunk. No work between two looks at it should take more than a fraction of a second.

#include <cstdint>

namespace sheaf {

/// Safe to call from a signal handler.
void request_interrupt() noexcept;
bool interrupt_requested() noexcept;
void clear_interrupt() noexcept;

/// Throws Interrupted, naming the phase, if an interrupt was requested.
void check_interrupt(const char* phase);
/// The same for what serves many phases; names the phase of the last check that named one.
void check_interrupt();

/// For tests: the next `looks` looks at the flag see nothing, the one after them an interrupt. `looks_left` counts
/// down, below 0 after the interrupt.
void interrupt_after(int64_t looks) noexcept;
int64_t looks_left() noexcept;

}  // namespace sheaf
