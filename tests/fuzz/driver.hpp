#pragma once
/// What the fuzz targets share. A target feeds one input to a reader: a sheaf::Error is a good end, any other exception
/// and a signal is a fault.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "kernels/core/error.hpp"

/// As libFuzzer calls it; each target defines it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace sheaf::fuzz {

inline std::string_view as_text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A file in memory that holds these bytes until the next call.
std::filesystem::path as_file(std::string_view bytes);

/// Ends the process: a reader broke a promise.
[[noreturn]] void fail(const std::string& what);

/// Runs a reader. Its error must say something, in one line that a person reads.
template <class Read>
int expect_error_or_none(const Read& read) {
  constexpr size_t kMostBytes = 4000;
  try {
    read();
  } catch (const Error& error) {
    const std::string_view what = error.what();
    if (what.empty() || what.size() > kMostBytes || error.hint().size() > kMostBytes) fail("a bad message");
  }
  return 0;
}

}  // namespace sheaf::fuzz
