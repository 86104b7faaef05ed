#pragma once
/// What the executor reads from the program's own ELF file.

#include <cstddef>
#include <string>
#include <vector>

namespace simt {

/// Demangled name of the function at this address, local functions included; its number when the program is stripped.
std::string function_name(const void* address);

/// The mark in the names of __shared__ variables: their ABI tag. A named section would do, too, but g++ ignores it in
/// templates.
#define SIMT_SHARED_TAG "simt_shared"

/// Where the __shared__ variables of kernels stand, and the guards of their initialisation: offset in the block of
/// thread_block() and bytes. Throws std::runtime_error when the program has no symbol table.
struct SharedVariable {
  size_t offset;
  size_t bytes;
};
std::vector<SharedVariable> shared_variables();

/// Bytes of the __shared__ variables that stand in this function's own body, not in what it calls.
size_t shared_bytes_inside(const void* function);

/// The calling thread's instance of the program's thread_local variables; null when it has none.
unsigned char* thread_block();

}  // namespace simt
