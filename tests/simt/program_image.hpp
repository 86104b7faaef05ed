#pragma once
/// What the executor reads from the program's own ELF file.

#include <span>
#include <string>
#include <vector>

namespace simt {

/// Demangled name of the function at this address, local functions included; its number when the program is stripped.
std::string function_name(const void* address);

/// Memory of every section whose name starts with `prefix`.
std::vector<std::span<unsigned char>> sections_of(const std::string& prefix);

}  // namespace simt
