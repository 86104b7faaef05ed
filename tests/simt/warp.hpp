#pragma once
/// The lanes of a warp that exchange values, and what they exchange.

#include <cstdint>
#include <cstring>

#include "tests/simt/executor.hpp"

namespace simt {

constexpr unsigned kWarp = 32;

struct Lane {
  WarpOp op;
  uint32_t mask;
  unsigned source;
  uint64_t value;
  uint64_t result;
  Where where;
  unsigned n_exchanges;  // this one's number, from 0 for each block
  uint32_t partners;     // lanes that this one was let go with
  uint32_t odd_lanes;    // those of them whose number is odd
};

struct Warp {
  uint32_t waiting;  // lanes inside an exchange
  uint32_t left;     // lanes that have left the kernel, or that the block does not have
  Lane lanes[kWarp];
};

const char* name_of(WarpOp op);

/// Lanes that left the kernel are not waited for in these; CUDA speaks of "all non-exited threads" there.
inline bool tolerates_absence(WarpOp op) { return op == WarpOp::sync || op == WarpOp::vote; }

/// Results of all `lanes`, which have come to one exchange.
void compute(Warp& warp, uint32_t lanes);

inline bool same_place(const Where& a, const Where& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

}  // namespace simt
