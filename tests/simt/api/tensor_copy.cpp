#include "tests/simt/api/tensor_copy.hpp"

#include <string>

#include "tests/simt/executor/sanitizer.hpp"

namespace simt {

constexpr unsigned kMaxCopies = 16;  // of one barrier under way
constexpr unsigned kBlocks = 16;     // that ThreadSanitizer takes for unordered have keys of their own

struct Mbarrier {
  const void* place;
  unsigned phase;                  // the one that is not over
  unsigned n_arrivals, n_arrived;  // of a phase, of this one
  unsigned expected, begun;        // bytes
  unsigned n_copies, n_taken;
  TensorCopy copies[kMaxCopies];
  char keys[kBlocks][2];  // of even and odd phases, for ThreadSanitizer

  char* key(unsigned of_phase) { return &keys[block_number() % kBlocks][of_phase % 2]; }
};

namespace {

constexpr unsigned kMaxBarriers = 32;       // of a block
constexpr unsigned kMaxBytes = 1u << 20;    // what a phase counts is less
constexpr unsigned kPlaceAlignment = 1024;  // after so much the swizzle's pattern begins anew
constexpr uint64_t kMark = 0x6d62617272000000;

// Static, as the asynchronous copies are: what one fiber allocates and another one frees would count as a race.
struct Table {
  uint64_t block_after;  // one more than the block's number
  unsigned n_barriers;
  Mbarrier barriers[kMaxBarriers];
};
Table table;

[[noreturn]] void refuse(const char* what) { throw Fault(std::string("simt: a tensor map with ") + what); }

std::string describe(const void* state) {
  const auto& barrier = *static_cast<const Mbarrier*>(state);
  return std::string("mbarrier, ") + std::to_string(barrier.n_arrived) + " of " + std::to_string(barrier.n_arrivals) +
         " arrivals, " + std::to_string(barrier.begun) + " of " + std::to_string(barrier.expected) +
         " bytes under way,";
}

}  // namespace

TensorMap tensor_map(const void* data, uint32_t element_bytes, const uint64_t (&sizes)[3], const uint64_t (&strides)[2],
                     const uint32_t (&box)[3]) {
  if (reinterpret_cast<uintptr_t>(data) % 16 != 0) refuse("an address that is not aligned to 16 bytes");
  for (const uint64_t size : sizes) {
    if (size == 0 || size > uint64_t{1} << 32) refuse("a size that is not 1 to 2^32");
  }
  for (const uint64_t stride : strides) {
    if (stride % 16 != 0 || stride >= uint64_t{1} << 40) refuse("a stride that is not a multiple of 16 below 2^40");
  }
  // As the manual computes the strides; whether a driver looks is not known.
  if (strides[0] < sizes[0] * element_bytes || strides[0] == 0 || strides[1] % strides[0] != 0) {
    refuse("a stride that is not a multiple of the dimension before");
  }
  for (const uint32_t n : box) {
    if (n == 0 || n > 256) refuse("a box that is not 1 to 256 elements long");
  }
  if (box[0] * element_bytes != kBoxRowBytes) refuse("rows of a box that do not have 128 bytes");
  TensorMap map{static_cast<const unsigned char*>(data), {}, {}, {}, element_bytes};
  std::copy_n(sizes, 3, map.sizes);
  std::copy_n(strides, 2, map.strides);
  std::copy_n(box, 3, map.box);
  return map;
}

uint64_t mbarrier_add(const void* place, unsigned n_arrivals, const Where& where) {
  if (reinterpret_cast<uintptr_t>(place) % 8 != 0) fail("an mbarrier that is not aligned to 8 bytes", where);
  if (table.block_after != block_number() + 1) {
    table.block_after = block_number() + 1;
    table.n_barriers = 0;
  }
  for (unsigned b = 0; b < table.n_barriers; ++b) {
    if (table.barriers[b].place == place) fail("initialises an mbarrier for the second time", where);
  }
  if (table.n_barriers == kMaxBarriers) fail("more mbarriers than the executor keeps", where);
  Mbarrier& added = table.barriers[table.n_barriers];
  added.place = place;
  added.phase = added.expected = added.begun = added.n_copies = added.n_taken = 0;
  added.n_arrivals = n_arrivals;
  added.n_arrived = 0;
  return kMark | table.n_barriers++;
}

Mbarrier& mbarrier_at(const void* place, uint64_t mark, const Where& where) {
  const uint64_t number = mark ^ kMark;
  if (table.block_after != block_number() + 1 || number >= table.n_barriers || table.barriers[number].place != place) {
    fail("uses an mbarrier that is not initialised", where);
  }
  return table.barriers[number];
}

void mbarrier_arm(Mbarrier& barrier, unsigned n_bytes, const Where& where) {
  if (barrier.n_arrived == barrier.n_arrivals) {
    fail("arrives at an mbarrier again before its phase was waited for", where);
  }
  if (barrier.expected + n_bytes >= kMaxBytes) fail("more bytes than an mbarrier counts", where);
  ++barrier.n_arrived;
  barrier.expected += n_bytes;
  sanitizer::release(barrier.key(barrier.phase));
  wake();
}

void mbarrier_begin(Mbarrier& barrier, const TensorCopy& copy, const Where& where) {
  const auto offset = static_cast<size_t>(copy.to - dynamic_shared());
  if (offset % kPlaceAlignment != 0) fail("a tensor copy's place is not aligned to 1024 bytes", where);
  for (unsigned b = 0; b < table.n_barriers; ++b) {
    const Mbarrier& other = table.barriers[b];
    for (unsigned c = other.n_taken; c < other.n_copies; ++c) {
      if (copy.to < other.copies[c].to + other.copies[c].n_bytes && other.copies[c].to < copy.to + copy.n_bytes) {
        fail("a tensor copy writes where another one is under way", where);
      }
    }
  }
  if (barrier.n_copies == kMaxCopies) fail("more tensor copies are under way than the executor keeps", where);
  barrier.copies[barrier.n_copies++] = copy;
  barrier.begun += copy.n_bytes;
  sanitizer::release(barrier.key(barrier.phase));
  wake();
}

bool mbarrier_await(Mbarrier& barrier, unsigned parity, const Where& where) {
  preempt();
  const unsigned phase = barrier.phase;
  char* const key = barrier.key(parity);
  while (barrier.phase == phase && phase % 2 == parity) {
    if (barrier.n_arrived == barrier.n_arrivals && barrier.begun == barrier.expected) {
      sanitizer::acquire(key);
      return true;
    }
    park({describe, &barrier}, where);
  }
  // A device would let it wait for the phase after.
  if (barrier.phase > phase + 1) fail("waits at an mbarrier that has gone on by two phases", where);
  sanitizer::acquire(key);
  return false;
}

const TensorCopy* mbarrier_take(Mbarrier& barrier) {
  return barrier.n_taken < barrier.n_copies ? &barrier.copies[barrier.n_taken++] : nullptr;
}

void mbarrier_end_phase(Mbarrier& barrier) {
  sanitizer::release(barrier.key(barrier.phase));
  ++barrier.phase;
  barrier.n_arrived = 0;
  barrier.expected = barrier.begun = barrier.n_copies = barrier.n_taken = 0;
}

}  // namespace simt
