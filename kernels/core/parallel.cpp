#include "kernels/core/parallel.hpp"

#include <algorithm>
#include <atomic>

#if defined(SHEAF_TSAN)
#include <thread>
#include <vector>
#else
#include <omp.h>
#endif

namespace sheaf::detail {

void run_chunks(int n_threads, int64_t n_chunks, ChunkFunction function, void* state) {
  const int team = static_cast<int>(std::min<int64_t>(n_threads, n_chunks));
  if (team <= 1) {
    for (int64_t chunk = 0; chunk < n_chunks; ++chunk) function(state, chunk, 0);
    return;
  }
#if defined(SHEAF_TSAN)
  // GCC's OpenMP runtime is not instrumented, so ThreadSanitizer cannot see its fork and join; standard threads
  // run the same bodies under it.
  std::atomic<int64_t> next{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < team; ++thread) {
    threads.emplace_back([&, thread] {
      for (int64_t chunk; (chunk = next.fetch_add(1)) < n_chunks;) function(state, chunk, thread);
    });
  }
  for (auto& thread : threads) thread.join();
#else
  std::atomic<int64_t> next{0};
#pragma omp parallel num_threads(team)
  {
    const int thread = omp_get_thread_num();
    for (int64_t chunk; (chunk = next.fetch_add(1, std::memory_order_relaxed)) < n_chunks;) {
      function(state, chunk, thread);
    }
  }
#endif
}

}  // namespace sheaf::detail
