#pragma once
/// What the program writes is a folder of files with a manifest.json that is written last (manifest.hpp). A folder is
/// written beside its target and then renamed, so a reader sees the old one or the new one, never a half-written one.

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/io/claim.hpp"
#include "engine/io/manifest.hpp"

namespace sheaf::io {

/// Version of the folder's layout; a folder of another version is refused. Version 1 had no checksum of the manifest.
inline constexpr int64_t kFolderVersion = 2;

class FolderWriter {
 public:
  /// Long runs make it first: it fails if the commit would. Claims the place (claim.hpp) until it is destroyed, and
  /// makes the partial folder. UsageError unless a folder of `kind` may be put there: nothing is there, or an empty
  /// folder, or an older one of that kind that holds nothing but what its manifest lists. A symbolic link to a folder
  /// stays; the folder behind it is meant. DataError with the system's reason if nothing can be made there, or if
  /// another process is writing it.
  FolderWriter(const std::filesystem::path& target, std::string kind);
  /// Removes the partial folder unless it was committed.
  ~FolderWriter();
  FolderWriter(const FolderWriter&) = delete;
  FolderWriter& operator=(const FolderWriter&) = delete;

  /// The partial folder: write the files here, then commit.
  const std::filesystem::path& path() const noexcept { return partial_; }

  /// Adds kind, version, the size and sha256 of every file and its own checksum to `manifest` (an object), writes it,
  /// fsyncs all and renames the folder to the target. The older folder is removed, but not a file that somebody has put
  /// there since: a line on stderr then names what is left.
  void commit(nlohmann::json manifest);

 private:
  std::filesystem::path given_, target_;
  std::string kind_;
  Claim claim_;
  std::filesystem::path partial_;
  bool committed_ = false;
};

/// The manifest of a folder whose kind, version, checksum, and every listed file's size and sha256 are right, and that
/// lists all `required` files; else DataError. An empty `kind` takes any.
nlohmann::json read_folder(const std::filesystem::path& path, const std::string& kind,
                           std::initializer_list<const char*> required = {});

/// Call when all is read from the folder that `manifest` is of. DataError if another one has taken its place meanwhile:
/// then the parts may be of both.
void check_same(const std::filesystem::path& path, const nlohmann::json& manifest);

}  // namespace sheaf::io
