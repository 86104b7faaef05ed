#include "kernels/attention/attention.hpp"
#include "kernels/attention/rows_cpu.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/core/simd.hpp"

namespace sheaf::attention::cpu {
namespace {

/// Query rows that are worked on at a time: each meets sums of d_k and d_v in memory once.
constexpr int64_t kBlockRows = 64;
/// Parts of a batch whose gradients of the bias are added up by themselves, then in order.
constexpr int64_t kBiasParts = 64;

struct BackwardSizes {
  BackwardSizes(const TileKernel& tile, const Shape& shape)
      : rows(tile.rows),
        width(tile.width),
        padded(round_up(shape.dim, tile.width)),
        keys(round_up(std::min(shape.max_length, kChunkKeys), 16)),
        queries(shape.max_length <= kChunkKeys ? 0 : round_up(shape.max_length, tile.rows)),
        band(shape.relative_bias.empty() ? 0 : shape.max_length) {}

  int64_t rows, width, padded, keys, queries, band;
};

struct BackwardSpace {
  BackwardSpace(const BackwardSizes& s, const Shape& shape, float* data) {
    Workspace space(data);
    key_panels = space.take(s.keys * shape.dim);
    value_panels = space.take(s.keys * shape.dim);
    keys = space.take(s.keys * s.padded);
    values = space.take(s.keys * s.padded);
    d_keys = space.take(s.keys * s.padded);
    d_values = space.take(s.keys * s.padded);
    q = space.take(kBlockRows * s.padded);
    d_out = space.take(kBlockRows * s.padded);
    x = space.take(kBlockRows * s.keys);
    d = space.take(kBlockRows * s.keys);
    d_q = space.take(s.rows * s.padded);
    all_d_q = space.take(s.queries * s.padded);
    hidden = space.take(s.keys);
    keep = space.take(s.keys);
    bias = {space.take(2 * s.band + 16), s.band};
    d_bias = {space.take(2 * s.band + 16), s.band};
  }
  static int64_t size(const BackwardSizes& s, const Shape& shape) {
    const auto part = Workspace::padded;
    return 2 * part(s.keys * shape.dim) + 4 * part(s.keys * s.padded) + 2 * part(kBlockRows * s.padded) +
           2 * part(kBlockRows * s.keys) + part(s.rows * s.padded) + part(s.queries * s.padded) + 2 * part(s.keys) +
           2 * part(2 * s.band + 16);
  }

  float *key_panels, *value_panels, *keys, *values, *d_keys, *d_values, *q, *d_out, *x, *d, *d_q, *all_d_q, *hidden,
      *keep;
  BiasBand bias, d_bias;
};

class Backward {
 public:
  Backward(const AttentionBackwardArgs& args, const TileKernel& tile, const BackwardSizes& sizes, float* memory)
      : args_(args),
        shape_(args.shape),
        tile_(tile),
        sizes_(sizes),
        space_(sizes, args.shape, memory),
        mask_(args.shape, args.q.n_heads) {}

  /// d_relative_bias [n_heads, 2 r + 1] is added to; null without a bias.
  void run(const WorkTile& work_tile, double* d_relative_bias) {
    const int64_t group = args_.q.n_heads / args_.k.n_heads;
    const int64_t n_queries = work_tile.span.length;
    for (int64_t first = 0; first < n_queries; first += kChunkKeys) {
      load_keys(work_tile, first);
      for (int64_t head = work_tile.kv_head * group; head < (work_tile.kv_head + 1) * group; ++head) {
        start_bias(head);
        for (int64_t i = shape_.causal ? first : 0; i < n_queries; i += kBlockRows) {
          block(work_tile, head, i, first);
        }
        if (d_relative_bias != nullptr) add_bias(d_relative_bias + head * shape_.relative_bias.cols);
      }
      write_keys(work_tile, first);
    }
  }

 private:
  void load_keys(const WorkTile& work_tile, int64_t first) {
    const int64_t token = work_tile.span.first + first, n = std::min(kChunkKeys, work_tile.span.length - first);
    keys_ = key_rows(args_.k, shape_, token, work_tile.kv_head, n, sizes_.padded, space_.keys);
    tile_.pack(keys_.data, keys_.stride, n, shape_.dim, space_.key_panels);
    const FloatRows values = key_rows(args_.v, shape_, token, work_tile.kv_head, n, sizes_.padded, space_.values);
    tile_.pack(values.data, values.stride, n, shape_.dim, space_.value_panels);
    hidden_ = hidden_row(shape_, token, n, space_.hidden);
    std::fill_n(space_.d_keys, round_up(n, sizes_.rows) * sizes_.padded, 0.0f);
    std::fill_n(space_.d_values, round_up(n, sizes_.rows) * sizes_.padded, 0.0f);
    n_keys_ = n;
  }

  // What is hidden has no part in anything, whatever the queries hold.
  void write_keys(const WorkTile& work_tile, int64_t first) const {
    for (int64_t j = 0; j < n_keys_; ++j) {
      const int64_t token = work_tile.span.first + first + j;
      if (!shape_.key_keep.empty() && shape_.key_keep[token] == 0) {
        std::fill_n(space_.d_keys + j * sizes_.padded, sizes_.padded, 0.0f);
        std::fill_n(space_.d_values + j * sizes_.padded, sizes_.padded, 0.0f);
      }
      write_row(space_.d_keys + j * sizes_.padded, 1.0f, args_.d_k, shape_, token, work_tile.kv_head);
      write_row(space_.d_values + j * sizes_.padded, 1.0f, args_.d_v, shape_, token, work_tile.kv_head);
    }
  }

  void start_bias(int64_t head) const {
    if (shape_.relative_bias.empty()) return;
    space_.bias.read(shape_, head);
    std::fill_n(space_.d_bias.values, 2 * sizes_.band + 16, 0.0f);
  }
  void add_bias(double* d_relative_bias) const {
    for (int64_t t = 1 - sizes_.band; t < sizes_.band; ++t) {
      const int64_t column = bias_column<int64_t>(-t, 0, shape_.relative_bias.cols / 2);
      d_relative_bias[column] += static_cast<double>(*space_.d_bias.at(0, t));
    }
  }

  /// Keys of the chunk that rows before i + n see.
  int64_t n_seen(int64_t i, int64_t n, int64_t first) const {
    return shape_.causal ? std::min(n_keys_, i + n - first) : n_keys_;
  }

  /// Query rows [i, i + kBlockRows) against the chunk of keys that begins at `first`.
  void block(const WorkTile& work_tile, int64_t head, int64_t i, int64_t first) {
    const int64_t n_rows = std::min(kBlockRows, work_tile.span.length - i), token = work_tile.span.first + i;
    // q holds scale * q: so has d_k its factor.
    copy_rows(args_.q, shape_, token, head, n_rows, shape_.scale, space_.q, sizes_.padded);
    copy_rows(args_.d_out, shape_, token, head, n_rows, 1.0f, space_.d_out, sizes_.padded);
    const int64_t n_filled = round_up(n_seen(i, n_rows, first), sizes_.width);
    for (int64_t r = 0; r < n_rows; r += sizes_.rows) {
      const int64_t n = n_seen(i + r, std::min(sizes_.rows, n_rows - r), first);
      score(space_.q + r * sizes_.padded, space_.key_panels, n, space_.x + r * sizes_.keys);
      score(space_.d_out + r * sizes_.padded, space_.value_panels, n, space_.d + r * sizes_.keys);
    }
    for (int64_t r = 0; r < n_rows; ++r) row(work_tile, head, i, r, first, n_filled);
    for (int64_t r = 0; r < n_rows; r += sizes_.rows) query_gradient(work_tile, head, i, r, n_rows, first);
    key_gradient(space_.d, space_.q, i, n_rows, first, space_.d_keys);
    key_gradient(space_.x, space_.d_out, i, n_rows, first, space_.d_values);
  }

  void score(const float* a, const float* panels, int64_t n, float* to) const {
    tile_.multiply({.a = a,
                    .a_row = sizes_.padded,
                    .a_step = 1,
                    .b = panels,
                    .b_step = sizes_.width,
                    .b_vector = sizes_.width * shape_.dim,
                    .n_terms = shape_.dim,
                    .c = to,
                    .c_row = sizes_.keys,
                    .n_vectors = round_up(n, sizes_.width) / sizes_.width,
                    .adds = false});
  }

  void row(const WorkTile& work_tile, int64_t head, int64_t block, int64_t r, int64_t first, int64_t n_filled) {
    const int64_t i = block + r, token = work_tile.span.first + i, n = n_seen(i, 1, first);
    if (mask_.active()) draw_keep(mask_, work_tile.sequence, head, i, first, n, space_.keep);
    const bool has_bias = !shape_.relative_bias.empty();
    tile_.backward_row({.x = space_.x + r * sizes_.keys,
                        .d = space_.d + r * sizes_.keys,
                        .bias = has_bias ? space_.bias.at(i, first) : nullptr,
                        .hidden = hidden_,
                        .keep = mask_.active() ? space_.keep : nullptr,
                        .d_bias = has_bias ? space_.d_bias.at(i, first) : nullptr,
                        .n = n,
                        .n_filled = n_filled,
                        .log_sum_exp = args_.log_sum_exp(token, head),
                        .delta = delta(token, head, r)});
  }

  /// d_out . out of a row.
  float delta(int64_t token, int64_t head, int64_t r) const {
    alignas(64) float out[kMaxDim + 16];
    copy_rows(args_.out, shape_, token, head, 1, 1.0f, out, sizes_.padded);
    return dot(space_.d_out + r * sizes_.padded, out, sizes_.padded);
  }

  void query_gradient(const WorkTile& work_tile, int64_t head, int64_t i, int64_t r, int64_t n_rows, int64_t first) {
    const int64_t n = std::min(sizes_.rows, n_rows - r);
    const bool in_chunks = work_tile.span.length > kChunkKeys;
    float* sums = in_chunks ? space_.all_d_q + (i + r) * sizes_.padded : space_.d_q;
    tile_.multiply({.a = space_.d + r * sizes_.keys,
                    .a_row = sizes_.keys,
                    .a_step = 1,
                    .b = keys_.data,
                    .b_step = keys_.stride,
                    .b_vector = sizes_.width,
                    .n_terms = n_seen(i + r, n, first),
                    .c = sums,
                    .c_row = sizes_.padded,
                    .n_vectors = sizes_.padded / sizes_.width,
                    .adds = first > 0});
    const bool is_last = first + kChunkKeys >= (shape_.causal ? i + r + n : work_tile.span.length);
    for (int64_t e = 0; e < n && is_last; ++e) {
      write_row(sums + e * sizes_.padded, shape_.scale, args_.d_q, shape_, work_tile.span.first + i + r + e, head);
    }
  }

  /// sums[j, :] += sum over the block's rows of weights[row, j] * rows[row, :].
  void key_gradient(const float* weights, const float* rows, int64_t i, int64_t n_rows, int64_t first,
                    float* sums) const {
    const int64_t n = n_seen(i, n_rows, first);
    for (int64_t j = 0; j < n; j += sizes_.rows) {
      const int64_t unseen = shape_.causal ? std::max<int64_t>(0, first + j - i) : 0;  // rows before key j
      tile_.multiply({.a = weights + unseen * sizes_.keys + j,
                      .a_row = 1,
                      .a_step = sizes_.keys,
                      .b = rows + unseen * sizes_.padded,
                      .b_step = sizes_.padded,
                      .b_vector = sizes_.width,
                      .n_terms = n_rows - unseen,
                      .c = sums + j * sizes_.padded,
                      .c_row = sizes_.padded,
                      .n_vectors = sizes_.padded / sizes_.width,
                      .adds = true});
    }
  }

  const AttentionBackwardArgs& args_;
  const Shape& shape_;
  const TileKernel& tile_;
  const BackwardSizes& sizes_;
  BackwardSpace space_;
  DropoutMask mask_;
  FloatRows keys_{};
  const float* hidden_ = nullptr;
  int64_t n_keys_ = 0;
};

}  // namespace

void attention_backward(Context& context, const AttentionBackwardArgs& args) {
  const TileKernel& tile = tile_kernel();
  const Shape& shape = args.shape;
  const BackwardSizes sizes(tile, shape);
  const int64_t space = BackwardSpace::size(sizes, shape), n_kv_heads = args.k.n_heads;
  const int64_t n_sequences = shape.offsets.size - 1, n_bias = args.d_relative_bias.size();
  const int64_t n_parts = n_bias > 0 ? std::min(n_sequences, kBiasParts) : n_sequences;
  ScratchScope scratch(context);
  float* memory = scratch.take<float>(space * context.n_threads());
  double* d_bias = scratch.take<double>(n_parts * n_bias);
  std::fill_n(d_bias, n_parts * n_bias, 0.0);
  parallel_for(context, n_parts * n_kv_heads, 1, [&](int64_t begin, int64_t end, int thread) {
    Backward backward(args, tile, sizes, memory + thread * space);
    for (int64_t w = begin; w < end; ++w) {
      const int64_t part = w / n_kv_heads;
      for (int64_t s = n_sequences * part / n_parts; s < n_sequences * (part + 1) / n_parts; ++s) {
        backward.run({s, w % n_kv_heads, span_of(shape, s)}, n_bias > 0 ? d_bias + part * n_bias : nullptr);
      }
    }
  });
  for (int64_t e = 0; e < n_bias; ++e) {
    double sum = 0.0;
    for (int64_t part = 0; part < n_parts; ++part) sum += d_bias[part * n_bias + e];
    args.d_relative_bias.data[e] = static_cast<float>(sum);
  }
}

}  // namespace sheaf::attention::cpu
