#include <algorithm>
#include <vector>

#include "kernels/attention/attention.hpp"
#include "kernels/attention/plain.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf::attention::cpu {
namespace {

template <class Body>
void for_items(const Context& context, const Shape& shape, int64_t n_heads, int64_t n_kv_heads, const Body& body) {
  parallel_for(context, (shape.offsets.size - 1) * n_kv_heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t sequence = unit / n_kv_heads, kv_head = unit % n_kv_heads, group = n_heads / n_kv_heads;
      for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        body(Item{sequence, head, kv_head, span_of(shape, sequence)});
      }
    }
  });
}

}  // namespace

void attention(Context& context, const AttentionArgs& args) {
  const DropoutMask mask(args.shape, args.q.n_heads);
  for_items(context, args.shape, args.q.n_heads, args.k.n_heads, [&](const Item& item) {
    float sums[kMaxDim];
    for (int64_t i = 0; i < item.span.length; ++i) forward_row(args, mask, item, i, sums);
  });
}

void attention_backward(Context& context, const AttentionBackwardArgs& args) {
  const Shape& shape = args.shape;
  const DropoutMask mask(shape, args.q.n_heads);
  const int64_t dim = shape.dim, n_columns = args.d_relative_bias.cols;
  const int64_t n_sequences = shape.offsets.size - 1, group = args.q.n_heads / args.k.n_heads;
  std::vector<double> d_bias(static_cast<size_t>(n_sequences * args.d_relative_bias.size()));
  parallel_for(context, n_sequences * args.k.n_heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t sequence = unit / args.k.n_heads, kv_head = unit % args.k.n_heads;
      const Span span = span_of(shape, sequence);
      std::vector<float> d_q(static_cast<size_t>(span.length * dim)), d_k(d_q.size()), d_v(d_q.size());
      for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        const Item item{sequence, head, kv_head, span};
        double* bias = d_bias.data() + (sequence * args.q.n_heads + head) * n_columns;
        std::fill(d_q.begin(), d_q.end(), 0.0f);
        for (int64_t i = 0; i < span.length; ++i) {
          for (int64_t j = 0; j < (shape.causal ? i + 1 : span.length); ++j) {
            if (!sees(shape, item, i, j)) continue;
            const PairGradient pair = pair_gradient(args, mask, item, i, j);
            for (int64_t c = 0; c < dim; ++c) {
              const auto at_i = static_cast<size_t>(i * dim + c), at_j = static_cast<size_t>(j * dim + c);
              d_q[at_i] += pair.d_x * read_element(args.k, shape, span.first + j, kv_head, c);
              d_k[at_j] += pair.d_x * read_element(args.q, shape, span.first + i, head, c);
              d_v[at_j] += pair.kept_p * read_element(args.d_out, shape, span.first + i, head, c);
            }
            if (n_columns > 0) bias[bias_column(i, j, n_columns / 2)] += static_cast<double>(pair.d_x);
          }
        }
        for (int64_t e = 0; e < span.length * dim; ++e) {
          write_element(shape.scale * d_q[static_cast<size_t>(e)], args.d_q, shape, span.first + e / dim, head,
                        e % dim);
        }
      }
      for (int64_t e = 0; e < span.length * dim; ++e) {
        const auto at = static_cast<size_t>(e);
        write_element(shape.scale * d_k[at], args.d_k, shape, span.first + e / dim, kv_head, e % dim);
        write_element(d_v[at], args.d_v, shape, span.first + e / dim, kv_head, e % dim);
      }
    }
  });
  for (int64_t e = 0; e < args.d_relative_bias.size(); ++e) {
    double sum = 0.0;
    for (int64_t s = 0; s < n_sequences; ++s) sum += d_bias[static_cast<size_t>(s * args.d_relative_bias.size() + e)];
    args.d_relative_bias.data[e] = static_cast<float>(sum);
  }
}

}  // namespace sheaf::attention::cpu
