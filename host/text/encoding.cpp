#include "host/text/encoding.hpp"

#include <fmt/format.h>
#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>

#include "engine/data/shown.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::text {
namespace {

using Converter = std::unique_ptr<std::remove_pointer_t<iconv_t>, int (*)(iconv_t)>;

/// Lower case without - and _.
std::string plain_name(const std::string& name) {
  std::string plain;
  for (const char c : name) {
    if (c != '-' && c != '_') plain.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return plain;
}

bool is_utf8(const std::string& name) { return plain_name(name) == "utf8"; }

/// Null for an encoding that iconv does not know. A slash would begin options of iconv.
Converter open_converter(const std::string& encoding) {
  const std::string name = plain_name(encoding);
  const bool latin1 = name == "latin1" || name == "iso88591";
  const bool named = !name.empty() && name.find('/') == std::string::npos;
  iconv_t made = named ? ::iconv_open("UTF-8", latin1 ? "CP1252" : encoding.c_str()) : iconv_t(-1);
  return {made == iconv_t(-1) ? nullptr : made, &::iconv_close};
}

int64_t line_of(std::string_view text) { return 1 + std::ranges::count(text, '\n'); }

std::string convert(const std::filesystem::path& path, std::string_view bytes, const std::string& encoding) {
  const Converter converter = open_converter(encoding);
  if (!converter) throw UsageError(fmt::format("no encoding is called '{}'", shown(encoding)), "iconv -l lists them");
  std::string text(bytes.size() + bytes.size() / 2 + 16, '\0');
  char* in = const_cast<char*>(bytes.data());  // iconv only reads it
  size_t left = bytes.size(), made = 0;
  while (left > 0) {
    char* out = text.data() + made;
    size_t room = text.size() - made;
    const size_t status = ::iconv(converter.get(), &in, &left, &out, &room);
    const int code = errno;
    made = text.size() - room;
    if (status != size_t(-1)) break;
    if (code == E2BIG) {
      text.resize(text.size() + text.size() / 2);
      continue;
    }
    throw DataError(
        fmt::format("{} line {}: byte 0x{:02x} at {} of the file is not {}", path.string(),
                    line_of(std::string_view(text).substr(0, made)),
                    static_cast<unsigned>(static_cast<unsigned char>(*in)), bytes.size() - left, shown(encoding)),
        code == EINVAL ? "the file ends inside a character: fetch it again"
                       : "set encoding under [source] to what the file is in, or convert it with iconv");
  }
  text.resize(made);
  return text;
}

struct ByteOrderMark {
  std::string_view bytes;
  const char* encoding;
};
using namespace std::string_view_literals;
// The longer of two that begin alike comes first.
constexpr std::array<ByteOrderMark, 5> kByteOrderMarks{{{"\xef\xbb\xbf"sv, "utf-8"},
                                                        {"\xff\xfe\0\0"sv, "UTF-32LE"},
                                                        {"\0\0\xfe\xff"sv, "UTF-32BE"},
                                                        {"\xff\xfe"sv, "UTF-16LE"},
                                                        {"\xfe\xff"sv, "UTF-16BE"}}};

/// UTF-16 without a mark: it has a line end of 16 bits, and a tenth of the characters or more have a zero as their
/// upper byte, but none as the lower one.
const char* utf16_by_zeros(std::string_view bytes) {
  constexpr size_t kSample = size_t{1} << 16;
  const std::string_view sample = bytes.substr(0, kSample);
  size_t zeros[2] = {0, 0};
  bool ends_line = false;
  for (size_t i = 0; i + 1 < sample.size(); i += 2) {
    const char first = sample[i], second = sample[i + 1];
    zeros[0] += first == '\0' ? 1 : 0;
    zeros[1] += second == '\0' ? 1 : 0;
    ends_line = ends_line || ((first == '\n' || first == '\r') && second == '\0') ||
                (first == '\0' && (second == '\n' || second == '\r'));
  }
  if (bytes.size() % 2 != 0 || !ends_line || 20 * (zeros[0] + zeros[1]) < sample.size() ||
      (zeros[0] > 0) == (zeros[1] > 0)) {
    return nullptr;
  }
  return zeros[1] > 0 ? "UTF-16LE" : "UTF-16BE";
}

}  // namespace

bool is_encoding(const std::string& name) { return is_utf8(name) || open_converter(name) != nullptr; }

std::string to_utf8(const std::filesystem::path& path, std::string bytes, const std::string& encoding) {
  for (const ByteOrderMark& mark : kByteOrderMarks) {
    if (!bytes.starts_with(mark.bytes)) continue;
    if (!is_utf8(mark.encoding)) return convert(path, std::string_view(bytes).substr(mark.bytes.size()), mark.encoding);
    bytes.erase(0, mark.bytes.size());
    return bytes;
  }
  if (!is_utf8(encoding)) return convert(path, bytes, encoding);
  const char* const utf16 = utf16_by_zeros(bytes);
  return utf16 == nullptr ? bytes : convert(path, bytes, utf16);
}

void check_utf8(const std::filesystem::path& path, std::string_view text) {
  constexpr uint64_t kHigh = 0x8080808080808080u, kOnes = 0x0101010101010101u;
  for (size_t at = 0; at < text.size();) {
    uint64_t eight = 0;
    if (at + sizeof(eight) <= text.size()) {
      std::memcpy(&eight, text.data() + at, sizeof(eight));
      if (((eight | (eight - kOnes)) & kHigh) == 0) {  // all from 0x01 to 0x7f
        at += sizeof(eight);
        continue;
      }
    }
    const int64_t line = text[at] == '\0' || utf8_length(text, at) == 0 ? line_of(text.substr(0, at)) : 0;
    if (text[at] == '\0') {
      throw DataError(fmt::format("{} line {}: a NUL byte (0x00), which no text has", path.string(), line),
                      "take such bytes out (tr -d '\\000' < FILE), or name another file if this one is no text; for "
                      "UTF-16, set encoding = \"utf-16le\" or \"utf-16be\" under [source]");
    }
    if (line > 0) {
      throw DataError(fmt::format("{} line {}: byte 0x{:02x} is not UTF-8", path.string(), line,
                                  static_cast<unsigned>(static_cast<unsigned char>(text[at]))),
                      "set encoding under [source], for example \"cp1252\" for text of Windows; or convert the file: "
                      "iconv -f cp1252 -t utf-8");
    }
    at += utf8_length(text, at);
  }
}

}  // namespace sheaf::text
