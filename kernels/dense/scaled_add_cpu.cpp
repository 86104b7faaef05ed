#include "kernels/core/parallel.hpp"
#include "kernels/dense/scaled_add.hpp"
#include "kernels/dense/scaled_add_element.hpp"

namespace sheaf::dense::cpu {
namespace {

template <bool kKeeps, bool kAdds>
void add_row(const ScaledAddArgs& args, int64_t r) {
  const float own = added_to_row(args, r), keep = args.keep, weight = args.weight;
  const float* x = kAdds ? args.x.row(r) : nullptr;
  float* out = args.out.row(r);
#pragma omp simd
  for (int64_t c = 0; c < args.out.cols; ++c) {
    out[c] = ((kKeeps ? keep * out[c] : 0.0f) + (kAdds ? weight * x[c] : 0.0f)) + own;
  }
}

}  // namespace

void scaled_add(Context& context, const ScaledAddArgs& args) {
  const bool keeps = args.keep != 0.0f, adds = args.x.rows > 0;
  const auto row = keeps ? (adds ? add_row<true, true> : add_row<true, false>)
                         : (adds ? add_row<false, true> : add_row<false, false>);
  constexpr int64_t kGrain = 16;
  parallel_for(context, args.out.rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row(args, r);
  });
}

}  // namespace sheaf::dense::cpu
