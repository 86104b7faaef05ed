#pragma once
/// Runtime errors become DeviceError.

#include <cuda_runtime.h>

#include <string>

#include "kernels/core/error.hpp"

namespace sheaf {

inline void cuda_check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) {
    throw DeviceError(std::string(what) + ": " + cudaGetErrorName(status) + " (" + cudaGetErrorString(status) + ")",
                      "see `sheaf devices`; `--device cpu` always works");
  }
}

}  // namespace sheaf
