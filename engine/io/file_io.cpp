#include "engine/io/file_io.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include "engine/io/claim.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf::io {

static constexpr size_t kMostOfStart = 256;  // bytes by which the kind of a file is known
static constexpr size_t kBlock = size_t{1} << 16;

/// What ends a call and is not the fault of its path.
static void throw_if_stopped(int code, const std::string& action, const std::filesystem::path& path) {
  if (code == EINTR) check_interrupt("the reading and writing of files");
  if (code == ENOMEM) {
    throw DeviceError(action + " " + path.string() + ": out of memory", "close other programs, or raise the limit");
  }
}

void throw_errno(const std::string& action, const std::filesystem::path& path) {
  const int code = errno;
  throw_if_stopped(code, action, path);
  std::string mend;
  if (code == ENOSPC || code == EDQUOT) mend = "free space on the disk and run the same command again";
  if (code == EACCES || code == EROFS || code == EPERM) mend = "choose a folder that you may write to";
  if (code == ENOENT) mend = "check the path; folders above it must exist";
  if (code == ENOTDIR) mend = "check the path; what stands before a slash must be a folder";
  if (code == ENAMETOOLONG) mend = "give a shorter name";
  throw DataError(action + " " + path.string() + ": " + std::generic_category().message(code), mend);
}

std::string read_file(const std::filesystem::path& path, size_t most) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) throw_cannot_read(path);
  std::string text, block(std::min(kBlock, most), '\0');
  for (size_t n; text.size() < most && (n = std::fread(block.data(), 1, block.size(), file.get())) > 0;) {
    text.append(block, 0, std::min(n, most - text.size()));
  }
  if (std::ferror(file.get()) != 0) throw_cannot_read(path);
  return text;
}

void throw_cannot_read(const std::filesystem::path& path) {
  const int code = errno;
  throw_if_stopped(code, "cannot read", path);
  std::string mend = "check the path, and whether the disk is well";
  if (code == EACCES || code == EPERM) mend = "you may not read it: ask its owner, or chmod +r; or name another file";
  if (code == ENOENT) mend = "check the path: there is no such file";
  if (code == ENOTDIR) mend = "check the path; what stands before a slash must be a folder";
  if (code == EISDIR) mend = "name a file in this folder";
  if (code == ENAMETOOLONG) mend = "give a shorter name";
  throw DataError("cannot read " + path.string() + ": " + std::generic_category().message(code), mend);
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

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

void replace_file(const std::filesystem::path& path, const std::string& text) {
  const std::filesystem::path target = behind_link(path);
  const Claim claim(target, Claim::Busy::wait, "cannot write");
  const std::filesystem::path partial = claim.partial();
  try {
    write_file(partial, text);
    if (::rename(partial.c_str(), target.c_str()) != 0) throw_errno("cannot write", path);
  } catch (...) {
    ::unlink(partial.c_str());
    throw;
  }
  confirm_on_disk(path, target);
}

/// Whether the file is empty or begins as one of `starts`.
static bool begins_with_one_of(const std::filesystem::path& path, std::initializer_list<std::string_view> starts) {
  const std::string begin = read_file(path, kMostOfStart);
  return begin.empty() || std::ranges::any_of(starts, [&](std::string_view start) { return begin.starts_with(start); });
}

void check_file_target(const std::filesystem::path& given, std::initializer_list<std::string_view> starts) {
  std::error_code ignored;
  const std::filesystem::path path = behind_link(given);
  if (std::filesystem::is_directory(path, ignored) || !given.has_filename()) {
    throw UsageError(given.string() + " is a folder, not a file", "give the name of a file");
  }
  if (std::filesystem::exists(path, ignored)) {
    const char* const mend = "choose another place, or move what is there away";
    if (!std::filesystem::is_regular_file(path, ignored)) throw UsageError(path.string() + " is no plain file", mend);
    if (starts.size() > 0 && !begins_with_one_of(path, starts)) {
      throw UsageError(path.string() + " exists and is no earlier result of this kind", mend);
    }
  }
  const Claim claim(path, Claim::Busy::wait, "cannot write");
  const std::filesystem::path partial = claim.partial();
  const int descriptor = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) throw_errno("cannot write", path);
  ::close(descriptor);
  ::unlink(partial.c_str());
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

void confirm_on_disk(const std::filesystem::path& given, const std::filesystem::path& target) {
  try {
    sync_folder(folder_of(target));
  } catch (const Error& error) {
    throw DataError(fmt::format("{} is written, but the system cannot say that it is on the disk: {}", given.string(),
                                error.what()),
                    "look at the disk; the result is lost only if the machine stops now");
  }
}

}  // namespace sheaf::io
