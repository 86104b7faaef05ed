#pragma once
/// Files that are complete and on the disk; else a DataError with the path and the system's reason.

#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>

namespace sheaf::io {

/// Throws DataError("<action> <path>: <text of errno>"), DeviceError where memory is short, Interrupted where a signal
/// ended the call. Reads errno: call right after the failure.
[[noreturn]] void throw_errno(const std::string& action, const std::filesystem::path& path);

/// The same for an input: "cannot read <path>", and what to do about an input. Reads errno, too.
[[noreturn]] void throw_cannot_read(const std::filesystem::path& path);

/// The bytes of a file, `most` of them at most.
std::string read_file(const std::filesystem::path& path, size_t most = std::numeric_limits<size_t>::max());

/// The folder that holds `path`.
std::filesystem::path folder_of(const std::filesystem::path& path);

/// A file being written: create (or truncate), append, then finish() once. Without finish() its content is undefined.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void append(std::span<const std::byte> bytes);
  void append(const std::string& text) { append(std::as_bytes(std::span(text))); }
  /// fsync and close.
  void finish();

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// Writes a whole file in one go. An existing file is replaced.
void write_file(const std::filesystem::path& path, const std::string& text);

/// The same, but written beside the target and renamed: a reader sees the old file or the new one, never a half-written
/// one. A symbolic link stays, and the file behind it is replaced. A writer waits for another one of the same file.
void replace_file(const std::filesystem::path& path, const std::string& text);

/// Long runs call it first: fails if `replace_file` would. UsageError if `path` is no plain file, or one that is not
/// empty and begins with none of `starts`: it is of another kind and stays as it is. Without `starts`, any file is
/// replaced. DataError with the system's reason if no file can be made beside it, which is tried.
void check_file_target(const std::filesystem::path& path, std::initializer_list<std::string_view> starts = {});

/// fsync of a folder, so that the names in it are on the disk.
void sync_folder(const std::filesystem::path& path);
/// The same for the folder that holds `target`, which has been renamed into place: an error says so. Users know the
/// place as `given`.
void confirm_on_disk(const std::filesystem::path& given, const std::filesystem::path& target);

}  // namespace sheaf::io
