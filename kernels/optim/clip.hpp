#pragma once
/// Clips gradients by their global norm (Pascanu, Mikolov and Bengio, ICML 2013):
///
///   norm = sqrt(sum over all gradients of g^2);  g *= max_norm / norm where norm > max_norm
///
/// Squares are summed in double, in a fixed order: the same bits on any number of threads. Where a gradient is not
/// finite, neither are the clipped ones.

#include <span>

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::optim {

struct ClipArgs {
  std::span<const VectorView<float>> gradients;  // f32 of any sizes, in place; the list lies on the host
  float max_norm = 1.0f;                         // above 0
};

void clip(Context& context, const ClipArgs& args);
/// Where nothing is clipped; else each gradient is read and written once more.
OpCost clip_cost(const ClipArgs& args);

/// Elements that share a partial sum of squares.
inline constexpr int64_t kClipPart = int64_t{1} << 13;
/// Parts of one gradient, and of all.
inline int64_t clip_parts(const VectorView<float>& gradient) { return (gradient.size + kClipPart - 1) / kClipPart; }
int64_t clip_parts(const ClipArgs& args);

SHEAF_BACKENDS(clip, ClipArgs);

}  // namespace sheaf::optim
