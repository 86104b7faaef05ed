#pragma once
/// What lanes of a warp compute together. Compiled without sanitizers: a lane's operand is no part of the kernel's
/// memory.

#include <cstdint>

#include "tests/simt/executor/executor.hpp"

namespace simt {

enum class Reduction : unsigned {
  add,
  min_signed,
  min_unsigned,
  max_signed,
  max_unsigned,
  conjunction,
  disjunction,
  exclusive_or
};

/// What a lane brings to the collectives below, and what it gets.
struct Operand {
  uint64_t value;
  unsigned argument = 0;  // lane to read from, or the Reduction
  uint64_t result = 0;
};

extern const Collective kSyncWarp;  // no operand
extern const Collective kVote;      // mask of the lanes with a value other than 0
extern const Collective kShuffle;   // value of the lane that the argument names
extern const Collective kMatch;     // mask of the lanes with the same value
extern const Collective kReduce;    // of 32-bit values

inline uint64_t exchange(const Collective& collective, uint32_t mask, uint64_t value, unsigned argument,
                         const Where& where) {
  Operand operand{value, argument};
  warp_exchange(collective, mask, &operand, where);
  return operand.result;
}

/// Lane of the running thread.
inline unsigned lane() noexcept { return thread_number() % 32; }

}  // namespace simt
