#include "tests/simt/api/async_copy.hpp"

namespace simt {
namespace {

constexpr unsigned kMaxThreads = 1024;
constexpr unsigned kMaxPending = 1024;  // copies of one thread under way

// A ring in static memory: what one fiber allocates and another one frees would count as a race.
struct Pending {
  uint64_t block_after;  // one more than the block's number
  unsigned n_committed;  // groups
  unsigned first, n_copies;
  AsyncCopy copies[kMaxPending];
};
Pending pending_of_thread[kMaxThreads];

// A block that was given up leaves its copies behind; the next one begins anew.
Pending& pending() {
  Pending& mine = pending_of_thread[thread_number()];
  if (mine.block_after != block_number() + 1) {
    mine.block_after = block_number() + 1;
    mine.n_committed = mine.first = mine.n_copies = 0;
  }
  return mine;
}

}  // namespace

bool async_add(const AsyncCopy& copy) {
  Pending& mine = pending();
  if (mine.n_copies == kMaxPending) return false;
  AsyncCopy& added = mine.copies[(mine.first + mine.n_copies++) % kMaxPending];
  added = copy;
  added.group = mine.n_committed;
  return true;
}

void async_commit() { ++pending().n_committed; }

bool async_take(unsigned n_groups, AsyncCopy* copy) {
  Pending& mine = pending();
  if (mine.n_copies == 0 || mine.copies[mine.first].group + n_groups >= mine.n_committed) return false;
  *copy = mine.copies[mine.first];
  mine.first = (mine.first + 1) % kMaxPending;
  --mine.n_copies;
  return true;
}

}  // namespace simt
