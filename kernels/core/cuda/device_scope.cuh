#pragma once
/// The device that calls without a stream go to.

#include <cuda_runtime.h>

#include "kernels/core/cuda/check.cuh"

namespace sheaf {

/// Makes a device the calling thread's current one, and at its end the one before it.
class DeviceScope {
 public:
  explicit DeviceScope(int ordinal) : ordinal_(ordinal) {
    cuda_check(cudaGetDevice(&before_), "cudaGetDevice");
    if (before_ != ordinal_) cuda_check(cudaSetDevice(ordinal_), "cudaSetDevice");
  }
  ~DeviceScope() {
    if (before_ != ordinal_) cudaSetDevice(before_);
  }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int before_ = 0, ordinal_;
};

}  // namespace sheaf
