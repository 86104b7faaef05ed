#include <algorithm>

#include "kernels/core/parallel.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/dense/additive_scores.hpp"

namespace sheaf::dense::cpu {
namespace {
constexpr int64_t kAdditiveGrain = 64;  // batch entries a chunk; also the block of the partial sums
}

void additive_scores(Context& context, const AdditiveScoresArgs& args) {
  const int64_t group = args.logits.cols;
  parallel_for(context, args.logits.rows, kAdditiveGrain, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const float user = dot(args.w_user.data, args.users.row(b), args.users.cols) + args.bias[0];
      for (int64_t g = 0; g < group; ++g) {
        args.logits(b, g) = user + dot(args.w_item.data, args.items.row(b * group + g), args.items.cols);
      }
    }
  });
}

void additive_scores_backward(Context& context, const AdditiveScoresBackwardArgs& args) {
  const int64_t n_batch = args.d_logits.rows;
  const int64_t group = args.d_logits.cols;
  const int64_t dim = args.users.cols;
  const int64_t width = 2 * dim + 1;  // partial d_w_user, d_w_item, d_bias
  const int64_t n_blocks = (n_batch + kAdditiveGrain - 1) / kAdditiveGrain;
  ScratchScope scratch(context);
  float* partials = scratch.take<float>(n_blocks * width);
  parallel_for(context, n_batch, kAdditiveGrain, [&](int64_t begin, int64_t end) {
    float* partial = partials + begin / kAdditiveGrain * width;
    std::fill_n(partial, width, 0.0f);
    for (int64_t b = begin; b < end; ++b) {
      float sum = 0.0f;
      for (int64_t g = 0; g < group; ++g) {
        const int64_t i = b * group + g;
        const float d = args.d_logits(b, g);
        sum += d;
        axpy(d, args.items.row(i), partial + dim, dim);
        float* d_item = args.d_items.row(i);
        for (int64_t c = 0; c < dim; ++c) d_item[c] = d * args.w_item[c];
      }
      axpy(sum, args.users.row(b), partial, dim);
      partial[2 * dim] += sum;
      float* d_user = args.d_users.row(b);
      for (int64_t c = 0; c < dim; ++c) d_user[c] = sum * args.w_user[c];
    }
  });
  const auto column_sum = [&](int64_t column) {
    double sum = 0;
    for (int64_t block = 0; block < n_blocks; ++block) sum += static_cast<double>(partials[block * width + column]);
    return static_cast<float>(sum);
  };
  for (int64_t c = 0; c < dim; ++c) {
    args.d_w_user[c] = column_sum(c);
    args.d_w_item[c] = column_sum(dim + c);
  }
  args.d_bias[0] = column_sum(2 * dim);
}

}  // namespace sheaf::dense::cpu
