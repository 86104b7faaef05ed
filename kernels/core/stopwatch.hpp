#pragma once
/// Times the work issued between start() and stop(): by events on a device's stream, by the wall clock on the CPU.

#include <chrono>

#include "kernels/core/context.hpp"

namespace sheaf {

class Stopwatch {
 public:
  /// The context must outlive it.
  explicit Stopwatch(Context& context);
  ~Stopwatch();
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  void start();
  /// Waits for the device; seconds since start().
  double stop();

 private:
  [[maybe_unused]] Context& context_;  // these three are unused without a GPU
  [[maybe_unused]] void* start_event_ = nullptr;
  [[maybe_unused]] void* stop_event_ = nullptr;
  std::chrono::steady_clock::time_point start_time_;
};

}  // namespace sheaf
