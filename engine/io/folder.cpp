#include "engine/io/folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/data/shown.hpp"
#include "engine/io/file_io.hpp"
#include "engine/io/standard_streams.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::io {
namespace fs = std::filesystem;
namespace {

/// A name that stays inside the folder.
bool is_inside(const fs::path& name) {
  return !name.empty() && name.is_relative() && std::ranges::none_of(name, [](const fs::path& p) { return p == ".."; });
}

void sync_file(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw_errno("cannot open", path);
  const bool failed = ::fsync(descriptor) != 0 && errno != EINVAL;
  const int code = errno;
  ::close(descriptor);
  errno = code;
  if (failed) throw_errno("cannot write", path);
}

/// Size and sha256 of every file below `folder`, each of them on the disk.
nlohmann::json seal_files(const fs::path& folder) {
  std::vector<fs::path> files, folders{folder};
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    (entry.is_directory() ? folders : files).push_back(entry.path());
  }
  nlohmann::json sealed = nlohmann::json::object();
  for (const fs::path& file : files) {
    sync_file(file);
    sealed[fs::relative(file, folder).generic_string()] = {{"bytes", fs::file_size(file)},
                                                           {"sha256", sha256_file(file)}};
  }
  for (const fs::path& below : folders) sync_folder(below);
  return sealed;
}

/// Such a folder cannot be renamed. A bind mount of the same file system is found only where the kernel says so.
bool is_mount_point(const fs::path& folder) {
#ifdef STATX_ATTR_MOUNT_ROOT
  struct statx about {};
  return ::statx(AT_FDCWD, folder.c_str(), AT_SYMLINK_NOFOLLOW, 0, &about) == 0 &&
         (about.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
#else
  return false;
#endif
}

/// UsageError unless nothing, an empty folder or a folder of `kind` is at `target`.
void check_kind(const fs::path& target, const std::string& kind) {
  std::error_code ignored;
  const std::string mend = "choose another place, or move what is there away";
  const fs::path name = target.filename();
  if (name.empty() || name == "." || name == "..") {
    throw UsageError(fmt::format("'{}' names no folder of its own", target.string()),
                     "give the folder a name, such as " + (target / kind).lexically_normal().string());
  }
  if (!fs::exists(target, ignored)) return;
  if (!fs::is_directory(target, ignored)) throw UsageError(target.string() + " exists and is not a folder", mend);
  if (is_mount_point(target)) {
    throw UsageError(target.string() + " is where a file system is mounted, and cannot be replaced",
                     "give a folder in it, such as " + (target / kind).string());
  }
  if (fs::is_empty(target, ignored)) return;
  const std::string found = kind_of(try_manifest(target));
  if (found == kind) return;
  throw UsageError(found.empty() ? fmt::format("{} exists and is not a folder of kind '{}'", target.string(), kind)
                                 : fmt::format("{} holds kind '{}', not '{}'", target.string(), found, kind),
                   mend);
}

/// The same, and UsageError if a file is there that the manifest does not list.
void check_replaceable(const fs::path& target, const std::string& kind) {
  check_kind(target, kind);
  if (!fs::exists(target) || fs::is_empty(target)) return;
  if (const std::string foreign = foreign_file(target, try_manifest(target)); !foreign.empty()) {
    throw UsageError(fmt::format("{} holds {}, which its manifest does not list", target.string(), foreign),
                     "it would be lost with the older result: move it away, or choose another place");
  }
}

/// The place that `given` names, if it has a name and may be replaced.
fs::path checked_target(const fs::path& given, const std::string& kind) {
  const fs::path target = behind_link(given);
  check_replaceable(target, kind);
  return target;
}

/// An error names the target: nobody has heard of the partial folder.
fs::path make_partial(const Claim& claim, const fs::path& target) {
  for (;;) {
    const fs::path partial = claim.partial();
    if (::mkdir(partial.c_str(), 0777) == 0) return partial;
    if (errno != EEXIST) throw_errno("cannot make folder", target);
  }
}

/// Puts `partial` at `target`, which check_kind has approved; gives the place of what was there, or nothing.
fs::path rename_into_place(const fs::path& partial, const fs::path& target) {
  if (!fs::exists(target) || fs::is_empty(target)) {
    if (std::rename(partial.c_str(), target.c_str()) != 0) throw_errno("cannot rename to", target);
    return {};
  }
  if (::renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) return partial;
  if (errno != EINVAL && errno != ENOSYS) throw_errno("cannot replace", target);
  // Some network file systems cannot exchange: two renames, and the older folder comes back if the second fails. If the
  // process ends between the two, the next claim brings it back.
  const fs::path aside = aside_of(partial);
  if (std::rename(target.c_str(), aside.c_str()) != 0) throw_errno("cannot replace", target);
  if (std::rename(partial.c_str(), target.c_str()) != 0) {
    const int code = errno;
    std::rename(aside.c_str(), target.c_str());
    errno = code;
    throw_errno("cannot replace", target);
  }
  return aside;
}

}  // namespace

FolderWriter::FolderWriter(const fs::path& target, std::string kind) try
    : given_(target),
      target_(checked_target(target, kind)),
      kind_(std::move(kind)),
      claim_(target_, Claim::Busy::refuse, "cannot make folder") {
  check_replaceable(target_, kind_);  // once more: the claim may have brought an older folder back
  partial_ = make_partial(claim_, target_);
} catch (const fs::filesystem_error& error) {
  throw DataError(fmt::format("cannot write {}: {}", target.string(), error.code().message()));
}

FolderWriter::~FolderWriter() {
  if (committed_) return;
  try {
    fs::remove_all(partial_);
  } catch (const std::exception&) {  // the next claim tries again
  }
}

void FolderWriter::commit(nlohmann::json manifest) {
  fs::path former;
  try {
    check_kind(target_, kind_);
    manifest["kind"] = kind_;
    manifest["version"] = kFolderVersion;
    manifest["files"] = seal_files(partial_);
    write_file(partial_ / kManifest, sealed_text(std::move(manifest)));
    sync_folder(partial_);
    former = rename_into_place(partial_, target_);
  } catch (const fs::filesystem_error& error) {
    throw DataError(fmt::format("cannot write {}: {}", given_.string(), error.code().message()));
  }
  committed_ = true;
  confirm_on_disk(given_, target_);
  if (const std::string foreign = former.empty() ? "" : discard_folder(former); !foreign.empty()) {
    say(fmt::format("note: {} came into {} while it was being replaced; it is now in {}\n", foreign, given_.string(),
                    former.string()));
  }
}

nlohmann::json read_folder(const fs::path& path, const std::string& kind, std::initializer_list<const char*> required) {
  std::error_code error;
  if (!fs::is_directory(path, error)) restore_aside(path);
  if (!fs::is_directory(path, error)) {
    throw DataError(fmt::format("{} is not a folder", path.string()),
                    fmt::format("make it first, or give the folder of a '{}'", kind));
  }
  const auto fail = [&](const std::string& message) {
    throw DataError(fmt::format("{}: {}", path.string(), message), "make the folder again");
  };
  if (!fs::exists(path / kManifest, error)) fail("no manifest.json");
  const std::string text = read_file(path / kManifest);
  const nlohmann::json manifest = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const std::string found = kind_of(manifest);
  if (found.empty()) fail("manifest.json is damaged");
  if (!kind.empty() && found != kind) fail(fmt::format("holds kind '{}', expected '{}'", text::shown(found), kind));
  if (!manifest.contains("version") || manifest["version"] != kFolderVersion) {
    const std::string version = text::shown(manifest.value("version", nlohmann::json()).dump());
    throw DataError(fmt::format("{}: version {}, this program reads {}", path.string(), version, kFolderVersion),
                    "another version of Sheaf wrote it: run the command that made it again (import, train, ..)");
  }
  if (const std::string fault = seal_fault(text, manifest); !fault.empty()) fail("manifest.json " + fault);
  if (!manifest.contains("files") || !manifest["files"].is_object()) fail("manifest.json lists no files");
  for (const char* name : required) {
    if (!manifest["files"].contains(name)) fail(fmt::format("manifest.json does not list {}", name));
  }
  for (const auto& [name, sealed] : manifest["files"].items()) {
    if (!is_inside(name) || !sealed.is_object() || !sealed.contains("bytes") || !sealed["bytes"].is_number_unsigned() ||
        !sealed.contains("sha256") || !sealed["sha256"].is_string()) {
      fail(fmt::format("manifest.json: the entry of '{}' is damaged", text::shown(name)));
    }
    const fs::path file = path / name;
    if (!fs::is_regular_file(file, error)) fail(fmt::format("{} is missing", text::shown(name)));
    const auto expected = sealed["bytes"].get<uintmax_t>();
    const uintmax_t bytes = fs::file_size(file, error);
    if (bytes != expected) fail(fmt::format("{}: expected {} bytes, found {}", text::shown(name), expected, bytes));
    const std::string hash = sha256_file(file);
    if (hash != sealed["sha256"].get<std::string>()) {
      fail(fmt::format("{}: sha256 {}, expected {}", text::shown(name), hash,
                       text::shown(sealed["sha256"].get<std::string>(), hash.size())));
    }
  }
  return manifest;
}

void check_same(const fs::path& path, const nlohmann::json& manifest) {
  if (try_manifest(path) == manifest) return;
  throw DataError(path.string() + " was replaced while it was being read", "run the same command again");
}

}  // namespace sheaf::io
