#pragma once
/// Tensor copies (TMA) and the mbarriers that they report to, by the wrappers of kernels/core/cuda/tensor_copy.cuh. A
/// box is poison from the start of its copy until a waiting thread finds the barrier's phase complete, the latest
/// moment that a device may choose. So a read before the wait, or without it, shows. The swizzle of 128 bytes exchanges
/// bits 4 to 6 of an address by its bits 7 to 9.

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "tests/simt/executor/executor.hpp"

namespace simt {

constexpr unsigned kBoxRowBytes = 128;  // what the swizzle spans; the executor knows no other box

/// What cuTensorMapEncodeTiled is told of a tensor of three dimensions, the first one without gaps.
struct TensorMap {
  const unsigned char* data;
  uint64_t sizes[3];    // elements
  uint64_t strides[2];  // bytes, of the second and third dimension
  uint32_t box[3];      // elements
  uint32_t element_bytes;
};

/// A Fault for what the driver refuses.
TensorMap tensor_map(const void* data, uint32_t element_bytes, const uint64_t (&sizes)[3], const uint64_t (&strides)[2],
                     const uint32_t (&box)[3]);

struct TensorCopy {
  TensorMap map;
  int32_t at[3];  // the box's first element
  unsigned char* to;
  unsigned n_bytes;
};

/// A barrier's state; shared memory holds a mark that leads to it.
struct Mbarrier;

uint64_t mbarrier_add(const void* place, unsigned n_arrivals, const Where& where);
Mbarrier& mbarrier_at(const void* place, uint64_t mark, const Where& where);
void mbarrier_arm(Mbarrier& barrier, unsigned n_bytes, const Where& where);
void mbarrier_begin(Mbarrier& barrier, const TensorCopy& copy, const Where& where);
/// Waits for the phase of this parity. True: its copies are to be written, by this thread, which ends it then.
bool mbarrier_await(Mbarrier& barrier, unsigned parity, const Where& where);
const TensorCopy* mbarrier_take(Mbarrier& barrier);
void mbarrier_end_phase(Mbarrier& barrier);

// Inline, so that sanitizers watch what these read and write for the kernel.

inline void write_box(const TensorCopy& copy) {
  const TensorMap& map = copy.map;
  const int64_t size = static_cast<int64_t>(map.sizes[0]) * map.element_bytes;
  for (uint32_t row = 0; row < map.box[1] * map.box[2]; ++row) {
    const int64_t y = int64_t{copy.at[1]} + row % map.box[1], z = int64_t{copy.at[2]} + row / map.box[1];
    const bool inside =
        y >= 0 && z >= 0 && y < static_cast<int64_t>(map.sizes[1]) && z < static_cast<int64_t>(map.sizes[2]);
    for (uint32_t byte = 0; byte < kBoxRowBytes; byte += 16) {
      const int64_t x = int64_t{copy.at[0]} * map.element_bytes + byte;
      const int64_t n_valid = inside && x >= 0 ? std::clamp<int64_t>(size - x, 0, 16) : 0;
      unsigned char bytes[16] = {};
      if (n_valid > 0) {
        const int64_t offset = y * static_cast<int64_t>(map.strides[0]) + z * static_cast<int64_t>(map.strides[1]) + x;
        std::memcpy(bytes, map.data + offset, static_cast<size_t>(n_valid));
      }
      std::memcpy(copy.to + row * kBoxRowBytes + (byte ^ row % 8 * 16), bytes, sizeof(bytes));
    }
  }
}

/// For n_arrivals a phase.
inline void mbarrier_init(uint64_t* barrier, unsigned n_arrivals = 1, const Where& where = Where::current()) {
  *barrier = mbarrier_add(barrier, n_arrivals, where);
}

inline void mbarrier_arrive(uint64_t* barrier, const Where& where = Where::current()) {
  mbarrier_arm(mbarrier_at(barrier, *barrier, where), 0, where);
}

/// Announces n_bytes and arrives.
inline void mbarrier_expect(uint64_t* barrier, unsigned n_bytes, const Where& where = Where::current()) {
  mbarrier_arm(mbarrier_at(barrier, *barrier, where), n_bytes, where);
}

inline void mbarrier_wait(const uint64_t* barrier, unsigned parity, const Where& where = Where::current()) {
  Mbarrier& state = mbarrier_at(barrier, *barrier, where);
  if (!mbarrier_await(state, parity, where)) return;
  while (const TensorCopy* copy = mbarrier_take(state)) write_box(*copy);
  mbarrier_end_phase(state);
}

/// Begins to copy the box at element (x, y, z) to dynamic shared memory; zeros where it leaves the tensor.
inline void tensor_copy(void* to, const TensorMap& map, int x, int y, int z, const uint64_t* barrier,
                        const Where& where = Where::current()) {
  const unsigned n_bytes = kBoxRowBytes * map.box[1] * map.box[2];
  const TensorCopy copy{map, {x, y, z}, static_cast<unsigned char*>(to), n_bytes};
  std::memset(to, 0xff, n_bytes);
  mbarrier_begin(mbarrier_at(barrier, *barrier, where), copy, where);
}

}  // namespace simt
