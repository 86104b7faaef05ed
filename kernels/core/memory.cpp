#include "kernels/core/memory.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>

#if defined(__linux__)
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#endif

#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();

/// The number after `key` in a file of words, or the first word that is a number without a key; -1 for none.
int64_t number_in(const char* path, const std::string& key = {}) {
  std::ifstream file(path);
  std::string word;
  while (!key.empty() && file >> word && word != key) {
  }
  int64_t number = -1;
  return file >> number ? number : -1;
}

/// What a control group leaves. Its use counts pages of files, too; those that nobody used lately can be had.
int64_t left_of_group(const std::string& folder, const char* limit, const char* use, const char* idle) {
  const int64_t most = number_in((folder + limit).c_str()), used = number_in((folder + use).c_str());
  if (most < 0 || used < 0) return kUnknown;
  return std::max<int64_t>(0, most - used + std::max<int64_t>(0, number_in((folder + "memory.stat").c_str(), idle)));
}

std::string as_text(int64_t bytes) {
  constexpr double kMiB = 1 << 20, kGiB = 1 << 30;
  const auto x = static_cast<double>(bytes);
  char text[32];
  std::snprintf(text, sizeof text, x < kGiB ? "%.0f MiB" : "%.1f GiB", x < kGiB ? x / kMiB : x / kGiB);
  return text;
}

}  // namespace

bool can_map([[maybe_unused]] size_t bytes) noexcept {
#if defined(__linux__)
  void* const pointer = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pointer == MAP_FAILED) return false;
  munmap(pointer, bytes);
#endif
  return true;
}

int64_t free_memory() {
  int64_t least = kUnknown;
#if defined(__linux__)
  constexpr int64_t kKiB = 1024;
  if (const int64_t available = number_in("/proc/meminfo", "MemAvailable:"); available >= 0) {
    least = available * kKiB;
  }
  least = std::min(least, left_of_group("/sys/fs/cgroup/", "memory.max", "memory.current", "inactive_file"));
  least = std::min(least, left_of_group("/sys/fs/cgroup/memory/", "memory.limit_in_bytes", "memory.usage_in_bytes",
                                        "total_inactive_file"));
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    const int64_t mapped = number_in("/proc/self/statm") * sysconf(_SC_PAGESIZE);
    least = std::min(least, std::max<int64_t>(0, static_cast<int64_t>(limit.rlim_cur) - mapped));
  }
#endif
  return least;
}

void require_memory(const std::string& what, int64_t bytes, const std::string& hint) {
  const int64_t left = free_memory();
  if (bytes <= left) return;
  throw DeviceError(what + " " + as_text(bytes) + " of memory, and " + as_text(left) + " are free", hint);
}

}  // namespace sheaf
