#pragma once
/// The only place that starts CPU threads. Work is cut into chunks whose borders do not depend on the number of
/// threads. So a computation by chunks has the same bits on any number of threads.

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/core/context.hpp"

namespace sheaf {

namespace detail {
using ChunkFunction = void (*)(void* state, int64_t chunk, int thread);
/// Calls function(state, chunk, thread) once for every chunk in [0, n_chunks), dynamically balanced. Looks at the
/// interrupt flag before each chunk.
void run_chunks(int n_threads, int64_t n_chunks, ChunkFunction function, void* state);
}  // namespace detail

/// body(begin, end) or body(begin, end, thread) over [0, n) in chunks of `grain`. `thread` < context.n_threads() names
/// a private workspace. After an interrupt no chunk begins, and the call throws Interrupted. What a body throws (one of
/// them, if several do) is thrown again by the call. In both cases some chunks were never worked on.
/// Where memory has no room for the stacks of all threads, fewer do the same work.
template <class Body>
void parallel_for(const Context& context, int64_t n, int64_t grain, Body&& body) {
  if (n <= 0) return;
  struct State {
    std::remove_reference_t<Body>* body;
    int64_t n, grain;
  } state{&body, n, grain};
  const int64_t n_chunks = (n + grain - 1) / grain;
  detail::run_chunks(
      context.n_threads(), n_chunks,
      [](void* opaque, int64_t chunk, int thread) {
        auto& s = *static_cast<State*>(opaque);
        const int64_t begin = chunk * s.grain;
        const int64_t end = std::min(s.n, begin + s.grain);
        if constexpr (std::is_invocable_v<Body&, int64_t, int64_t, int>) {
          (*s.body)(begin, end, thread);
        } else {
          (void)thread;
          (*s.body)(begin, end);
        }
      },
      &state);
}

}  // namespace sheaf
