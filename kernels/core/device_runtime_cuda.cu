#include <cuda_runtime.h>

#include <algorithm>
#include <string>

#include "kernels/core/cuda/check.cuh"
#include "kernels/core/cuda/device_scope.cuh"
#include "kernels/core/device_runtime.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::device_runtime {
namespace {

#if defined(SHEAF_SIMT)
constexpr Backend kBackend = Backend::simt;
#else
constexpr Backend kBackend = Backend::cuda;
#endif

cudaStream_t as_stream(void* stream) { return static_cast<cudaStream_t>(stream); }
cudaEvent_t as_event(void* event) { return static_cast<cudaEvent_t>(event); }

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// Read + write bytes a second of device-to-device copies: the best of a few, each over more than the L2 cache holds.
int64_t measure_copy(int ordinal, int64_t free_bytes) {
  const size_t bytes = static_cast<size_t>(std::clamp<int64_t>(free_bytes / 8, int64_t{1} << 20, int64_t{1} << 28));
  void* source = allocate(ordinal, bytes);
  void* destination = allocate(ordinal, bytes);
  cudaEvent_t start, stop;
  cuda_check(cudaEventCreate(&start), "cudaEventCreate");
  cuda_check(cudaEventCreate(&stop), "cudaEventCreate");
  double best = 0;
  for (int trial = 0; trial < 8; ++trial) {
    cuda_check(cudaEventRecord(start, nullptr), "cudaEventRecord");
    cuda_check(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDeviceToDevice, nullptr), "cudaMemcpyAsync");
    cuda_check(cudaEventRecord(stop, nullptr), "cudaEventRecord");
    cuda_check(cudaEventSynchronize(stop), "cudaEventSynchronize");
    float milliseconds = 0;
    cuda_check(cudaEventElapsedTime(&milliseconds, start, stop), "cudaEventElapsedTime");
    if (milliseconds > 0) best = std::max(best, 2.0 * static_cast<double>(bytes) / (milliseconds * 1e-3));
  }
  cudaEventDestroy(start);
  cudaEventDestroy(stop);
  release(source);
  release(destination);
  return static_cast<int64_t>(best);
}

}  // namespace

int device_count(std::string* why_none) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    cudaGetLastError();  // clears the sticky error
    if (why_none) *why_none = cudaGetErrorString(status);
    return 0;
  }
  if (count == 0 && why_none) *why_none = "no CUDA device";
  return count;
}

DeviceInfo device_info(int ordinal, bool measure) {
  const DeviceScope scope(ordinal);
  cudaDeviceProp properties{};
  cuda_check(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
  size_t free_bytes = 0, total_bytes = 0;
  cuda_check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
  int driver = 0, runtime = 0, clock_khz = 0;
  cuda_check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  cuda_check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  cuda_check(cudaDeviceGetAttribute(&clock_khz, cudaDevAttrClockRate, ordinal), "cudaDeviceGetAttribute");

  DeviceInfo info;
  info.device = {kBackend, ordinal};
  info.name = properties.name;
  info.memory_bytes = static_cast<int64_t>(total_bytes);
  info.free_bytes = static_cast<int64_t>(free_bytes);
  info.processors = properties.multiProcessorCount;
  info.clock_khz = clock_khz;
  info.capability_major = properties.major;
  info.capability_minor = properties.minor;
  info.shared_bytes_per_block = static_cast<int>(properties.sharedMemPerBlockOptin);
  info.l2_bytes = properties.l2CacheSize;
  info.driver = "driver " + version_text(driver) + ", runtime " + version_text(runtime);
  if (measure) info.copy_bytes_per_second = measure_copy(ordinal, info.free_bytes);
  return info;
}

void* create_stream(int ordinal) {
  cuda_check(cudaSetDevice(ordinal), "cudaSetDevice");
  cudaStream_t stream;
  cuda_check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return stream;
}

void destroy_stream(void* stream) noexcept { cudaStreamDestroy(as_stream(stream)); }

void synchronize(void* stream) { cuda_check(cudaStreamSynchronize(as_stream(stream)), "cudaStreamSynchronize"); }

void wait_for(int ordinal, void* stream, void* other) {
  const DeviceScope scope(ordinal);
  cudaEvent_t event;
  cuda_check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  cudaError_t status = cudaEventRecord(event, as_stream(other));
  if (status == cudaSuccess) status = cudaStreamWaitEvent(as_stream(stream), event, 0);
  cudaEventDestroy(event);
  cuda_check(status, "cudaStreamWaitEvent");
}

void* allocate(int ordinal, size_t bytes) {
  const DeviceScope scope(ordinal);
  void* pointer = nullptr;
  const cudaError_t status = cudaMalloc(&pointer, std::max<size_t>(bytes, 1));
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw DeviceError("out of device memory: " + std::to_string(bytes) + " bytes were asked for",
                      "use a smaller batch, a smaller dim, or --device cpu");
  }
  cuda_check(status, "cudaMalloc");
  return pointer;
}

void release(void* pointer) noexcept { cudaFree(pointer); }

void copy_from_host(void* destination, const void* source, size_t bytes, void* stream) {
  cuda_check(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyHostToDevice, as_stream(stream)), "copy to device");
  synchronize(stream);
}

void copy_to_host(void* destination, const void* source, size_t bytes, void* stream) {
  cuda_check(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDeviceToHost, as_stream(stream)), "copy to host");
  synchronize(stream);
}

void copy(void* destination, const void* source, size_t bytes, void* stream) {
  cuda_check(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDeviceToDevice, as_stream(stream)), "device copy");
}

void fill_bytes(int ordinal, void* destination, int byte, size_t bytes, void* stream) {
  const DeviceScope scope(ordinal);
  cuda_check(cudaMemsetAsync(destination, byte, bytes, as_stream(stream)), "cudaMemsetAsync");
}

void* create_event(int ordinal) {
  const DeviceScope scope(ordinal);
  cudaEvent_t event;
  cuda_check(cudaEventCreate(&event), "cudaEventCreate");
  return event;
}

void destroy_event(void* event) noexcept { cudaEventDestroy(as_event(event)); }

void record_event(void* event, void* stream) {
  cuda_check(cudaEventRecord(as_event(event), as_stream(stream)), "cudaEventRecord");
}

double seconds_between(void* start, void* stop) {
  cuda_check(cudaEventSynchronize(as_event(stop)), "cudaEventSynchronize");
  float milliseconds = 0;
  cuda_check(cudaEventElapsedTime(&milliseconds, as_event(start), as_event(stop)), "cudaEventElapsedTime");
  return static_cast<double>(milliseconds) * 1e-3;
}

}  // namespace sheaf::device_runtime
