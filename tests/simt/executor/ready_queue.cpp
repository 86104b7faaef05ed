#include "tests/simt/executor/ready_queue.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace simt {

Order parse_order(const std::string& text) {
  if (text.empty() || text == "forward") return {};
  if (text == "reverse") return {Order::Kind::reverse, 0};
  const std::string prefix = "shuffle:";
  if (text.starts_with(prefix)) {
    Order order{Order::Kind::shuffle, 0};
    const char* end = text.data() + text.size();
    const auto [stop, status] = std::from_chars(text.data() + prefix.size(), end, order.seed);
    if (status == std::errc{} && stop == end) return order;
  }
  throw std::invalid_argument("SHEAF_SIMT_ORDER is '" + text + "'; use forward, reverse or shuffle:<seed>");
}

void ReadyQueue::reset(Order::Kind order, uint64_t seed) {
  is_shuffled_ = order == Order::Kind::shuffle;
  random_ = Random(seed);
  take_ = order == Order::Kind::forward ? Take::first : Take::last;
  if (is_shuffled_ && random_.below(2) == 0) take_ = Take::any;
  head_ = tail_ = 0;
}

void ReadyQueue::push_behind(unsigned thread) {
  if (take_ == Take::last) {
    ring_[--head_ % kMaxThreads] = static_cast<uint16_t>(thread);
  } else {
    push(thread);
  }
}

void ReadyQueue::push_lanes(unsigned first, uint32_t lanes) {
  const unsigned begin = tail_;
  for (; lanes; lanes &= lanes - 1) push(first + static_cast<unsigned>(std::countr_zero(lanes)));
  if (is_shuffled_ && take_ == Take::last) swap_random(begin, tail_);
}

void ReadyQueue::push_all(unsigned n_threads) {
  constexpr unsigned kWarp = 32;
  const unsigned n_warps = (n_threads + kWarp - 1) / kWarp;
  std::array<uint16_t, kMaxThreads / kWarp> warps;
  std::iota(warps.begin(), warps.end(), uint16_t{0});
  if (is_shuffled_) {
    for (unsigned w = n_warps; w > 1; --w) std::swap(warps[w - 1], warps[random_.below(w)]);
  }
  for (unsigned w = 0; w < n_warps; ++w) {
    const unsigned n_lanes = std::min(kWarp, n_threads - warps[w] * kWarp);
    push_lanes(warps[w] * kWarp, n_lanes == kWarp ? ~0u : (1u << n_lanes) - 1u);
  }
}

unsigned ReadyQueue::pop() {
  if (take_ == Take::last) return ring_[--tail_ % kMaxThreads];
  if (take_ == Take::any) {
    const auto chosen = static_cast<unsigned>(head_ + random_.below(tail_ - head_));
    std::swap(ring_[head_ % kMaxThreads], ring_[chosen % kMaxThreads]);
  }
  return ring_[head_++ % kMaxThreads];
}

void ReadyQueue::swap_random(unsigned begin, unsigned end) {
  for (unsigned n = end - begin; n > 1; --n) {
    std::swap(ring_[(begin + n - 1) % kMaxThreads],
              ring_[(begin + static_cast<unsigned>(random_.below(n))) % kMaxThreads]);
  }
}

}  // namespace simt
