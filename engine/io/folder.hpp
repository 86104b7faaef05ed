#pragma once
/// A prepared data set and a checkpoint are each a folder of files with a manifest.json that is written last. A folder
/// is written beside its target and then renamed, so a reader sees the old one or the new one, never a half-written
/// one.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace sheaf::io {

/// Version of the folder's layout; a folder of another version is refused.
inline constexpr int64_t kFolderVersion = 1;

/// Lower-case hex SHA-256 of a file's bytes. DataError if it cannot be read.
std::string sha256_file(const std::filesystem::path& path);

/// Long runs call it first: fails if a FolderWriter for `target` would. UsageError unless a folder of `kind` may be put
/// there: nothing is there, or an empty folder, or an older one of that kind. DataError with the system's reason if no
/// folder can be made beside it, which is tried.
void check_target(const std::filesystem::path& target, const std::string& kind);

class FolderWriter {
 public:
  /// Makes `<target>.partial-<pid>`. DataError with the path and the system's reason if that fails.
  explicit FolderWriter(std::filesystem::path target);
  /// Removes the partial folder unless it was committed.
  ~FolderWriter();
  FolderWriter(const FolderWriter&) = delete;
  FolderWriter& operator=(const FolderWriter&) = delete;

  /// The partial folder: write the files here, then commit.
  const std::filesystem::path& path() const noexcept { return partial_; }

  /// Adds kind, version and the size and sha256 of every file to `manifest` (an object), writes it, fsyncs all and
  /// renames the folder to the target. An older folder of the same kind is replaced; anything else there is a
  /// UsageError and stays as it is.
  void commit(const std::string& kind, nlohmann::json manifest);

 private:
  std::filesystem::path target_, partial_;
  bool committed_ = false;
};

/// The manifest of a folder whose kind, version, and every listed file's size and sha256 are right; else DataError.
nlohmann::json read_folder(const std::filesystem::path& path, const std::string& kind);

}  // namespace sheaf::io
