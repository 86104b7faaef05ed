#include "host/text/read_text.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <system_error>

#include "engine/io/file_io.hpp"
#include "host/text/encoding.hpp"
#include "host/text/unpack.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::text {
namespace {

std::string read_bytes(const std::filesystem::path& path) {
  if (path == "-") {
    throw DataError("cannot read -: a dash is no path here",
                    "name a file; /dev/stdin is the standard input, ./- a file that is called so");
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) io::throw_cannot_read(path);
  std::error_code unknown_size;
  const auto expected = std::filesystem::file_size(path, unknown_size);
  std::string bytes(unknown_size ? 0 : expected + 1, '\0');
  size_t used = 0;
  for (;;) {
    if (used == bytes.size()) bytes.resize(bytes.size() + (size_t{1} << 16));
    const size_t n = std::fread(bytes.data() + used, 1, bytes.size() - used, file.get());
    if (n == 0) break;
    used += n;
  }
  if (std::ferror(file.get()) != 0) io::throw_cannot_read(path);
  bytes.resize(used);
  return bytes;
}

}  // namespace

std::string read_text(const std::filesystem::path& path, const TextOptions& options) {
  std::string text = to_utf8(path, unpack(path, read_bytes(path), options.max_expansion), options.encoding);
  if (text.find('\n') == std::string::npos) std::ranges::replace(text, '\r', '\n');  // line ends of old Macs
  return text;
}

}  // namespace sheaf::text
