#pragma once
/// The right to write in a place, and what killed runs left there.

#include <filesystem>
#include <string>

namespace sheaf::io {

/// One process at a time writes `target`, a file or a folder: it holds a lock (flock) on the empty file
/// `<target>.sheaf-lock`, which goes away with the claim. The system frees the lock of a killed process. So whoever has
/// the lock knows that no live process owns the partial files and folders beside the target, and clears them up: a
/// folder that was set aside comes back if nothing took its place; all else is removed. A line on stderr says so.
/// Where the file system has no locks, nothing is cleared up, and of two writers the later one's result stays, whole.
class Claim {
 public:
  enum class Busy { refuse, wait };
  /// DataError "<action> <target>: <reason>" if the lock file cannot be made. If another process has the lock:
  /// DataError at once, or waits until it has ended (Interrupted ends that).
  Claim(std::filesystem::path target, Busy busy, const char* action);
  ~Claim();
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

  /// `<target>.partial-<8 random hex digits>`, another name at each call. Make it exclusively: the name may be taken.
  std::filesystem::path partial() const;

 private:
  bool try_lock(const char* action);

  std::filesystem::path target_, lock_;
  int descriptor_ = -1;
};

/// What `target` names: itself, or the place behind a symbolic link, so that the link stays. "folder/" loses its slash.
/// UsageError if a link leads nowhere.
std::filesystem::path behind_link(const std::filesystem::path& target);

/// Where the former folder stands while `partial` takes its place, on a file system that cannot exchange the two.
std::filesystem::path aside_of(const std::filesystem::path& partial);

/// Where `path`, or what a link there names, is missing because a run was killed while it replaced it: brings the
/// folder that was set aside back. For whoever reads it.
void restore_aside(const std::filesystem::path& path);

/// Removes a folder that Sheaf wrote. If it holds a file that its manifest does not list, everything stays, because
/// that file is somebody's; gives the file's name, else an empty text. Errors are ignored: the next claim tries again.
std::string discard_folder(const std::filesystem::path& folder);

}  // namespace sheaf::io
