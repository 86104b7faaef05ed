#pragma once
/// Cooperative cancellation: a signal handler sets one flag, and long loops read it between steps.

namespace sheaf {

/// Safe to call from a signal handler.
void request_interrupt() noexcept;
bool interrupt_requested() noexcept;
void clear_interrupt() noexcept;

/// Throws Interrupted, naming the phase, if an interrupt was requested.
void check_interrupt(const char* phase);

}  // namespace sheaf
