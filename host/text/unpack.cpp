#include "host/text/unpack.hpp"

#include <fmt/format.h>
#include <lzma.h>
#include <zip.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/data/shown.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::text {
namespace {

using namespace std::string_view_literals;

constexpr const char* kAgain = "fetch or pack the file again";

[[noreturn]] void fail_broken(const std::filesystem::path& path, const char* format, size_t at, size_t size,
                              std::string_view reason) {
  throw DataError(fmt::format("{}: broken {} at byte {} of {}: {}", path.string(), format, at, size, reason), kAgain);
}

constexpr const char* kTooEarly = "it ends too early";

/// What comes out, with a bound: a file made to fill the memory ends in a message.
class Output {
 public:
  Output(const std::filesystem::path& path, size_t packed, int64_t max_expansion)
      : path_(path), packed_(packed), max_expansion_(max_expansion), text_(std::min(packed * 4 + 64, limit()), '\0') {}

  /// Free bytes at the end, at least one.
  char* begin() {
    if (used_ == text_.size()) {
      if (used_ >= limit()) fail();
      text_.resize(std::min(text_.size() + text_.size() / 2 + 64, limit()));
    }
    return text_.data() + used_;
  }
  size_t room() const { return text_.size() - used_; }
  void add(size_t n) { used_ += n; }
  std::string take() {
    text_.resize(used_);
    return std::move(text_);
  }

 private:
  size_t limit() const {
    constexpr size_t kFree = size_t{16} << 20;  // bytes of text that any file may unpack to
    const auto most = static_cast<size_t>(max_expansion_);
    return packed_ > std::numeric_limits<size_t>::max() / 2 / most ? std::numeric_limits<size_t>::max() / 2
                                                                   : std::max(kFree, packed_ * most);
  }
  [[noreturn]] void fail() const {
    throw DataError(fmt::format("{}: its {} bytes unpack to more than {}, over {} times as many", path_.string(),
                                packed_, used_, max_expansion_),
                    "no data of purchases is packed so well; if it is what you expect, unpack it first, or raise "
                    "max_expansion under [source]");
  }

  const std::filesystem::path& path_;
  size_t packed_;
  int64_t max_expansion_;
  std::string text_;
  size_t used_ = 0;
};

/// All members, one after another (RFC 1952); zeros after a member are padding.
void unpack_gzip(const std::filesystem::path& path, const std::string& packed, Output& text) {
  constexpr int kWindow = 15 + 16;  // zlib: the largest window, gzip framing
  constexpr size_t kStep = std::numeric_limits<uInt>::max() / 2;
  z_stream stream{};
  if (inflateInit2(&stream, kWindow) != Z_OK) throw DataError("cannot start zlib for " + path.string());
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, &inflateEnd);
  for (size_t taken = 0;;) {
    const size_t in = std::min(packed.size() - taken, kStep);
    stream.next_in = reinterpret_cast<z_const Bytef*>(const_cast<char*>(packed.data() + taken));  // zlib only reads it
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = reinterpret_cast<Bytef*>(text.begin());
    const size_t out = std::min(text.room(), kStep);
    stream.avail_out = static_cast<uInt>(out);
    const int status = inflate(&stream, Z_NO_FLUSH);
    taken += in - stream.avail_in;
    text.add(out - stream.avail_out);
    if (status == Z_STREAM_END) {
      taken = std::min(packed.find_first_not_of('\0', taken), packed.size());
      if (taken == packed.size()) return;
      inflateReset(&stream);
    } else if (status != Z_OK && !(status == Z_BUF_ERROR && stream.avail_out == 0)) {
      fail_broken(path, "gzip", taken, packed.size(),
                  status == Z_BUF_ERROR   ? kTooEarly
                  : stream.msg != nullptr ? stream.msg
                                          : "zlib failed");
    }
  }
}

void unpack_zstd(const std::filesystem::path& path, const std::string& packed, Output& text) {
  const std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream(ZSTD_createDStream(), &ZSTD_freeDStream);
  if (!stream) throw std::bad_alloc();
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  for (;;) {
    char* const begin = text.begin();
    ZSTD_outBuffer out{begin, text.room(), 0};
    const size_t status = ZSTD_decompressStream(stream.get(), &out, &in);
    if (ZSTD_isError(status) != 0) fail_broken(path, "zstd", in.pos, in.size, ZSTD_getErrorName(status));
    text.add(out.pos);
    if (in.pos < in.size || out.pos == out.size) continue;  // more to take, or more to give
    if (status == 0) return;
    fail_broken(path, "zstd", in.pos, in.size, kTooEarly);
  }
}

void unpack_xz(const std::filesystem::path& path, const std::string& packed, Output& text) {
  constexpr uint64_t kMemory = uint64_t{1} << 30;  // xz -9 needs 65 MiB
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, kMemory, LZMA_CONCATENATED) != LZMA_OK) throw std::bad_alloc();
  const std::unique_ptr<lzma_stream, void (*)(lzma_stream*)> guard(&stream, &lzma_end);
  stream.next_in = reinterpret_cast<const uint8_t*>(packed.data());
  stream.avail_in = packed.size();
  for (;;) {
    stream.next_out = reinterpret_cast<uint8_t*>(text.begin());
    const size_t room = text.room();
    stream.avail_out = room;
    const lzma_ret status = lzma_code(&stream, LZMA_FINISH);
    text.add(room - stream.avail_out);
    if (status == LZMA_STREAM_END) return;
    if (status == LZMA_OK) continue;
    fail_broken(path, "xz", stream.total_in, packed.size(),
                status == LZMA_BUF_ERROR        ? kTooEarly
                : status == LZMA_MEMLIMIT_ERROR ? "it needs more than 1 GiB of memory"
                : status == LZMA_OPTIONS_ERROR  ? "an unknown option"
                                                : "the data are damaged");
  }
}

/// The file in a zip archive. Folders and what a Mac adds do not count.
void unpack_zip(const std::filesystem::path& path, const std::string& packed, Output& text) {
  zip_error_t error;
  zip_error_init(&error);
  const auto fail = [&](const char* reason) { fail_broken(path, "zip", 0, packed.size(), reason); };
  zip_source_t* source = zip_source_buffer_create(packed.data(), packed.size(), 0, &error);
  if (source == nullptr) throw std::bad_alloc();
  const std::unique_ptr<zip_t, void (*)(zip_t*)> archive(zip_open_from_source(source, ZIP_RDONLY, &error),
                                                         &zip_discard);
  if (!archive) {
    zip_source_free(source);
    fail(zip_error_strerror(&error));
  }
  std::vector<std::string> names;
  zip_uint64_t chosen = 0;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive.get(), 0); ++i) {
    const char* const raw = zip_get_name(archive.get(), static_cast<zip_uint64_t>(i), 0);
    const std::string name = raw == nullptr ? "" : raw;
    if (name == "[Content_Types].xml" || name == "mimetype") {
      throw DataError(path.string() + ": a workbook or a document, not text",
                      "save the sheet as \"CSV UTF-8\", or export it as CSV");
    }
    const size_t slash = name.rfind('/');
    const bool hidden = name.starts_with("__MACOSX/") || name[slash == name.npos ? 0 : slash + 1] == '.';
    if (name.ends_with('/') || hidden) continue;
    names.push_back(name);
    chosen = static_cast<zip_uint64_t>(i);
  }
  if (names.size() != 1) {
    throw DataError(fmt::format("{}: the archive holds {} files{}{}", path.string(), names.size(),
                                names.empty() ? "" : ": ", shown_list(names)),
                    names.empty() ? kAgain : "one is read; take it out, for example unzip -p FILE NAME > NAME");
  }
  zip_stat_t about;
  if (zip_stat_index(archive.get(), chosen, 0, &about) == 0 && (about.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 &&
      about.encryption_method != ZIP_EM_NONE) {
    throw DataError(fmt::format("{}: '{}' is locked with a password", path.string(), shown(names[0])),
                    "unpack it with unzip");
  }
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen_index(archive.get(), chosen, 0), &zip_fclose);
  if (!file) fail(zip_strerror(archive.get()));
  for (;;) {
    char* const begin = text.begin();
    const zip_int64_t n = zip_fread(file.get(), begin, text.room());
    if (n < 0) fail(zip_file_strerror(file.get()));
    if (n == 0) return;
    text.add(static_cast<size_t>(n));
  }
}

struct OtherFormat {
  std::string_view start;
  const char *what, *mend;
  size_t at = 0;
};
constexpr const char* kSaveAsCsv = "save the sheet as \"CSV UTF-8\", or export it as CSV";
constexpr OtherFormat kOthers[] = {
    {"1AY&SY"sv, "packed by bzip2", "unpack it first: bunzip2 -k FILE", 4},
    {"7z\xbc\xaf\x27\x1c"sv, "a 7z archive", "unpack it first: 7z x FILE"},
    {"Rar!\x1a\x07"sv, "a RAR archive", "unpack it first: unrar x FILE"},
    {"\x04\x22\x4d\x18"sv, "packed by lz4", "unpack it first: lz4 -d FILE"},
    {"\x1f\x9d"sv, "packed by compress", "unpack it first: uncompress FILE"},
    {"ustar"sv, "a tar archive", "take the file out first: tar -xf FILE", 257},
    {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"sv, "a workbook or a document of Office, not text", kSaveAsCsv},
    {"PAR1"sv, "a Parquet file, not text",
     "write it as CSV, for example with DuckDB: COPY (FROM 'FILE') TO 'FILE.csv'"},
    {"SQLite format 3\0"sv, "a database of SQLite, not text", "write the table as CSV: sqlite3 -header -csv"},
    {"%PDF-"sv, "a PDF, not text", "export the table as CSV"},
};

void refuse_others(const std::filesystem::path& path, std::string_view bytes) {
  for (const OtherFormat& other : kOthers) {
    if (other.at > bytes.size() || !bytes.substr(other.at).starts_with(other.start)) continue;
    throw DataError(fmt::format("{}: {}; plain text, gzip, zip, zstd and xz are read", path.string(), other.what),
                    other.mend);
  }
}

}  // namespace

std::string unpack(const std::filesystem::path& path, std::string bytes, int64_t max_expansion) {
  struct Packed {
    std::string_view start;
    void (*unpack)(const std::filesystem::path&, const std::string&, Output&);
  };
  static constexpr Packed kPacked[] = {{"\x1f\x8b"sv, &unpack_gzip},
                                       {"\x28\xb5\x2f\xfd"sv, &unpack_zstd},
                                       {"\xfd\x37zXZ\0"sv, &unpack_xz},
                                       {"PK\x03\x04"sv, &unpack_zip},
                                       {"PK\x05\x06"sv, &unpack_zip}};
  for (const Packed& packed : kPacked) {
    if (!bytes.starts_with(packed.start)) continue;
    Output text(path, bytes.size(), max_expansion);
    packed.unpack(path, bytes, text);
    bytes = text.take();
    break;
  }
  refuse_others(path, bytes);
  return bytes;
}

}  // namespace sheaf::text
