#include "kernels/attention/attention.hpp"
#include "kernels/attention/plain.hpp"
#include "kernels/core/cuda/launch.cuh"

namespace sheaf::attention::cuda {
namespace {

constexpr int kThreads = 128;

/// The item of a block: sequences over y, query heads over x.
__device__ Item item_of(const Shape& shape, int64_t n_heads, int64_t n_kv_heads) {
  const int64_t head = blockIdx.x, sequence = blockIdx.y;
  return {sequence, head, head / (n_heads / n_kv_heads), span_of(shape, sequence)};
}

// One thread a row of d_q.
__global__ void query_gradient_kernel(AttentionBackwardArgs args, DropoutMask mask) {
  const Shape& shape = args.shape;
  const Item item = item_of(shape, args.q.n_heads, args.k.n_heads);
  for (int64_t i = threadIdx.x; i < item.span.length; i += kThreads) {
    float sums[kMaxDim] = {};
    for (int64_t j = 0; j < (shape.causal ? i + 1 : item.span.length); ++j) {
      if (!sees(shape, item, i, j)) continue;
      const float d_x = pair_gradient(args, mask, item, i, j).d_x;
      for (int64_t c = 0; c < shape.dim; ++c) {
        sums[c] += d_x * read_element(args.k, shape, item.span.first + j, item.kv_head, c);
      }
    }
    for (int64_t c = 0; c < shape.dim; ++c) {
      write_element(shape.scale * sums[c], args.d_q, shape, item.span.first + i, item.head, c);
    }
  }
}

// One thread a row of d_k and d_v; key heads over x.
__global__ void key_gradient_kernel(AttentionBackwardArgs args, DropoutMask mask) {
  const Shape& shape = args.shape;
  const int64_t kv_head = blockIdx.x, sequence = blockIdx.y, group = args.q.n_heads / args.k.n_heads;
  const Span span = span_of(shape, sequence);
  for (int64_t j = threadIdx.x; j < span.length; j += kThreads) {
    float d_k[kMaxDim] = {}, d_v[kMaxDim] = {};
    for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      const Item item{sequence, head, kv_head, span};
      for (int64_t i = shape.causal ? j : 0; i < span.length; ++i) {
        if (!sees(shape, item, i, j)) continue;
        const PairGradient pair = pair_gradient(args, mask, item, i, j);
        for (int64_t c = 0; c < shape.dim; ++c) {
          d_k[c] += pair.d_x * read_element(args.q, shape, span.first + i, head, c);
          d_v[c] += pair.kept_p * read_element(args.d_out, shape, span.first + i, head, c);
        }
      }
    }
    for (int64_t c = 0; c < shape.dim; ++c) {
      write_element(shape.scale * d_k[c], args.d_k, shape, span.first + j, kv_head, c);
      write_element(d_v[c], args.d_v, shape, span.first + j, kv_head, c);
    }
  }
}

// One thread a number of the bias: heads over x.
__global__ void bias_gradient_kernel(AttentionBackwardArgs args, DropoutMask mask) {
  const Shape& shape = args.shape;
  const int64_t head = blockIdx.x, n_columns = args.d_relative_bias.cols;
  for (int64_t column = threadIdx.x; column < n_columns; column += kThreads) {
    double sum = 0.0;
    for (int64_t sequence = 0; sequence + 1 < shape.offsets.size; ++sequence) {
      const Item item{sequence, head, head / (args.q.n_heads / args.k.n_heads), span_of(shape, sequence)};
      for (int64_t i = 0; i < item.span.length; ++i) {
        for (int64_t j = 0; j < item.span.length; ++j) {
          if (bias_column(i, j, n_columns / 2) != column || !sees(shape, item, i, j)) continue;
          sum += static_cast<double>(pair_gradient(args, mask, item, i, j).d_x);
        }
      }
    }
    args.d_relative_bias(head, column) = static_cast<float>(sum);
  }
}

dim3 grid_of(const Shape& shape, int64_t n_heads) {
  return {static_cast<unsigned>(n_heads), static_cast<unsigned>(shape.offsets.size - 1)};
}

}  // namespace

void attention_backward(Context& context, const AttentionBackwardArgs& args) {
  const DropoutMask mask(args.shape, args.q.n_heads);
  if (args.shape.n_tokens > 0) {
    launch(query_gradient_kernel, grid_of(args.shape, args.q.n_heads), kThreads, 0, context, args, mask);
    launch(key_gradient_kernel, grid_of(args.shape, args.k.n_heads), kThreads, 0, context, args, mask);
  }
  if (!args.d_relative_bias.empty()) {
    launch(bias_gradient_kernel, static_cast<unsigned>(args.q.n_heads), kThreads, 0, context, args, mask);
  }
}

}  // namespace sheaf::attention::cuda
