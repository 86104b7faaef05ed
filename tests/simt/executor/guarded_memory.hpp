#pragma once
/// Memory with an unmapped page on one side, so that running over the edge stops the program.

#include <cstddef>

namespace simt {

class GuardedMemory {
 public:
  enum class Guard { below, above };
  /// `bytes` is rounded up to pages.
  GuardedMemory(size_t bytes, Guard guard);
  ~GuardedMemory();
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  unsigned char* begin() const { return usable_; }
  unsigned char* end() const { return usable_ + bytes_; }
  size_t size() const { return bytes_; }
  bool guards(const void* address) const;

 private:
  unsigned char* mapping_;
  unsigned char* usable_;
  unsigned char* guard_;
  size_t bytes_;
};

}  // namespace simt
