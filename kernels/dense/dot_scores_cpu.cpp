#include <algorithm>

#include "kernels/core/parallel.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/dense/dot_scores.hpp"

namespace sheaf::dense::cpu {
namespace {
constexpr int64_t kDotGrain = 64;
}

void dot_scores(Context& context, const DotScoresArgs& args) {
  const int64_t group = args.logits.cols;
  const int64_t dim = args.users.cols;
  parallel_for(context, args.logits.rows, kDotGrain, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      for (int64_t g = 0; g < group; ++g) {
        const int64_t i = b * group + g;
        args.logits(b, g) =
            dot(args.users.row(b), args.items.row(i), dim) + args.user_bias[b] + args.item_bias[i] + args.bias[0];
      }
    }
  });
}

void dot_scores_backward(Context& context, const DotScoresBackwardArgs& args) {
  const int64_t group = args.d_logits.cols;
  const int64_t dim = args.users.cols;
  parallel_for(context, args.d_logits.rows, kDotGrain, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      float* d_user = args.d_users.row(b);
      std::fill_n(d_user, dim, 0.0f);
      float sum = 0.0f;
      for (int64_t g = 0; g < group; ++g) {
        const int64_t i = b * group + g;
        const float d = args.d_logits(b, g);
        sum += d;
        axpy(d, args.items.row(i), d_user, dim);
        float* d_item = args.d_items.row(i);
        const float* user = args.users.row(b);
        for (int64_t c = 0; c < dim; ++c) d_item[c] = d * user[c];
      }
      args.d_user_bias[b] = sum;
    }
  });
  double total = 0;
  for (int64_t b = 0; b < args.d_user_bias.size; ++b) total += static_cast<double>(args.d_user_bias[b]);
  args.d_bias[0] = static_cast<float>(total);
}

}  // namespace sheaf::dense::cpu
