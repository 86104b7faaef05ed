#include "engine/io/claim.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "engine/io/file_io.hpp"
#include "engine/io/manifest.hpp"
#include "engine/io/standard_streams.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf::io {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPartial = ".partial-", kAside = ".old";
constexpr size_t kDigits = 8;
constexpr auto kPause = std::chrono::milliseconds(20);  // between two tries to get a lock

/// Whether `name` is a partial name of `target`; with `aside`, one of a folder that was set aside.
bool is_partial(std::string_view name, std::string_view target, bool aside) {
  if (!name.starts_with(target)) return false;
  name.remove_prefix(target.size());
  if (!name.starts_with(kPartial)) return false;
  name.remove_prefix(kPartial.size());
  if (aside != name.ends_with(kAside)) return false;
  if (aside) name.remove_suffix(kAside.size());
  return name.size() == kDigits && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::vector<fs::path> partials_of(const fs::path& target, bool aside) {
  std::vector<fs::path> found;
  try {
    for (const auto& entry : fs::directory_iterator(folder_of(target))) {
      if (is_partial(entry.path().filename().string(), target.filename().string(), aside)) {
        found.push_back(entry.path());
      }
    }
  } catch (const fs::filesystem_error&) {  // a folder in which one may write but not look
  }
  std::ranges::sort(found);
  return found;
}

void note(const std::string& line) { say("note: " + line + "\n"); }

/// Clears up what killed runs left. The caller has the lock.
void clear_up(const fs::path& target) {
  std::error_code ignored;
  for (const fs::path& former : partials_of(target, /*aside=*/true)) {
    if (fs::exists(fs::symlink_status(target, ignored))) break;
    fs::rename(former, target, ignored);
    if (!ignored) note(fmt::format("{} is back; a run that was killed had set it aside", target.string()));
  }
  size_t removed = 0;
  for (const bool aside : {false, true}) {
    for (const fs::path& left : partials_of(target, aside)) {
      const std::string foreign = fs::is_directory(left, ignored) ? discard_folder(left) : std::string();
      if (!foreign.empty()) {
        note(fmt::format("{} stays: it holds {}, which is not of this program", left.string(), foreign));
      } else if (fs::remove(left, ignored) || !fs::exists(fs::symlink_status(left, ignored))) {
        ++removed;
      }
    }
  }
  if (removed > 0) note(fmt::format("removed what a run that was killed had left beside {}", target.string()));
}

}  // namespace

fs::path behind_link(const fs::path& path) {
  const fs::path target = path.has_filename() ? path : path.parent_path();
  std::error_code error;
  if (!fs::is_symlink(fs::symlink_status(target, error))) return target;
  fs::path behind = fs::canonical(target, error);
  if (!error) return behind;
  behind = folder_of(target) / fs::read_symlink(target, error);
  if (!partials_of(behind, /*aside=*/true).empty()) return behind;  // a claim brings it back
  throw UsageError(target.string() + " is a symbolic link that leads nowhere", "make what it names, or remove it");
}

fs::path aside_of(const fs::path& partial) { return partial.string() + std::string(kAside); }

void restore_aside(const fs::path& path) {
  std::error_code error;
  const fs::path target = fs::is_symlink(path, error) ? folder_of(path) / fs::read_symlink(path, error) : path;
  if (!partials_of(target, /*aside=*/true).empty()) const Claim clears_up(target, Claim::Busy::refuse, "cannot read");
}

std::string discard_folder(const fs::path& folder) {
  try {
    const nlohmann::json manifest = try_manifest(folder);
    if (!kind_of(manifest).empty()) {
      if (std::string foreign = foreign_file(folder, manifest); !foreign.empty()) return foreign;
    }
    fs::remove_all(folder);
  } catch (const std::exception&) {
  }
  return {};
}

Claim::Claim(fs::path target, Busy busy, const char* action)
    : target_(std::move(target)), lock_(target_.string() + ".sheaf-lock") {
  while (!try_lock(action)) {
    if (busy == Busy::refuse) {
      throw DataError(fmt::format("{} {}: another process is writing it", action, target_.string()),
                      "wait until it has ended, or choose another place");
    }
    check_interrupt("waiting for another process");
    std::this_thread::sleep_for(kPause);
  }
  if (descriptor_ >= 0) clear_up(target_);
}

/// False if another process has the lock. True without a descriptor if there are no locks here.
bool Claim::try_lock(const char* action) {
  for (;;) {
    // Opened for writing: over NFS a lock is one of the server's byte ranges, which asks for that.
    const int descriptor = ::open(lock_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor < 0) throw_errno(action, target_);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      const int code = errno;
      ::close(descriptor);
      if (code == EINTR) continue;
      if (code == EWOULDBLOCK) return false;
      ::unlink(lock_.c_str());
      return true;
    }
    // The holder before removed the file after it was opened here: then the lock is one of a file without a name.
    struct stat opened {
    }, named{};
    if (::fstat(descriptor, &opened) == 0 && ::stat(lock_.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
        opened.st_dev == named.st_dev) {
      descriptor_ = descriptor;
      return true;
    }
    ::close(descriptor);
  }
}

Claim::~Claim() {
  if (descriptor_ < 0) return;
  struct stat about {};
  // Before the lock is free: whoever has opened the file sees then that its name is gone. Ours is empty.
  if (::fstat(descriptor_, &about) == 0 && about.st_size == 0) ::unlink(lock_.c_str());
  ::close(descriptor_);
}

fs::path Claim::partial() const {
  uint32_t number = 0;
  if (::getrandom(&number, sizeof(number), 0) != sizeof(number)) throw_errno("cannot make a name beside", target_);
  return target_.string() + fmt::format("{}{:0{}x}", kPartial, number, kDigits);
}

}  // namespace sheaf::io
