#pragma once
/// Runs a CUDA kernel that g++ compiled: one fiber for each thread of a block, blocks one after the other, all on the
/// calling OS thread. README.md beside this file says what it finds and what it cannot find.

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <stdexcept>
#include <string>

#include "tests/simt/api/vector_types.hpp"

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

/// `kernel` is the kernel's address, for its name in messages and what is known of it.
struct Launch {
  const void* kernel = nullptr;
  dim3 grid;
  dim3 block;
  size_t shared_bytes = 0;     // dynamic
  size_t parameter_bytes = 0;  // of the kernel
  int device = 0;
};

/// Bytes of a kernel's parameters, each at its alignment.
template <class... Parameters>
constexpr size_t parameter_bytes() {
  size_t end = 0;
  ((end = (end + alignof(Parameters) - 1) / alignof(Parameters) * alignof(Parameters) + sizeof(Parameters)), ...);
  return end;
}

namespace detail {
using Body = void (*)(const void* state);
void run(const Launch& launch, Body body, const void* state);
}  // namespace detail

/// How often kernels of this name were launched in this process, whatever their template arguments.
uint64_t launches_of(const std::string& kernel);

/// Calls body() once for every thread of the grid and returns when all have left. Throws Fault, or what the body
/// throws.
template <class Function>
void launch(const Launch& launch, const Function& body) {
  detail::run(
      launch, [](const void* state) { (*static_cast<const Function*>(state))(); }, &body);
}

/// The block's dynamic shared memory: 16-byte aligned, filled with 0xff before each block, an unmapped page behind its
/// end.
unsigned char* dynamic_shared() noexcept;

// What the device functions stand on; each is called by a running kernel only.

/// Counts the threads whose predicate holds, when all threads of the block have come.
int block_barrier(bool predicate, const Where& where);

/// Something that lanes of a warp do together. Each brings an operand; the last to come computes for all of them.
struct Collective {
  const char* name;
  bool tolerates_absence;  // lanes that have left the kernel are not waited for; in the others they are a fault
  bool orders_memory;      // of all collectives, CUDA lets only __syncwarp
  void (*compute)(void* const operands[32], uint32_t lanes);
};

/// Waits until all lanes of `mask` have come to this collective and this place.
void warp_exchange(const Collective& collective, uint32_t mask, void* operand, const Where& where);

/// Number of the running thread in its block, and of its block among all that the program has run.
unsigned thread_number() noexcept;
uint64_t block_number() noexcept;

/// Lets other threads of the block run before this one goes on.
void yield();

/// A yield in shuffled orders only, so that what stands between two atomics is interleaved in more ways.
void preempt();

/// What a parked thread waits for, said when a message names it.
struct Awaited {
  std::string (*describe)(const void* state) = nullptr;
  const void* state = nullptr;
};

/// Waits until another thread of the block calls wake(); a Fault when none can any more.
void park(const Awaited& awaited, const Where& where);

/// Lets all parked threads go on.
void wake();

/// Ends the launch with a Fault that names this thread and this place.
[[noreturn]] void fail(const std::string& what, const Where& where);

}  // namespace simt
