#include "kernels/core/stopwatch.hpp"

#if SHEAF_DEVICE_KERNELS
#include "kernels/core/device_runtime.hpp"
#endif

namespace sheaf {

using Clock = std::chrono::steady_clock;

Stopwatch::Stopwatch(Context& context) : context_(context) {
#if SHEAF_DEVICE_KERNELS
  if (context_.on_cpu()) return;
  start_event_ = device_runtime::create_event(context_.device().ordinal);
  stop_event_ = device_runtime::create_event(context_.device().ordinal);
#endif
}

Stopwatch::~Stopwatch() {
#if SHEAF_DEVICE_KERNELS
  if (start_event_) device_runtime::destroy_event(start_event_);
  if (stop_event_) device_runtime::destroy_event(stop_event_);
#endif
}

void Stopwatch::start() {
#if SHEAF_DEVICE_KERNELS
  if (!context_.on_cpu()) return device_runtime::record_event(start_event_, context_.stream());
#endif
  start_time_ = Clock::now();
}

double Stopwatch::stop() {
#if SHEAF_DEVICE_KERNELS
  if (!context_.on_cpu()) {
    device_runtime::record_event(stop_event_, context_.stream());
    return device_runtime::seconds_between(start_event_, stop_event_);
  }
#endif
  return std::chrono::duration<double>(Clock::now() - start_time_).count();
}

}  // namespace sheaf
