#include "tests/simt/api/runtime_api.hpp"

#include <sys/sysinfo.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tests/simt/executor/launch_limits.hpp"

using Works = std::vector<std::function<void()>>;

struct SimtStream {
  int device = 0;
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  Works captured;
};

struct SimtGraph {
  Works works;
};

struct SimtGraphExec {
  Works works;
};

struct SimtEvent {
  int device = 0;
  std::chrono::steady_clock::time_point time;
};

namespace {

constexpr size_t kAlignment = 256;
constexpr int kDevices = 2;
constexpr int kProcessors = 2;  // blocks run one after the other; persistent kernels should see more than one
thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;  // each thread begins with the first
SimtStream* capturing = nullptr;      // one stream at a time

cudaError_t noted(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

bool is_device(int ordinal) { return ordinal >= 0 && ordinal < kDevices; }

std::mutex memory_mutex;
std::map<const void*, int>& device_of_memory() {
  static auto& devices = *new std::map<const void*, int>;  // outlives what static objects free
  return devices;
}

// What no capture may see ends one in error.
cudaError_t not_captured() {
  if (!capturing) return cudaSuccess;
  capturing->status = cudaStreamCaptureStatusInvalidated;
  return noted(cudaErrorStreamCaptureUnsupported);
}

}  // namespace

void simt::on_stream(cudaStream_t stream, std::function<void()> work) {
  if (stream && stream == capturing) {
    stream->captured.push_back(std::move(work));
  } else {
    work();
  }
}

int simt::launching_device(cudaStream_t stream) {
  if (stream && stream->device != current_device) {
    throw Fault("simt: a kernel goes into a stream of device " + std::to_string(stream->device) + ", but device " +
                std::to_string(current_device) + " is current");
  }
  return current_device;
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorIllegalState: return "cudaErrorIllegalState";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
  }
  return "unknown";
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorInvalidResourceHandle: return "invalid resource handle";
    case cudaErrorIllegalState: return "the operation cannot be performed in the present state";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated: return "operation failed due to a previous error during capture";
  }
  return "unknown";
}

cudaError_t cudaPeekAtLastError() { return last_error; }

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = kDevices;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int ordinal) {
  if (!is_device(ordinal)) return noted(cudaErrorInvalidDevice);
  current_device = ordinal;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* ordinal) {
  *ordinal = current_device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int ordinal) {
  if (!is_device(ordinal)) return noted(cudaErrorInvalidDevice);
  *properties = {};
  std::strcpy(properties->name, "SIMT executor");
  size_t free_bytes = 0;
  cudaMemGetInfo(&free_bytes, &properties->totalGlobalMem);
  properties->sharedMemPerBlock = simt::kDefaultShared;
  properties->sharedMemPerBlockOptin = simt::kMostShared;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->multiProcessorCount = kProcessors;
  properties->major = 8;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int ordinal) {
  if (!is_device(ordinal)) return noted(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrClockRate: *value = 0; return cudaSuccess;
    case cudaDevAttrMultiProcessorCount: *value = kProcessors; return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = simt::kMostShared; return cudaSuccess;
  }
  return noted(cudaErrorInvalidValue);
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = 0;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 0;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  struct sysinfo system {};
  sysinfo(&system);
  *free_bytes = system.freeram * system.mem_unit;
  *total_bytes = system.totalram * system.mem_unit;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() { return not_captured(); }

// The exact size, so that AddressSanitizer sees the first byte past the end.
cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  if (const cudaError_t error = not_captured()) return error;
  if (posix_memalign(pointer, kAlignment, std::max<size_t>(bytes, 1)) != 0) return noted(cudaErrorMemoryAllocation);
  const std::lock_guard lock(memory_mutex);
  device_of_memory()[*pointer] = current_device;
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  const std::lock_guard lock(memory_mutex);
  const auto found = device_of_memory().find(pointer);
  if (found == device_of_memory().end()) return noted(cudaErrorInvalidValue);
  attributes->device = found->second;
  return cudaSuccess;
}

cudaError_t cudaFree(void* pointer) {
  {
    const std::lock_guard lock(memory_mutex);
    device_of_memory().erase(pointer);
  }
  std::free(pointer);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* destination, const void* source, size_t bytes, cudaMemcpyKind kind) {
  if (const cudaError_t error = not_captured()) return error;
  return cudaMemcpyAsync(destination, source, bytes, kind, nullptr);
}

cudaError_t cudaMemcpyAsync(void* destination, const void* source, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  if (bytes) simt::on_stream(stream, [=] { std::memcpy(destination, source, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemset(void* destination, int byte, size_t bytes) {
  if (const cudaError_t error = not_captured()) return error;
  return cudaMemsetAsync(destination, byte, bytes, nullptr);
}

cudaError_t cudaMemsetAsync(void* destination, int byte, size_t bytes, cudaStream_t stream) {
  if (bytes) simt::on_stream(stream, [=] { std::memset(destination, byte, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = new SimtStream{};
  (*stream)->device = current_device;
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return cudaStreamCreate(stream); }

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return stream && stream == capturing ? not_captured() : cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (!stream) return noted(cudaErrorStreamCaptureUnsupported);  // the default stream
  if (capturing) return noted(cudaErrorIllegalState);
  capturing = stream;
  stream->status = cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (!stream || stream != capturing) return noted(cudaErrorIllegalState);
  capturing = nullptr;
  Works works = std::exchange(stream->captured, {});
  if (std::exchange(stream->status, cudaStreamCaptureStatusNone) == cudaStreamCaptureStatusInvalidated) {
    return noted(cudaErrorStreamCaptureInvalidated);
  }
  *graph = new SimtGraph{std::move(works)};
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = stream ? stream->status : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  if (!graph) return noted(cudaErrorInvalidValue);
  *executable = new SimtGraphExec{graph->works};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (!executable) return noted(cudaErrorInvalidValue);
  for (const auto& work : executable->works) simt::on_stream(stream, work);
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new SimtEvent{};
  (*event)->device = current_device;
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return cudaEventCreate(event); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (event->device != (stream ? stream->device : current_device)) return noted(cudaErrorInvalidResourceHandle);
  simt::on_stream(stream, [event] { event->time = std::chrono::steady_clock::now(); });
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t stop) {
  *milliseconds = std::chrono::duration<float, std::milli>(stop->time - start->time).count();
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  const simt::KernelNeeds needs = simt::needs_of(kernel);
  const auto allowed = static_cast<int>(simt::allowed_dynamic_shared(kernel, current_device));
  *attributes = {needs.static_shared, allowed, needs.registers};
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  const bool done = value >= 0 && simt::allow_dynamic_shared(kernel, current_device, static_cast<size_t>(value));
  return noted(done ? cudaSuccess : cudaErrorInvalidValue);
}
