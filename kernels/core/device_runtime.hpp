#pragma once
/// What Context needs of a device backend. It is implemented once, in device_runtime_cuda.cu, and built only with
/// SHEAF_DEVICE_KERNELS. Every function throws DeviceError with the text of the CUDA runtime. `ordinal` is the device
/// of the memory or stream. None depends on the thread's current device, and none but create_stream changes it.

#include <cstddef>
#include <string>
#include <vector>

#include "kernels/core/device.hpp"

namespace sheaf::device_runtime {

int device_count(std::string* why_none = nullptr);
DeviceInfo device_info(int ordinal, bool measure);
/// The device stays the calling thread's current one.
void* create_stream(int ordinal);
void destroy_stream(void* stream) noexcept;
void synchronize(void* stream);
/// `stream` continues when all work that `other` holds by now is done; the host does not wait.
void wait_for(int ordinal, void* stream, void* other);
void* allocate(int ordinal, size_t bytes);
void release(void* pointer) noexcept;
void copy_from_host(void* destination, const void* source, size_t bytes, void* stream);
void copy_to_host(void* destination, const void* source, size_t bytes, void* stream);
void copy(void* destination, const void* source, size_t bytes, void* stream);
void fill_bytes(int ordinal, void* destination, int byte, size_t bytes, void* stream);
void* create_event(int ordinal);
void destroy_event(void* event) noexcept;
void record_event(void* event, void* stream);
/// Waits for `stop`.
double seconds_between(void* start, void* stop);

}  // namespace sheaf::device_runtime
