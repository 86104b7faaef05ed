#include "engine/io/folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/io/file_io.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::io {
namespace fs = std::filesystem;
namespace {

constexpr const char* kManifest = "manifest.json";

/// The manifest as JSON, or a discarded value if there is none or it does not parse.
nlohmann::json try_manifest(const fs::path& folder) {
  std::ifstream file(folder / kManifest, std::ios::binary);
  return file ? nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false)
              : nlohmann::json(nlohmann::json::value_t::discarded);
}

std::string kind_of(const nlohmann::json& manifest) {
  return manifest.is_object() && manifest.contains("kind") && manifest["kind"].is_string()
             ? manifest["kind"].get<std::string>()
             : std::string();
}

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

/// "folder/" without its slash.
fs::path without_slash(fs::path target) { return target.has_filename() ? target : target.parent_path(); }

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

/// UsageError unless a folder of `kind` may take the place of what is at `target`.
void check_replaceable(const fs::path& target, const std::string& kind) {
  std::error_code ignored;
  const std::string mend = "choose another place, or move what is there away";
  const fs::path name = target.filename();
  if (name.empty() || name == "." || name == "..") {
    throw UsageError(fmt::format("'{}' names no folder of its own", target.string()),
                     "give the folder a name, such as " + (target / kind).lexically_normal().string());
  }
  if (!fs::exists(fs::symlink_status(target, ignored))) return;
  if (fs::is_symlink(fs::symlink_status(target, ignored)) || !fs::is_directory(target, ignored)) {
    throw UsageError(target.string() + " exists and is not a folder", mend);
  }
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

fs::path partial_of(const fs::path& target) { return target.string() + fmt::format(".partial-{}", ::getpid()); }

/// An error names the target: nobody has heard of the partial folder.
void make_partial(const fs::path& partial, const fs::path& target) {
  std::error_code error;
  fs::remove_all(partial, error);  // left by a killed run that had the same process id
  if (fs::create_directory(partial, error)) return;
  errno = error.value();
  throw_errno("cannot make folder", target);
}

/// Puts `partial` at `target`, which check_replaceable has approved, and removes what was there.
void rename_into_place(const fs::path& partial, const fs::path& target) {
  if (!fs::exists(target) || fs::is_empty(target)) {
    if (std::rename(partial.c_str(), target.c_str()) != 0) throw_errno("cannot rename to", target);
    return;
  }
  if (::renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(partial);
    return;
  }
  if (errno != EINVAL && errno != ENOSYS) throw_errno("cannot replace", target);
  // Some network file systems cannot exchange: two renames, and the older folder comes back if the second fails.
  const fs::path old = partial.string() + ".old";
  if (std::rename(target.c_str(), old.c_str()) != 0) throw_errno("cannot replace", target);
  if (std::rename(partial.c_str(), target.c_str()) != 0) {
    const int code = errno;
    std::rename(old.c_str(), target.c_str());
    errno = code;
    throw_errno("cannot replace", target);
  }
  fs::remove_all(old);
}

}  // namespace

std::string sha256_file(const fs::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) throw_cannot_read(path);
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> digest(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  bool good = digest && EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) == 1;
  std::vector<unsigned char> block(size_t{1} << 20);
  while (good) {
    const size_t n = std::fread(block.data(), 1, block.size(), file.get());
    if (n == 0) break;
    good = EVP_DigestUpdate(digest.get(), block.data(), n) == 1;
  }
  if (std::ferror(file.get()) != 0) throw_cannot_read(path);
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (!good || EVP_DigestFinal_ex(digest.get(), hash, &length) != 1) {
    throw DataError("cannot compute the sha256 of " + path.string());
  }
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) hex += fmt::format("{:02x}", hash[i]);
  return hex;
}

void check_target(const fs::path& path, const std::string& kind) {
  const fs::path target = without_slash(path);
  check_replaceable(target, kind);
  const fs::path partial = partial_of(target);
  make_partial(partial, target);
  std::error_code ignored;
  fs::remove(partial, ignored);
}

FolderWriter::FolderWriter(fs::path target) : target_(without_slash(std::move(target))), partial_(partial_of(target_)) {
  make_partial(partial_, target_);
}

FolderWriter::~FolderWriter() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(partial_, ignored);
}

void FolderWriter::commit(const std::string& kind, nlohmann::json manifest) {
  check_replaceable(target_, kind);
  try {
    manifest["kind"] = kind;
    manifest["version"] = kFolderVersion;
    manifest["files"] = seal_files(partial_);
    OutputFile file(partial_ / kManifest);
    file.append(manifest.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    file.finish();
    sync_folder(partial_);
    rename_into_place(partial_, target_);
    const fs::path parent = target_.parent_path();
    sync_folder(parent.empty() ? fs::path(".") : parent);
  } catch (const fs::filesystem_error& error) {
    throw DataError(fmt::format("cannot write {}: {}", target_.string(), error.code().message()));
  }
  committed_ = true;
}

nlohmann::json read_folder(const fs::path& path, const std::string& kind) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    throw DataError(fmt::format("{} is not a folder", path.string()),
                    fmt::format("make it first, or give the folder of a '{}'", kind));
  }
  const auto fail = [&](const std::string& message) {
    throw DataError(fmt::format("{}: {}", path.string(), message), "make the folder again");
  };
  if (!fs::exists(path / kManifest, error)) fail("no manifest.json");
  nlohmann::json manifest = try_manifest(path);
  const std::string found = kind_of(manifest);
  if (found.empty()) fail("manifest.json is damaged");
  if (found != kind) fail(fmt::format("holds kind '{}', expected '{}'", found, kind));
  if (!manifest.contains("version") || manifest["version"] != kFolderVersion) {
    fail(fmt::format("version {}, this program reads {}", manifest.value("version", nlohmann::json()).dump(),
                     kFolderVersion));
  }
  if (!manifest.contains("files") || !manifest["files"].is_object()) fail("manifest.json lists no files");
  for (const auto& [name, sealed] : manifest["files"].items()) {
    if (!is_inside(name) || !sealed.is_object() || !sealed.contains("bytes") || !sealed["bytes"].is_number_unsigned() ||
        !sealed.contains("sha256") || !sealed["sha256"].is_string()) {
      fail(fmt::format("manifest.json: the entry of '{}' is damaged", name));
    }
    const fs::path file = path / name;
    if (!fs::is_regular_file(file, error)) fail(fmt::format("{} is missing", name));
    const auto expected = sealed["bytes"].get<uintmax_t>();
    const uintmax_t bytes = fs::file_size(file, error);
    if (bytes != expected) fail(fmt::format("{}: expected {} bytes, found {}", name, expected, bytes));
    const std::string hash = sha256_file(file);
    if (hash != sealed["sha256"].get<std::string>()) {
      fail(fmt::format("{}: sha256 {}, expected {}", name, hash, sealed["sha256"].get<std::string>()));
    }
  }
  return manifest;
}

}  // namespace sheaf::io
