#pragma once
/// A whole text file in memory.

#include <cstdint>
#include <filesystem>
#include <string>

namespace sheaf::text {

struct TextOptions {
  std::string encoding = "utf-8";  // where no byte order mark says another one: encoding.hpp
  int64_t max_expansion = 200;     // unpacked bytes for each packed one, beyond 16 MiB: unpack.hpp
};

/// The file's text as UTF-8 without a byte order mark, unpacked (gzip, zip, zstd, xz). Line ends are LF or CR LF; where
/// a file has only CR, it has LF here. DataError with the path and the reason; whether UTF-8 is valid is not checked.
std::string read_text(const std::filesystem::path& path, const TextOptions& options = {});

}  // namespace sheaf::text
