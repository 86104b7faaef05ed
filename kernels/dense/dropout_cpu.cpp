#include <algorithm>

#include "kernels/core/parallel.hpp"
#include "kernels/dense/dropout.hpp"

namespace sheaf::dense::cpu {

void dropout(Context& context, const DropoutArgs& args) {
  constexpr int64_t kGrain = 128;
  const float scale = 1.0f / (1.0f - args.rate);
  parallel_for(context, args.x.rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float* row = args.x.row(r);
      for (int64_t c = 0; c < args.x.cols; c += 4) {
        const Random4 draw = random4(args.key, static_cast<uint64_t>(args.first_row + r), static_cast<uint32_t>(c / 4));
        const int64_t width = std::min<int64_t>(4, args.x.cols - c);
        for (int64_t j = 0; j < width; ++j) row[c + j] = uniform01(draw.v[j]) >= args.rate ? row[c + j] * scale : 0.0f;
      }
    }
  });
}

}  // namespace sheaf::dense::cpu
