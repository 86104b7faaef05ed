#pragma once
/// What a device refuses to launch. The limits are those of compute capability 9.0, the largest that the sources ask
/// for.

#include <cstddef>
#include <string>
#include <string_view>

#include "tests/simt/executor/executor.hpp"

namespace simt {

constexpr size_t kDefaultShared = 48 * 1024;  // static and dynamic, of a kernel that nobody has allowed more
constexpr size_t kMostShared = 227 * 1024;    // static and dynamic, of any kernel
constexpr int kRegisterFile = 65536;          // of a multiprocessor
constexpr size_t kMostParameters = 4096;      // bytes; compute capability 7.0 takes 32764 with CUDA 12.1 or newer

/// What a compiler knows of a kernel. `registers` is 0 for a kernel that kernels/registers.json does not list.
struct KernelNeeds {
  size_t static_shared = 0;
  int registers = 0;
};

extern const char* const kRegisterTable;  // the text of kernels/registers.json

/// By the kernel's own name with template arguments, the most of all kernels of this name and all architectures in the
/// text of kernels/registers.json.
KernelNeeds needs_in_table(std::string_view table, std::string_view kernel);

/// By the address: the table's, and the __shared__ variables that stand in the kernel itself.
KernelNeeds needs_of(const void* kernel);

/// "a::b<c::d>" of "void n::(anonymous namespace)::b<c::d>" is b<c::d>.
std::string own_name(std::string_view function);

/// cudaFuncAttributeMaxDynamicSharedMemorySize of a kernel on a device; allow_dynamic_shared returns whether the device
/// takes it.
size_t allowed_dynamic_shared(const void* kernel, int device);
bool allow_dynamic_shared(const void* kernel, int device, size_t bytes);

/// Why no device makes this launch; empty when one does. `allowed` is what allowed_dynamic_shared() says.
std::string refusal(const Launch& launch, const KernelNeeds& needs, size_t allowed);

}  // namespace simt
