#include "kernels/core/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>

#include "kernels/core/interrupt.hpp"

#if defined(SHEAF_TSAN)
#include <thread>
#include <vector>
#else
#include <omp.h>
#include <pthread.h>

#include "kernels/core/memory.hpp"
#endif

namespace sheaf::detail {
namespace {

/// Hands out chunks until there are no more, one failed, or an interrupt came.
class Chunks {
 public:
  Chunks(int64_t n, ChunkFunction function, void* state) : n_(n), function_(function), state_(state) {}

  /// Of one thread.
  void work(int thread) noexcept {
    for (int64_t chunk; !ended_.load(std::memory_order_relaxed) && (chunk = next_.fetch_add(1)) < n_;) {
      try {
        check_interrupt();
        function_(state_, chunk, thread);
      } catch (...) {
        if (!ended_.exchange(true)) failure_ = std::current_exception();
      }
    }
  }
  /// After all threads.
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  const int64_t n_;
  const ChunkFunction function_;
  void* const state_;
  std::atomic<int64_t> next_{0};
  std::atomic<bool> ended_{false};
  std::exception_ptr failure_;
};

#if !defined(SHEAF_TSAN)
size_t stack_bytes() {
  constexpr size_t kBeside = size_t{1} << 20;  // guard, thread-local data
  size_t bytes = size_t{8} << 20;
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) == 0) {
    pthread_attr_getstacksize(&attributes, &bytes);
    pthread_attr_destroy(&attributes);
  }
  return bytes + kBeside;
}

/// At most `wanted` threads, the calling one included. GCC's OpenMP ends the program where it cannot start a thread; so
/// there must be room for the stacks of those that it will start.
int team_with_room(int wanted) {
  static const size_t stack = stack_bytes();
  thread_local int running = 1;  // OpenMP keeps the team of the last region
  while (wanted > running && !can_map(static_cast<size_t>(wanted - running) * stack)) --wanted;
  return running = wanted;
}
#endif

}  // namespace

void run_chunks(int n_threads, int64_t n_chunks, ChunkFunction function, void* state) {
  Chunks chunks(n_chunks, function, state);
  int team = static_cast<int>(std::min<int64_t>(n_threads, n_chunks));
#if defined(SHEAF_TSAN)
  // GCC's OpenMP runtime is not instrumented, so ThreadSanitizer cannot see its fork and join; standard threads
  // run the same bodies under it.
  std::vector<std::thread> threads;
  for (int thread = 1; thread < team; ++thread) threads.emplace_back([&, thread] { chunks.work(thread); });
  chunks.work(0);
  for (auto& thread : threads) thread.join();
#else
  if (team > 1) team = team_with_room(team);
  if (team <= 1) {
    chunks.work(0);
  } else {
#pragma omp parallel num_threads(team)
    chunks.work(omp_get_thread_num());
  }
#endif
  chunks.rethrow();
}

}  // namespace sheaf::detail
