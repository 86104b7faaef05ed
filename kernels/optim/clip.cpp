#include "kernels/optim/clip.hpp"

#include <cmath>

#include "kernels/core/check.hpp"

namespace sheaf::optim {

void clip(Context& context, const ClipArgs& args) {
  check_argument(args.max_norm > 0.0f && std::isfinite(args.max_norm), "optim::clip", "max_norm must be above 0");
  if (clip_parts(args) > 0) SHEAF_DISPATCH(context, clip, args);
}

int64_t clip_parts(const ClipArgs& args) {
  int64_t n = 0;
  for (const VectorView<float>& gradient : args.gradients) n += clip_parts(gradient);
  return n;
}

OpCost clip_cost(const ClipArgs& args) {
  int64_t n = 0;
  for (const VectorView<float>& gradient : args.gradients) n += gradient.size;
  return {.bytes = n * static_cast<int64_t>(sizeof(float)), .flops = 2 * n};
}

}  // namespace sheaf::optim
