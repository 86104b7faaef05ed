#pragma once
/// Bytes of a file as UTF-8.

#include <filesystem>
#include <string>
#include <string_view>

namespace sheaf::text {

/// Whether to_utf8 can read this encoding: every name that iconv knows, such as cp1252, iso-8859-15, utf-16le, gbk.
bool is_encoding(const std::string& name);

/// The text as UTF-8, without a byte order mark. A byte order mark (UTF-8, UTF-16, UTF-32) decides; else `encoding`;
/// "utf-8" is left as it is, unless the bytes are UTF-16 by their zeros. latin1 is read as cp1252, which has letters
/// where latin1 has control characters. DataError with the line for bytes that the encoding does not have.
std::string to_utf8(const std::filesystem::path& path, std::string bytes, const std::string& encoding);

/// DataError with line and byte for what is not UTF-8, and for a NUL byte, which no text has.
void check_utf8(const std::filesystem::path& path, std::string_view text);

}  // namespace sheaf::text
