#include "engine/io/file_io.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "kernels/core/error.hpp"

namespace sheaf::io {

void throw_errno(const std::string& action, const std::filesystem::path& path) {
  const int code = errno;
  std::string mend;
  if (code == ENOSPC || code == EDQUOT) mend = "free space on the disk and run the same command again";
  if (code == EACCES || code == EROFS || code == EPERM) mend = "choose a folder that you may write to";
  if (code == ENOENT) mend = "check the path; folders above it must exist";
  throw DataError(action + " " + path.string() + ": " + std::generic_category().message(code), mend);
}

OutputFile::OutputFile(std::filesystem::path path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw_errno("cannot write", path_);
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_errno("cannot write", path_);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void OutputFile::finish() {
  // Devices and pipes cannot be synced; they have nothing to lose.
  if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) throw_errno("cannot write", path_);
  const int descriptor = descriptor_;
  descriptor_ = -1;
  if (::close(descriptor) != 0) throw_errno("cannot write", path_);
}

void write_file(const std::filesystem::path& path, const std::string& text) {
  OutputFile file(path);
  file.append(text);
  file.finish();
}

static std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

void replace_file(const std::filesystem::path& path, const std::string& text) {
  const std::filesystem::path partial = path.string() + ".partial-" + std::to_string(::getpid());
  try {
    write_file(partial, text);
    if (::rename(partial.c_str(), path.c_str()) != 0) throw_errno("cannot write", path);
  } catch (...) {
    ::unlink(partial.c_str());
    throw;
  }
  sync_folder(folder_of(path));
}

void check_file_target(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) {
    throw UsageError(path.string() + " is a folder, not a file", "give the name of a file");
  }
  if (::access((folder_of(path) / ".").c_str(), W_OK) != 0) throw_errno("cannot write", path);
}

void sync_folder(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) throw_errno("cannot open folder", path);
  const bool failed = ::fsync(descriptor) != 0 && errno != EINVAL;
  const int code = errno;
  ::close(descriptor);
  errno = code;
  if (failed) throw_errno("cannot sync folder", path);
}

}  // namespace sheaf::io
