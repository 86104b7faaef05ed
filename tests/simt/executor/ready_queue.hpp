#pragma once
/// Which thread of a block runs next.

#include <array>
#include <cstdint>
#include <string>

namespace simt {

constexpr unsigned kMaxThreads = 1024;

/// Environment variable SHEAF_SIMT_ORDER: forward (the default), reverse or shuffle:<seed>.
struct Order {
  enum class Kind { forward, reverse, shuffle };
  Kind kind = Kind::forward;
  uint64_t seed = 0;
};

/// Throws std::invalid_argument for anything but the three forms; an empty text is forward.
Order parse_order(const std::string& text);

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, n), n < 2^32.
  uint64_t below(uint64_t n) { return (next() >> 32) * n >> 32; }

 private:
  uint64_t state_;
};

/// Forward order: first in, first out. Reverse order: last in, first out, so that a released warp runs ahead of all
/// others as far as it can. A shuffled order takes any thread or, in half of the blocks, the last one in, with the
/// warps in random order. A thread is in the queue at most once.
class ReadyQueue {
 public:
  void reset(Order::Kind order, uint64_t seed);
  bool empty() const { return head_ == tail_; }
  bool is_shuffled() const { return is_shuffled_; }
  void push(unsigned thread) { ring_[tail_++ % kMaxThreads] = static_cast<uint16_t>(thread); }
  /// For one that gives way: behind all others where the order has a behind.
  void push_behind(unsigned thread);
  /// push(first + i) for every bit i of `lanes`.
  void push_lanes(unsigned first, uint32_t lanes);
  void push_all(unsigned n_threads);
  unsigned pop();

 private:
  enum class Take { first, last, any };
  void swap_random(unsigned begin, unsigned end);

  Take take_ = Take::first;
  bool is_shuffled_ = false;
  Random random_{0};
  unsigned head_ = 0;  // both modulo 2^32
  unsigned tail_ = 0;
  std::array<uint16_t, kMaxThreads> ring_{};
};

}  // namespace simt
