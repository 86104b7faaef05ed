#pragma once
/// Runs a CUDA kernel that g++ compiled: a fiber for each thread of a block, blocks one after the other, all on the calling
/// OS thread. What it finds and what it cannot is in README.md beside this file.

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <stdexcept>

#include "tests/simt/vector_types.hpp"

// Of the CUDA thread that runs now; kernels read them and never write them.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;
inline constexpr int warpSize = 32;

namespace simt {

using Where = std::source_location;

/// A kernel broke a rule of CUDA. The text names kernel, block, thread and source line.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// `kernel` is the kernel's address, for its name in messages.
struct Launch {
  const void* kernel = nullptr;
  dim3 grid;
  dim3 block;
  size_t shared_bytes = 0;
};

namespace detail {
using Body = void (*)(const void* state);
void run(const Launch& launch, Body body, const void* state);
}  // namespace detail

/// Calls body() once for every thread of the grid and returns when all have left. Throws Fault, or what the body throws.
template <class Function>
void launch(const void* kernel, dim3 grid, dim3 block, size_t shared_bytes, const Function& body) {
  detail::run(
      {kernel, grid, block, shared_bytes}, [](const void* state) { (*static_cast<const Function*>(state))(); }, &body);
}

/// The block's dynamic shared memory: 16-byte aligned, filled with 0xff before each block, an unmapped page behind its end.
unsigned char* dynamic_shared() noexcept;

// What the device functions stand on; each is called by a running kernel only.

/// Counts the threads whose predicate holds, when all threads of the block have come.
int block_barrier(bool predicate, const Where& where);

enum class WarpOp : uint8_t {
  sync,
  vote,
  shuffle,
  match,
  add,
  min_signed,
  min_unsigned,
  max_signed,
  max_unsigned,
  conjunction,
  disjunction,
  exclusive_or
};

/// Waits until all lanes of `mask` have come here. Result by `op`: shuffle gives the value of lane `source`; vote the mask of
/// lanes with a value other than 0; match the mask of lanes with the same value; the others the reduction of 32-bit values.
/// Lanes that have left the kernel count as absent in sync and vote; in the others they are a fault.
uint64_t warp_exchange(WarpOp op, uint32_t mask, uint64_t value, unsigned source, const Where& where);

/// Lane of the running thread.
unsigned lane() noexcept;

/// Lets other threads of the block run before this one goes on.
void yield();

/// A yield in shuffled orders only, so that what stands between two atomics is interleaved in more ways.
void preempt();

/// Ends the launch with a Fault that names this thread and this place.
[[noreturn]] void fail(const char* what, const Where& where);

}  // namespace simt
