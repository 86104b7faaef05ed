#pragma once
/// Stacks that CUDA threads run on, and the switches between them.

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <memory>
#include <vector>

#include "tests/simt/executor/guarded_memory.hpp"
#include "tests/simt/executor/sanitizer.hpp"

namespace simt {

constexpr size_t kStackBytes = 128 * 1024;

/// A stack that runs one thread after another, as long as they do not wait.
struct Fiber {
  explicit Fiber(size_t number);
  GuardedMemory stack;
  size_t colour;  // stacks start at different offsets in their page, lest all compete for the same cache sets
  boost::context::detail::fcontext_t saved = nullptr;
  sanitizer::Stack sanitized;
  bool busy = false;  // holds a thread, or what one has left
};

class FiberPool {
 public:
  using Main = void (*)(void* argument);
  /// Every fiber calls main(argument), which never returns.
  FiberPool(Main main, void* argument);

  /// To be called before switches begin, by the thread that makes them.
  void begin(unsigned n_threads);
  /// One that stands at its start or where it called finish() and switched.
  Fiber& take();
  /// The running fiber's thread is done; the fiber still has to switch.
  void finish();
  /// All threads of a block are done. `renew`: their fibers begin a new life, unordered with the old one until
  /// end_launch().
  void end_block(bool renew);
  void end_launch();
  /// Fibers whose threads are not done start anew, nothing on them is unwound.
  void give_up();

  void switch_to(Fiber& fiber);
  void switch_to_caller();
  /// Null in the caller.
  Fiber* running() const { return running_; }
  bool guards(const void* address) const;

 private:
  using Context = boost::context::detail::fcontext_t;
  static void entry(boost::context::detail::transfer_t from);
  void add();
  void start(Fiber& fiber);
  void free(Fiber& fiber);
  void jump(Context& save_to, sanitizer::Stack& from, Context to, sanitizer::Stack& to_stack);
  void arrive(Context came_from, sanitizer::Stack& self);

  Main main_;
  void* argument_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> free_;
  std::vector<Fiber*> finished_;             // free when the block ends, where each thread has its own
  std::vector<sanitizer::Stack> histories_;  // of threads that are done
  Fiber* running_ = nullptr;
  Context caller_ = nullptr;
  sanitizer::Stack caller_stack_;
  Context* suspended_ = nullptr;                 // where the context that has just been left is to be kept
  sanitizer::Stack* suspended_stack_ = nullptr;  // and what it ran on
};

}  // namespace simt
