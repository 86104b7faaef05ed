#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <memory>

#include "engine/io/file_io.hpp"
#include "host/text/csv.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::text {
namespace {

constexpr const char* kGzipMagic = "\x1f\x8b";
constexpr int kGzipWindow = 15 + 16;  // zlib: the largest window, gzip framing

std::string read_bytes(const std::filesystem::path& path) {
  if (path == "-") {
    throw DataError("cannot read -: a dash is no path here",
                    "name a file; /dev/stdin is the standard input, ./- a file that is called so");
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) io::throw_errno("cannot read", path);
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
  if (std::ferror(file.get()) != 0) io::throw_errno("cannot read", path);
  bytes.resize(used);
  return bytes;
}

/// All members of a gzip file, one after another (RFC 1952).
std::string inflate_all(const std::filesystem::path& path, std::string packed) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) throw DataError("cannot start zlib for " + path.string());
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, &inflateEnd);
  constexpr size_t kStep = std::numeric_limits<uInt>::max() / 2;

  std::string text(packed.size() * 4, '\0');
  size_t taken = 0, made = 0;
  for (bool done = false; !done;) {
    if (made == text.size()) text.resize(text.size() + text.size() / 2 + 64);
    const size_t in = std::min(packed.size() - taken, kStep);
    const size_t out = std::min(text.size() - made, kStep);
    stream.next_in = reinterpret_cast<Bytef*>(packed.data() + taken);
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = reinterpret_cast<Bytef*>(text.data() + made);
    stream.avail_out = static_cast<uInt>(out);
    const int status = inflate(&stream, Z_NO_FLUSH);
    taken += in - stream.avail_in;
    made += out - stream.avail_out;
    if (status == Z_STREAM_END) {
      done = taken == packed.size();
      if (!done) inflateReset(&stream);
    } else if (status != Z_OK && !(status == Z_BUF_ERROR && stream.avail_out == 0)) {
      const char* reason = status == Z_BUF_ERROR   ? "it ends too early"
                           : stream.msg != nullptr ? stream.msg
                                                   : "zlib failed";
      throw DataError(fmt::format("{}: broken gzip at byte {} of {}: {}", path.string(), taken, packed.size(), reason),
                      "fetch or pack the file again");
    }
  }
  text.resize(made);
  return text;
}

}  // namespace

std::string read_text(const std::filesystem::path& path) {
  std::string bytes = read_bytes(path);
  return bytes.starts_with(kGzipMagic) ? inflate_all(path, std::move(bytes)) : bytes;
}

}  // namespace sheaf::text
