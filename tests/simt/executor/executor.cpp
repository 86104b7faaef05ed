#include "tests/simt/executor/executor.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "tests/simt/executor/fiber_pool.hpp"
#include "tests/simt/executor/guarded_memory.hpp"
#include "tests/simt/executor/launch_limits.hpp"
#include "tests/simt/executor/program_image.hpp"
#include "tests/simt/executor/ready_queue.hpp"
#include "tests/simt/executor/sanitizer.hpp"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace simt {
namespace {

constexpr int kPoison = 0xff;  // NaN as float and double, -1 as int
constexpr unsigned kWarp = 32;
constexpr uint64_t kMaxUnordered = 512;  // threads of a grid; ThreadSanitizer holds 8128 and takes 0.3 ms for each

enum class State : uint8_t { ready, at_barrier, in_warp, parked, left };

struct Thread {
  uint3 index{};
  unsigned linear = 0;
  State state = State::ready;
  Fiber* fiber = nullptr;  // null before the thread has started
  Awaited awaited;
  Where parked_at;
};

struct Lane {
  const Collective* collective;
  uint32_t mask;
  Where where;
  unsigned n_exchanges;  // this one's number, from 0 for each block
  uint32_t partners;     // lanes that this one was let go with
  uint32_t odd_lanes;    // those of them whose number is odd
};

struct Warp {
  uint32_t waiting;  // lanes inside an exchange
  uint32_t left;     // lanes that have left the kernel, or that the block does not have
  Lane lanes[kWarp];
  void* operands[kWarp];
};

struct Barrier {
  unsigned n_waiting = 0;
  unsigned n_true = 0;
  int result = 0;
  unsigned n_passed = 0;
  Where where;
};

template <class Visit>
void for_each_lane(uint32_t lanes, const Visit& visit) {
  for (; lanes; lanes &= lanes - 1) visit(static_cast<unsigned>(std::countr_zero(lanes)));
}

bool same_place(const Where& a, const Where& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

/// Those of `mask` that an exchange waits for.
uint32_t awaited(const Warp& warp, const Lane& slot) {
  return slot.collective->tolerates_absence ? slot.mask & ~warp.left : slot.mask;
}

std::string text_of(const Where& where) {
  return std::string(where.file_name()) + ":" + std::to_string(where.line()) + " (" + where.function_name() + ")";
}

template <class Index>
std::string text_of_index(const Index& i) {
  return "(" + std::to_string(i.x) + ", " + std::to_string(i.y) + ", " + std::to_string(i.z) + ")";
}

/// Addresses that stand for orderings of memory in a block. There are two of each kind: a thread that leaves a barrier
/// late must not see what others have released at the next one meanwhile.
struct Keys {
  char barrier[2];
  char warp[kMaxThreads][2];
};

/// The kernel that runs now, one at a time in the program.
class Executor {
 public:
  Executor();
  void run(const Launch& launch, detail::Body body, const void* state);

  int block_barrier(bool predicate, const Where& where);
  void warp_exchange(const Collective& collective, uint32_t mask, void* operand, const Where& where);
  void yield();
  void park(const Awaited& awaited, const Where& where);
  void wake();
  void preempt() {
    if (queue_.is_shuffled()) yield();
  }
  unsigned thread_number() const { return current_->linear; }
  uint64_t block_number() const { return n_blocks_run_; }
  unsigned char* dynamic_shared() const { return dynamic_shared_; }
  [[noreturn]] void fail(const std::string& what);
  /// Text of a memory fault at `address`; empty when no kernel runs.
  std::string describe_crash(const void* address) const;

 private:
  unsigned lane() const { return current_->linear % kWarp; }
  void run_threads();
  void run_block(uint64_t linear_block, const Order& order);
  void poison_shared();
  void go_on_with(Thread& thread);
  void run_thread();
  void wait();
  void enter(Thread& thread);
  void leave_kernel();
  void settle(unsigned warp, unsigned lane);
  [[noreturn]] void report_deadlock();
  std::string doing(const Thread& thread) const;
  std::string here() const;

  const Launch* launch_ = nullptr;
  detail::Body body_ = nullptr;
  const void* state_ = nullptr;
  unsigned n_threads_ = 0;

  std::vector<Thread> threads_{kMaxThreads};
  std::vector<Warp> warps_{kMaxThreads / kWarp};
  FiberPool fibers_{[](void* self) { static_cast<Executor*>(self)->run_threads(); }, this};
  ReadyQueue queue_;
  Barrier barrier_;
  unsigned n_left_ = 0;
  unsigned n_parked_ = 0;
  uint64_t n_blocks_run_ = 0;
  Thread* current_ = nullptr;

  char begin_key_ = 0;  // of the launch
  char end_key_ = 0;
  std::vector<Keys> block_keys_{1};
  Keys* keys_ = nullptr;  // of the block
  bool blocks_unordered_ =
      false;  // for ThreadSanitizer: of a kernel's small grids the first, second, fourth, eighth, ...
  std::map<const void*, uint64_t> n_small_grids_;

  std::exception_ptr error_;

  GuardedMemory dynamic_memory_{kMostShared, GuardedMemory::Guard::above};
  unsigned char* dynamic_shared_ = nullptr;
  std::vector<SharedVariable> static_shared_ = shared_variables();
  unsigned char* static_base_ = nullptr;  // of the OS thread that called run()
};

Executor& executor() {
  static Executor instance;
  return instance;
}

// --- Memory faults ---------------------------------------------------------------------------------------------------

struct sigaction previous_segv, previous_bus;

// Says what was running, then lets the fault happen again under the handler that was there before.
void on_memory_fault(int signal, siginfo_t* info, void*) {
  const std::string text = executor().describe_crash(info->si_addr);
  if (!text.empty() && write(STDERR_FILENO, text.data(), text.size()) < 0) std::abort();
  sigaction(signal, signal == SIGSEGV ? &previous_segv : &previous_bus, nullptr);
}

thread_local std::unique_ptr<unsigned char[]> signal_stack;
thread_local bool inside_launch = false;

// A stack that has run over cannot hold the handler's frame.
void use_signal_stack() {
  stack_t present{};
  if (sigaltstack(nullptr, &present) == 0 && !(present.ss_flags & SS_DISABLE)) return;
  constexpr size_t kBytes = 256 * 1024;
  signal_stack = std::make_unique<unsigned char[]>(kBytes);
  stack_t stack{};
  stack.ss_sp = signal_stack.get();
  stack.ss_size = kBytes;
  sigaltstack(&stack, nullptr);
}

Executor::Executor() {
  struct sigaction action {};
  action.sa_sigaction = on_memory_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, &previous_segv);
  sigaction(SIGBUS, &action, &previous_bus);
}

std::string Executor::describe_crash(const void* address) const {
  if (!fibers_.running()) return {};
  std::string what = "memory fault";
  if (dynamic_memory_.guards(address)) what = "past the end of dynamic shared memory";
  if (fibers_.guards(address)) what = "stack overflow: a thread has " + std::to_string(kStackBytes) + " bytes";
  return here() + what + "\n";
}

// --- Fibers ----------------------------------------------------------------------------------------------------------

void Executor::run_threads() {
  for (;;) {
    run_thread();
    // Threads that have not started run on this very stack; one that waits elsewhere goes on there.
    Thread* next = queue_.empty() ? nullptr : &threads_[queue_.pop()];
    if (next && !next->fiber && !sanitizer::kWatchesOrder) {
      next->fiber = fibers_.running();
      enter(*next);
      continue;
    }
    fibers_.finish();
    if (next) {
      go_on_with(*next);
    } else {
      fibers_.switch_to_caller();
    }
  }
}

void Executor::run_thread() {
  try {
    sanitizer::acquire(&begin_key_);
    body_(state_);
    sanitizer::release(&end_key_);
    leave_kernel();
    if (queue_.empty() && n_left_ < n_threads_) report_deadlock();
  } catch (...) {
    error_ = std::current_exception();
  }
  if (!error_) return;
  fibers_.switch_to_caller();
  std::abort();  // nobody resumes a thread that has failed
}

void Executor::enter(Thread& thread) {
  current_ = &thread;
  threadIdx = thread.index;
}

void Executor::go_on_with(Thread& thread) {
  if (!thread.fiber) thread.fiber = &fibers_.take();
  enter(thread);
  fibers_.switch_to(*thread.fiber);
}

// Runs others until this thread is ready and chosen again.
void Executor::wait() {
  if (queue_.empty()) report_deadlock();
  Thread& next = threads_[queue_.pop()];
  if (&next != current_) go_on_with(next);
}

void Executor::yield() {
  queue_.push_behind(current_->linear);
  wait();
}

void Executor::park(const Awaited& awaited, const Where& where) {
  current_->awaited = awaited;
  current_->parked_at = where;
  current_->state = State::parked;
  ++n_parked_;
  wait();
}

void Executor::wake() {
  for (unsigned i = 0; i < n_threads_ && n_parked_ > 0; ++i) {
    if (threads_[i].state != State::parked) continue;
    threads_[i].state = State::ready;
    --n_parked_;
    queue_.push(i);
  }
}

// Unwinds the thread that fails; run() raises it anew in the caller.
void Executor::fail(const std::string& what) { throw Fault(here() + what); }

// --- A launch --------------------------------------------------------------------------------------------------------

// ThreadSanitizer watches memset even here: it must see neither the block before nor this write.
void refill(unsigned char* begin, size_t bytes) {
  sanitizer::forget(begin, bytes);
  std::memset(begin, kPoison, bytes);
  sanitizer::forget(begin, bytes);
}

void Executor::poison_shared() {
  // A guard full of ones reads as done: CUDA runs no constructor for a __shared__ variable.
  for (const SharedVariable& variable : static_shared_) {
    refill(static_base_ + variable.offset, variable.bytes);
  }
  const auto dynamic_bytes = static_cast<size_t>(dynamic_memory_.end() - dynamic_shared_);
  refill(dynamic_shared_, dynamic_bytes);
}

void Executor::run_block(uint64_t linear_block, const Order& order) {
  poison_shared();
  const unsigned n_warps = (n_threads_ + kWarp - 1) / kWarp;
  for (unsigned w = 0; w < n_warps; ++w) {
    warps_[w].waiting = 0;
    for (Lane& lane : warps_[w].lanes) lane.n_exchanges = 0;
    const unsigned n_lanes = std::min(kWarp, n_threads_ - w * kWarp);
    warps_[w].left = n_lanes == kWarp ? 0u : ~0u << n_lanes;
  }
  for (unsigned i = 0; i < n_threads_; ++i) {
    threads_[i].state = State::ready;
    threads_[i].fiber = nullptr;
  }
  barrier_ = {};
  n_left_ = n_parked_ = 0;
  queue_.reset(order.kind, order.seed * 0x9E3779B97F4A7C15u + linear_block);
  queue_.push_all(n_threads_);

  go_on_with(threads_[queue_.pop()]);
  fibers_.end_block(blocks_unordered_);
  ++n_blocks_run_;
}

std::vector<uint32_t> shuffled_blocks(uint64_t n_blocks, uint64_t seed) {
  std::vector<uint32_t> blocks(n_blocks);
  std::iota(blocks.begin(), blocks.end(), 0u);
  Random random(seed);
  for (uint64_t i = n_blocks; i > 1; --i) std::swap(blocks[i - 1], blocks[random.below(i)]);
  return blocks;
}

void check_limits(const Launch& launch) {
  const std::string why =
      refusal(launch, needs_of(launch.kernel), allowed_dynamic_shared(launch.kernel, launch.device));
  if (!why.empty()) throw Fault("simt: kernel " + function_name(launch.kernel) + ": " + why);
}

// A line for each kernel that this process runs, in the file that SHEAF_SIMT_KERNEL_LOG names.
void log_kernel(const void* kernel) {
  static const char* const path = std::getenv("SHEAF_SIMT_KERNEL_LOG");
  static std::set<const void*> logged;
  if (path && logged.insert(kernel).second) std::ofstream(path, std::ios::app) << function_name(kernel) + "\n";
}

std::mutex launches_mutex;
std::map<const void*, uint64_t> launches;

void Executor::run(const Launch& launch, detail::Body body, const void* state) {
  check_limits(launch);
  {
    const std::lock_guard lock(launches_mutex);
    ++launches[launch.kernel];
  }
  log_kernel(launch.kernel);
  const char* order_text = std::getenv("SHEAF_SIMT_ORDER");
  const Order order = parse_order(order_text ? order_text : "");
  use_signal_stack();

  launch_ = &launch;
  body_ = body;
  state_ = state;
  gridDim = launch.grid;
  blockDim = launch.block;
  n_threads_ = launch.block.x * launch.block.y * launch.block.z;
  for (unsigned i = 0; i < n_threads_; ++i) {
    threads_[i].linear = i;
    threads_[i].index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
  }
  dynamic_shared_ = dynamic_memory_.end() - (launch.shared_bytes + 15) / 16 * 16;
  static_base_ = thread_block();
  fibers_.begin(n_threads_);
  error_ = nullptr;

  const uint64_t n_blocks = uint64_t{gridDim.x} * gridDim.y * gridDim.z;
  blocks_unordered_ = sanitizer::kWatchesOrder && n_blocks > 1 && n_blocks * n_threads_ <= kMaxUnordered &&
                      std::has_single_bit(++n_small_grids_[launch.kernel]);
  if (blocks_unordered_ && block_keys_.size() < n_blocks) block_keys_.resize(n_blocks);
  std::vector<uint32_t> shuffled;
  if (order.kind == Order::Kind::shuffle) shuffled = shuffled_blocks(n_blocks, order.seed);
  for (uint64_t step = 0; step < n_blocks && !error_; ++step) {
    uint64_t block = step;
    if (order.kind == Order::Kind::reverse) block = n_blocks - 1 - step;
    if (order.kind == Order::Kind::shuffle) block = shuffled[step];
    blockIdx = {static_cast<unsigned>(block % gridDim.x), static_cast<unsigned>(block / gridDim.x % gridDim.y),
                static_cast<unsigned>(block / (uint64_t{gridDim.x} * gridDim.y))};
    keys_ = &block_keys_[blocks_unordered_ ? step : 0];
    if (step == 0 || !blocks_unordered_) sanitizer::release(&begin_key_);
    run_block(block, order);
    if (step + 1 == n_blocks || !blocks_unordered_ || error_) sanitizer::acquire(&end_key_);
  }
  fibers_.end_launch();
  if (!error_) return;

  // Threads that wait are given up where they stand; their stacks begin anew.
  fibers_.give_up();
  std::rethrow_exception(std::exchange(error_, nullptr));
}

// --- Barriers and exchanges ------------------------------------------------------------------------------------------

int Executor::block_barrier(bool predicate, const Where& where) {
  if (n_left_ > 0) {
    const auto gone =
        std::find_if(threads_.begin(), threads_.end(), [](const Thread& t) { return t.state == State::left; });
    fail("waits at the block barrier " + text_of(where) + ", but thread " + doing(*gone));
  }
  if (barrier_.n_waiting == 0) {
    barrier_.where = where;
  } else if (!same_place(barrier_.where, where)) {
    const auto other =
        std::find_if(threads_.begin(), threads_.end(), [](const Thread& t) { return t.state == State::at_barrier; });
    fail("waits at the block barrier " + text_of(where) + ", but thread " + doing(*other));
  }
  char* key = &keys_->barrier[barrier_.n_passed % 2];
  sanitizer::release(key);
  ++barrier_.n_waiting;
  barrier_.n_true += predicate ? 1 : 0;
  current_->state = State::at_barrier;
  if (barrier_.n_waiting == n_threads_) {
    // Nobody reaches the next barrier's end before everybody has read this result.
    barrier_.result = static_cast<int>(barrier_.n_true);
    barrier_.n_waiting = barrier_.n_true = 0;
    ++barrier_.n_passed;
    for (unsigned i = 0; i < n_threads_; ++i) threads_[i].state = State::ready;
    queue_.push_all(n_threads_);
  }
  wait();
  sanitizer::acquire(key);
  return barrier_.result;
}

void Executor::leave_kernel() {
  current_->state = State::left;
  ++n_left_;
  if (barrier_.n_waiting > 0) {
    const auto waiting =
        std::find_if(threads_.begin(), threads_.end(), [](const Thread& t) { return t.state == State::at_barrier; });
    fail("has left the kernel, but thread " + doing(*waiting));
  }
  Warp& warp = warps_[current_->linear / kWarp];
  warp.left |= 1u << lane();
  for_each_lane(warp.waiting, [&](unsigned other) {
    if (warp.waiting >> other & 1u) settle(current_->linear / kWarp, other);
  });
}

void Executor::warp_exchange(const Collective& collective, uint32_t mask, void* operand, const Where& where) {
  const unsigned self = lane();
  const unsigned warp = current_->linear / kWarp;
  if (!(mask >> self & 1u)) {
    fail("its own lane is not in the mask of the " + std::string(collective.name) + " " + text_of(where));
  }
  Lane& slot = warps_[warp].lanes[self];
  slot = {&collective, mask, where, slot.n_exchanges + 1, 0, 0};
  warps_[warp].operands[self] = operand;
  warps_[warp].waiting |= 1u << self;
  current_->state = State::in_warp;
  if (collective.orders_memory) sanitizer::release(&keys_->warp[current_->linear][slot.n_exchanges % 2]);
  settle(warp, self);
  wait();
  if (!collective.orders_memory) return;
  for_each_lane(slot.partners, [&](unsigned other) {
    sanitizer::acquire(&keys_->warp[warp * kWarp + other][slot.odd_lanes >> other & 1u]);
  });
}

// Lets the group of this lane go on when all of it has come.
void Executor::settle(unsigned warp_number, unsigned lane_number) {
  Warp& warp = warps_[warp_number];
  const Lane& slot = warp.lanes[lane_number];
  const uint32_t expected = awaited(warp, slot);
  if ((warp.waiting & expected) != expected) return;
  uint32_t odd_lanes = 0;
  for (uint32_t rest = expected; rest; rest &= rest - 1) {
    const auto other = static_cast<unsigned>(std::countr_zero(rest));
    const Lane& there = warp.lanes[other];
    if (there.mask != slot.mask) return;  // it is in another group, and may come to this one later
    if (there.collective != slot.collective || !same_place(there.where, slot.where)) {
      fail("is in the " + std::string(slot.collective->name) + " " + text_of(slot.where) + ", but thread " +
           doing(threads_[warp_number * kWarp + other]));
    }
    odd_lanes |= (there.n_exchanges & 1u) << other;
  }
  if (slot.collective->compute) slot.collective->compute(warp.operands, expected);
  warp.waiting &= ~expected;
  for_each_lane(expected, [&](unsigned other) {
    threads_[warp_number * kWarp + other].state = State::ready;
    warp.lanes[other].partners = expected;
    warp.lanes[other].odd_lanes = odd_lanes;
  });
  queue_.push_lanes(warp_number * kWarp, expected);
}

// --- Messages --------------------------------------------------------------------------------------------------------

std::string Executor::here() const {
  return "simt: kernel " + function_name(launch_->kernel) + ", block " + text_of_index(blockIdx) + ", thread " +
         text_of_index(current_->index) + ": ";
}

std::string Executor::doing(const Thread& thread) const {
  const std::string name = text_of_index(thread.index) + " ";
  const Lane& slot = warps_[thread.linear / kWarp].lanes[thread.linear % kWarp];
  switch (thread.state) {
    case State::left: return name + "has left the kernel";
    case State::at_barrier: return name + "waits at the block barrier " + text_of(barrier_.where);
    case State::in_warp: return name + "waits in the " + slot.collective->name + " " + text_of(slot.where);
    case State::parked:
      return name + "waits at the " + thread.awaited.describe(thread.awaited.state) + " " + text_of(thread.parked_at);
    case State::ready: return name + "runs";
  }
  return name;
}

// No thread can run: nobody wakes a parked one, or an exchange lacks a lane.
void Executor::report_deadlock() {
  for (unsigned i = 0; i < n_threads_; ++i) {
    if (threads_[i].state != State::parked) continue;
    current_ = &threads_[i];
    const Awaited& awaited = current_->awaited;
    fail("waits for ever at the " + awaited.describe(awaited.state) + " " + text_of(current_->parked_at));
  }
  for (unsigned i = 0; i < n_threads_; ++i) {
    if (threads_[i].state != State::in_warp) continue;
    const Warp& warp = warps_[i / kWarp];
    const Lane& slot = warp.lanes[i % kWarp];
    for_each_lane(awaited(warp, slot), [&](unsigned other) {
      const unsigned missing = i / kWarp * kWarp + other;
      if ((warp.waiting >> other & 1u) && warp.lanes[other].mask == slot.mask) return;
      current_ = &threads_[i];
      fail("waits for ever in the " + std::string(slot.collective->name) + " " + text_of(slot.where) + " for lane " +
           std::to_string(other) + ": " +
           (missing < n_threads_ ? "thread " + doing(threads_[missing]) : "the block has no such thread"));
    });
  }
  fail("no thread of the block can go on");
}

}  // namespace

namespace detail {

void run(const Launch& launch, Body body, const void* state) {
  static std::mutex one_at_a_time;
  if (inside_launch) throw Fault("simt: a kernel launches kernel " + function_name(launch.kernel));
  const std::lock_guard lock(one_at_a_time);
  inside_launch = true;
  const struct Reset {
    ~Reset() { inside_launch = false; }
  } reset;
  executor().run(launch, body, state);
}

}  // namespace detail

unsigned char* dynamic_shared() noexcept { return executor().dynamic_shared(); }
int block_barrier(bool predicate, const Where& where) { return executor().block_barrier(predicate, where); }
void warp_exchange(const Collective& collective, uint32_t mask, void* operand, const Where& where) {
  executor().warp_exchange(collective, mask, operand, where);
}
unsigned thread_number() noexcept { return executor().thread_number(); }
uint64_t block_number() noexcept { return executor().block_number(); }
void yield() { executor().yield(); }
void preempt() { executor().preempt(); }
void park(const Awaited& awaited, const Where& where) { executor().park(awaited, where); }
void wake() { executor().wake(); }
void fail(const std::string& what, const Where& where) { executor().fail(what + " " + text_of(where)); }

uint64_t launches_of(const std::string& kernel) {
  const std::lock_guard lock(launches_mutex);
  uint64_t sum = 0;
  for (const auto& [address, count] : launches) {
    const std::string name = own_name(function_name(address));
    if (name.substr(0, name.find('<')) == kernel) sum += count;
  }
  return sum;
}

}  // namespace simt
