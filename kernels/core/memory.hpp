#pragma once
/// How much memory the process may still take, asked before it is taken: an allocation that succeeds may be one that
/// the system cannot keep.

#include <cstddef>
#include <cstdint>
#include <string>

namespace sheaf {

/// Whether so many bytes can be mapped now. They are given back at once.
bool can_map(size_t bytes) noexcept;

/// Bytes of host memory that are free: the least of what the machine, the control group and the limit of the address
/// space (ulimit -v) leave. The largest number where none of them says.
int64_t free_memory();

/// DeviceError unless so many bytes of host memory are free: "<what> <needs> 3.4 GiB of memory, and 1.2 GiB are free".
void require_memory(const std::string& what, int64_t bytes, const std::string& hint);

}  // namespace sheaf
