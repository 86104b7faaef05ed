#include "tests/simt/executor/fiber_pool.hpp"

#include <algorithm>
#include <utility>

#include "tests/simt/executor/ready_queue.hpp"

namespace simt {

namespace context = boost::context::detail;

Fiber::Fiber(size_t number) : stack(kStackBytes, GuardedMemory::Guard::below), colour(number * 320 % 4096) {
  sanitized.bottom = stack.begin();
  sanitized.bytes = stack.size();
}

// The vectors never grow while a kernel runs: ThreadSanitizer would see their memory pass between its threads.
FiberPool::FiberPool(Main main, void* argument) : main_(main), argument_(argument) {
  fibers_.reserve(kMaxThreads);
  free_.reserve(kMaxThreads);
  finished_.reserve(kMaxThreads);
}

void FiberPool::begin(unsigned n_threads) {
  sanitizer::begin_native(caller_stack_);
  while (sanitizer::kWatchesOrder && fibers_.size() < n_threads) add();
}

void FiberPool::start(Fiber& fiber) {
  sanitizer::begin(fiber.sanitized);
  fiber.saved = context::make_fcontext(fiber.stack.end() - fiber.colour, kStackBytes - fiber.colour, entry);
}

void FiberPool::add() {
  fibers_.push_back(std::make_unique<Fiber>(fibers_.size()));
  start(*fibers_.back());
  free(*fibers_.back());
}

void FiberPool::free(Fiber& fiber) {
  fiber.busy = false;
  free_.push_back(&fiber);
}

Fiber& FiberPool::take() {
  if (free_.empty()) add();
  Fiber& fiber = *free_.back();
  free_.pop_back();
  fiber.busy = true;
  return fiber;
}

void FiberPool::finish() {
  if (sanitizer::kWatchesOrder) {
    finished_.push_back(running_);
  } else {
    free(*running_);
  }
}

void FiberPool::end_block(bool renew) {
  for (Fiber* fiber : finished_) {
    if (renew) {
      histories_.push_back(fiber->sanitized);
      sanitizer::forget(fiber->stack.begin(), fiber->stack.size());
      start(*fiber);
    }
    free(*fiber);
  }
  finished_.clear();
}

void FiberPool::end_launch() {
  for (sanitizer::Stack& history : histories_) sanitizer::end(history);
  histories_.clear();
}

void FiberPool::give_up() {
  finished_.clear();
  for (const auto& fiber : fibers_) {
    if (!fiber->busy) continue;
    sanitizer::give_up(fiber->sanitized, caller_stack_);
    sanitizer::end(fiber->sanitized);
    start(*fiber);
    free(*fiber);
  }
}

void FiberPool::entry(context::transfer_t from) {
  auto& pool = *static_cast<FiberPool*>(from.data);
  pool.arrive(from.fctx, pool.running_->sanitized);
  pool.main_(pool.argument_);
}

void FiberPool::jump(Context& save_to, sanitizer::Stack& from, Context to, sanitizer::Stack& to_stack) {
  suspended_ = &save_to;
  suspended_stack_ = &from;
  sanitizer::leave(from, to_stack);
  arrive(context::jump_fcontext(to, this).fctx, from);
}

void FiberPool::arrive(Context came_from, sanitizer::Stack& self) {
  *suspended_ = came_from;
  sanitizer::arrive(self, *suspended_stack_);
}

void FiberPool::switch_to(Fiber& fiber) {
  Fiber* from = std::exchange(running_, &fiber);
  jump(from ? from->saved : caller_, from ? from->sanitized : caller_stack_, fiber.saved, fiber.sanitized);
}

void FiberPool::switch_to_caller() {
  Fiber* from = std::exchange(running_, nullptr);
  jump(from->saved, from->sanitized, caller_, caller_stack_);
}

bool FiberPool::guards(const void* address) const {
  return std::any_of(fibers_.begin(), fibers_.end(), [=](const auto& fiber) { return fiber->stack.guards(address); });
}

}  // namespace simt
