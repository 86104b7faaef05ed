#include <algorithm>
#include <cmath>

#include "kernels/core/parallel.hpp"
#include "kernels/dense/residual_norm.hpp"

namespace sheaf::dense::cpu {
namespace {

constexpr int64_t kRows = 64;

// x dropped, to `out`; they may be the same.
void drop_row(const float* x, int64_t dim, float rate, RandomKey key, int64_t row, float* out) {
  const float scale = 1.0f / (1.0f - rate);
  for (int64_t c = 0; c < dim; c += 4) {
    const Random4 draw = random4(key, static_cast<uint64_t>(row), static_cast<uint32_t>(c / 4));
    const int64_t width = std::min<int64_t>(4, dim - c);
    for (int64_t j = 0; j < width; ++j) out[c + j] = uniform01(draw.v[j]) >= rate ? x[c + j] * scale : 0.0f;
  }
}

void residual_norm_row(const ResidualNormArgs& args, int64_t r) {
  const int64_t dim = args.x.cols;
  const float* x = args.x.row(r);
  float* sum = args.sum.row(r);
  float* normed = args.normed.row(r);
  // The dropped row waits in normed, since sum may be the residual.
  if (args.rate > 0.0f) {
    drop_row(x, dim, args.rate, args.key, args.first_row + r, normed);
    x = normed;
  }
  if (!args.residual.empty()) {
    const float* residual = args.residual.row(r);
    for (int64_t c = 0; c < dim; ++c) sum[c] = residual[c] + x[c];
  } else if (sum != x) {
    std::copy_n(x, dim, sum);
  }
  const auto count = static_cast<float>(dim);
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (int64_t c = 0; c < dim; ++c) total += sum[c];
  const float mean = total / count;
  float squares = 0.0f;
#pragma omp simd reduction(+ : squares)
  for (int64_t c = 0; c < dim; ++c) squares += (sum[c] - mean) * (sum[c] - mean);
  const float scale = 1.0f / std::sqrt(squares / count + kNormEpsilon);
  for (int64_t c = 0; c < dim; ++c) normed[c] = (sum[c] - mean) * scale * args.weight[c] + args.bias[c];
  args.moments(r, 0) = mean;
  args.moments(r, 1) = scale;
}

void residual_norm_backward_row(const ResidualNormBackwardArgs& args, int64_t r, float* d_weight, float* d_bias) {
  const int64_t dim = args.sum.cols;
  const float mean = args.moments(r, 0), scale = args.moments(r, 1);
  const float* sum = args.sum.row(r);
  const float* d_normed = args.d_normed.row(r);
  const float* weight = args.weight.data;
  float* d_sum = args.d_sum.row(r);
  float g_total = 0.0f, gh_total = 0.0f;
#pragma omp simd reduction(+ : g_total, gh_total)
  for (int64_t c = 0; c < dim; ++c) {
    const float h = (sum[c] - mean) * scale;
    const float g = d_normed[c] * weight[c];
    g_total += g;
    gh_total += g * h;
    d_weight[c] += d_normed[c] * h;
    d_bias[c] += d_normed[c];
  }
  const float g_mean = g_total / static_cast<float>(dim), gh_mean = gh_total / static_cast<float>(dim);
  const auto norm_gradient = [&](int64_t c) {
    return scale * (d_normed[c] * weight[c] - g_mean - (sum[c] - mean) * scale * gh_mean);
  };
  if (args.d_residual.empty()) {
    for (int64_t c = 0; c < dim; ++c) d_sum[c] = norm_gradient(c);
  } else {
    const float* d_residual = args.d_residual.row(r);
    for (int64_t c = 0; c < dim; ++c) d_sum[c] = d_residual[c] + norm_gradient(c);
  }
  float* d_x = args.d_x.row(r);
  if (args.rate > 0.0f) {
    drop_row(d_sum, dim, args.rate, args.key, args.first_row + r, d_x);
  } else if (d_x != d_sum) {
    std::copy_n(d_sum, dim, d_x);
  }
}

}  // namespace

void residual_norm(Context& context, const ResidualNormArgs& args) {
  parallel_for(context, args.x.rows, kRows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) residual_norm_row(args, r);
  });
}

void residual_norm_backward(Context& context, const ResidualNormBackwardArgs& args) {
  const int64_t dim = args.sum.cols;
  const int64_t n_pieces = std::max<int64_t>(1, (args.sum.rows + kResidualNormPiece - 1) / kResidualNormPiece);
  ScratchScope scratch(context);
  float* partials = scratch.take<float>(n_pieces * 2 * dim);
  parallel_for(context, n_pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      float* d_weight = partials + piece * 2 * dim;
      std::fill_n(d_weight, 2 * dim, 0.0f);
      const int64_t last = std::min(args.sum.rows, (piece + 1) * kResidualNormPiece);
      for (int64_t r = piece * kResidualNormPiece; r < last; ++r)
        residual_norm_backward_row(args, r, d_weight, d_weight + dim);
    }
  });
  for (int64_t c = 0; c < dim; ++c) {
    double weight = 0.0, bias = 0.0;
    for (int64_t piece = 0; piece < n_pieces; ++piece) {
      weight += static_cast<double>(partials[piece * 2 * dim + c]);
      bias += static_cast<double>(partials[piece * 2 * dim + dim + c]);
    }
    args.d_weight[c] = static_cast<float>(weight);
    args.d_bias[c] = static_cast<float>(bias);
  }
}

}  // namespace sheaf::dense::cpu
