#include "tests/simt/api/async_copy.hpp"

#include <deque>
#include <vector>

namespace simt {
namespace {

struct Pending {
  uint64_t block = ~uint64_t{0};
  unsigned n_committed = 0;  // groups
  std::deque<AsyncCopy> copies;
};

// A block that was given up leaves its copies behind; the next one begins anew.
Pending& pending() {
  static std::vector<Pending> of_thread(1024);
  Pending& mine = of_thread[thread_number()];
  if (mine.block != block_number()) {
    mine.block = block_number();
    mine.n_committed = 0;
    mine.copies.clear();
  }
  return mine;
}

}  // namespace

void async_add(const AsyncCopy& copy) {
  Pending& mine = pending();
  mine.copies.push_back(copy);
  mine.copies.back().group = mine.n_committed;
}

void async_commit() { ++pending().n_committed; }

bool async_take(unsigned n_groups, AsyncCopy* copy) {
  Pending& mine = pending();
  if (mine.copies.empty() || mine.copies.front().group + n_groups >= mine.n_committed) return false;
  *copy = mine.copies.front();
  mine.copies.pop_front();
  return true;
}

}  // namespace simt
