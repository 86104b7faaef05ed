#pragma once
/// The random numbers of a local search in one round: the same on every machine.

#include "kernels/genetic/lane_group.hpp"
#include "kernels/genetic/search_view.hpp"

namespace sheaf::genetic {

template <class Group>
struct Draws {
  SHEAF_LANES explicit Draws(const LocalSearchJob& of) : job(of) {}

  SHEAF_LANES_CALL uint32_t next() {
    if (n_drawn % 4 == 0) Group::draw(job, n_drawn / 4, four);
    return four[n_drawn++ % 4];
  }
  SHEAF_LANES int32_t below(int32_t n) {
    return static_cast<int32_t>(static_cast<uint64_t>(next()) * static_cast<uint32_t>(n) >> 32);
  }
  /// In [0, 1).
  SHEAF_LANES float uniform() { return static_cast<float>(next() >> 8) * 0x1.0p-24f; }
  /// Exponentially distributed except for the logarithm, which is linear between powers of two: the same on every
  /// machine.
  SHEAF_LANES float exponential() {
    const uint32_t u = next() | 1u;
    const int32_t zeros = Group::leading_zeros(u);
    const auto fraction = static_cast<float>((u << zeros << 1) >> 9) * 0x1.0p-23f;
    return Group::times(static_cast<float>(zeros) + (1.0f - fraction), 0.69314718f);
  }

  const LocalSearchJob job;
  uint32_t n_drawn = 0;
  uint32_t four[4];
};

}  // namespace sheaf::genetic
