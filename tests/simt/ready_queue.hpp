#pragma once
/// Which thread of a block runs next.

#include <array>
#include <cassert>
#include <cstdint>
#include <string>
#include <utility>

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

/// First in, first out; a shuffled order takes any. A thread stands in it at most once.
class ReadyQueue {
 public:
  void reset(Order::Kind kind, uint64_t seed) {
    kind_ = kind;
    random_ = Random(seed);
    head_ = tail_ = 0;
  }
  bool empty() const { return head_ == tail_; }
  Order::Kind kind() const { return kind_; }
  void push(unsigned thread) { ring_[tail_++ % kMaxThreads] = static_cast<uint16_t>(thread); }
  unsigned pop() {
    assert(!empty());
    if (kind_ == Order::Kind::shuffle) {
      const auto chosen = static_cast<unsigned>(head_ + random_.below(tail_ - head_));
      std::swap(ring_[head_ % kMaxThreads], ring_[chosen % kMaxThreads]);
    }
    return ring_[head_++ % kMaxThreads];
  }
  /// push(first + i) for every bit i of `lanes`, in the order's direction.
  void push_lanes(unsigned first, uint32_t lanes) {
    for (unsigned i = 0; i < 32; ++i) {
      const unsigned lane = kind_ == Order::Kind::reverse ? 31 - i : i;
      if (lanes >> lane & 1u) push(first + lane);
    }
  }
  void push_all(unsigned n_threads) {
    for (unsigned i = 0; i < n_threads; ++i) push(kind_ == Order::Kind::reverse ? n_threads - 1 - i : i);
  }

 private:
  Order::Kind kind_ = Order::Kind::forward;
  Random random_{0};
  unsigned head_ = 0;  // both count up for ever, modulo 2^32
  unsigned tail_ = 0;
  std::array<uint16_t, kMaxThreads> ring_{};
};

}  // namespace simt
