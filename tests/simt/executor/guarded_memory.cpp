#include "tests/simt/executor/guarded_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace simt {
namespace {
size_t page_bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }
}  // namespace

GuardedMemory::GuardedMemory(size_t bytes, Guard guard)
    : bytes_((bytes + page_bytes() - 1) / page_bytes() * page_bytes()) {
  void* mapping =
      mmap(nullptr, bytes_ + page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<unsigned char*>(mapping);
  usable_ = guard == Guard::below ? mapping_ + page_bytes() : mapping_;
  guard_ = guard == Guard::below ? mapping_ : mapping_ + bytes_;
  if (mprotect(guard_, page_bytes(), PROT_NONE) != 0) throw std::bad_alloc();
}

GuardedMemory::~GuardedMemory() { munmap(mapping_, bytes_ + page_bytes()); }

bool GuardedMemory::guards(const void* address) const {
  const auto* byte = static_cast<const unsigned char*>(address);
  return byte >= guard_ && byte < guard_ + page_bytes();
}

}  // namespace simt
