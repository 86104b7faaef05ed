#include "kernels/attention/attention.hpp"
#include "kernels/attention/rows_cpu.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf::attention::cpu {
namespace {

/// Sizes of one call: rows of a product, floats of a vector, dim in whole vectors, a chunk's keys.
struct ForwardSizes {
  ForwardSizes(const TileKernel& tile, const Shape& shape)
      : rows(tile.rows),
        width(tile.width),
        padded(round_up(shape.dim, tile.width)),
        keys(round_up(std::min(shape.max_length, kChunkKeys), 16)),
        queries(shape.max_length <= kChunkKeys ? tile.rows : round_up(shape.max_length, tile.rows)),
        band(shape.relative_bias.empty() ? 0 : shape.max_length) {}

  int64_t rows, width, padded, keys, queries, band;
};

/// One thread's memory. Sums and their scale are kept for all rows only where keys come in several chunks.
struct ForwardSpace {
  ForwardSpace(const ForwardSizes& s, const Shape& shape, float* data) {
    Workspace space(data);
    key_panels = space.take(s.keys * shape.dim);
    keys = space.take(s.keys * s.padded);
    values = space.take(s.keys * s.padded);
    q = space.take(s.rows * shape.dim);
    scores = space.take(s.rows * s.keys);
    sums = space.take(s.queries * s.padded);
    largest = space.take(s.queries);
    totals = space.take(s.queries);
    hidden = space.take(s.keys);
    keep = space.take(s.keys);
    bias = {space.take(2 * s.band + 16), s.band};
  }
  static int64_t size(const ForwardSizes& s, const Shape& shape) {
    const auto part = Workspace::padded;
    return part(s.keys * shape.dim) + 2 * part(s.keys * s.padded) + part(s.rows * shape.dim) + part(s.rows * s.keys) +
           part(s.queries * s.padded) + 2 * part(s.queries) + 2 * part(s.keys) + part(2 * s.band + 16);
  }

  float *key_panels, *keys, *values, *q, *scores, *sums, *largest, *totals, *hidden, *keep;
  BiasBand bias;
};

class Forward {
 public:
  Forward(const AttentionArgs& args, const TileKernel& tile, const ForwardSizes& sizes, float* memory)
      : args_(args),
        shape_(args.shape),
        tile_(tile),
        sizes_(sizes),
        space_(sizes, args.shape, memory),
        mask_(args.shape, args.q.n_heads) {}

  void run(const WorkTile& work_tile) {
    const int64_t group = args_.q.n_heads / args_.k.n_heads;
    const bool in_chunks = work_tile.span.length > kChunkKeys;
    for (int64_t head = work_tile.kv_head * group; head < (work_tile.kv_head + 1) * group; ++head) {
      if (!shape_.relative_bias.empty()) space_.bias.read(shape_, head);
      for (int64_t first = 0; first < work_tile.span.length; first += kChunkKeys) {
        if (in_chunks || head == work_tile.kv_head * group) load_keys(work_tile, first);
        for (int64_t i = shape_.causal ? first : 0; i < work_tile.span.length; i += sizes_.rows) {
          rows(work_tile, head, i, first);
        }
      }
    }
  }

 private:
  void load_keys(const WorkTile& work_tile, int64_t first) {
    const int64_t token = work_tile.span.first + first, n = std::min(kChunkKeys, work_tile.span.length - first);
    const FloatRows keys = key_rows(args_.k, shape_, token, work_tile.kv_head, n, sizes_.padded, space_.keys);
    tile_.pack(keys.data, keys.stride, n, shape_.dim, space_.key_panels);
    values_ = key_rows(args_.v, shape_, token, work_tile.kv_head, n, sizes_.padded, space_.values);
    hidden_ = hidden_row(shape_, token, n, space_.hidden);
    n_keys_ = n;
  }

  /// Query rows i and after it against the chunk of keys that begins at `first`.
  void rows(const WorkTile& work_tile, int64_t head, int64_t i, int64_t first) {
    const int64_t n_rows = std::min(sizes_.rows, work_tile.span.length - i);
    const int64_t n_seen = shape_.causal ? std::min(n_keys_, i + n_rows - first) : n_keys_;
    const bool is_first = first == 0;
    const bool is_last = first + kChunkKeys >= (shape_.causal ? i + n_rows : work_tile.span.length);
    const int64_t kept_row = work_tile.span.length > kChunkKeys ? i : 0;
    float* sums = space_.sums + kept_row * sizes_.padded;
    float* largest = space_.largest + kept_row;
    float* totals = space_.totals + kept_row;
    if (is_first) {
      std::fill_n(largest, n_rows, -INFINITY);
      std::fill_n(totals, n_rows, 0.0f);
    }
    copy_rows(args_.q, shape_, work_tile.span.first + i, head, n_rows, shape_.scale, space_.q, shape_.dim);
    tile_.multiply({.a = space_.q,
                    .a_row = shape_.dim,
                    .a_step = 1,
                    .b = space_.key_panels,
                    .b_step = sizes_.width,
                    .b_vector = sizes_.width * shape_.dim,
                    .n_terms = shape_.dim,
                    .c = space_.scores,
                    .c_row = sizes_.keys,
                    .n_vectors = round_up(n_seen, sizes_.width) / sizes_.width,
                    .adds = false});
    for (int64_t r = 0; r < n_rows; ++r) {
      const float factor = probabilities(work_tile, head, i + r, first, r, n_seen, largest[r], totals[r]);
      if (!is_first && factor != 1.0f) {
        for (int64_t c = 0; c < sizes_.padded; ++c) sums[r * sizes_.padded + c] *= factor;
      }
    }
    tile_.multiply({.a = space_.scores,
                    .a_row = sizes_.keys,
                    .a_step = 1,
                    .b = values_.data,
                    .b_step = values_.stride,
                    .b_vector = sizes_.width,
                    .n_terms = n_seen,
                    .c = sums,
                    .c_row = sizes_.padded,
                    .n_vectors = sizes_.padded / sizes_.width,
                    .adds = !is_first});
    for (int64_t r = 0; r < n_rows && is_last; ++r) {
      const int64_t token = work_tile.span.first + i + r;
      const bool sees_any = totals[r] != 0.0f;
      write_row(sums + r * sizes_.padded, sees_any ? 1.0f / totals[r] : 0.0f, args_.out, shape_, token, head);
      args_.log_sum_exp(token, head) = sees_any ? largest[r] + std::log(totals[r]) : -INFINITY;
    }
  }

  /// Turns the scores of row i into exp(x - largest), and dropped ones into 0. Returns the factor for the sums of
  /// earlier chunks.
  float probabilities(const WorkTile& work_tile, int64_t head, int64_t i, int64_t first, int64_t r, int64_t n_filled,
                      float& largest, float& total) {
    ForwardRow row{.x = space_.scores + r * sizes_.keys,
                   .bias = shape_.relative_bias.empty() ? nullptr : space_.bias.at(i, first),
                   .hidden = hidden_,
                   .n = shape_.causal ? std::min(n_keys_, i + 1 - first) : n_keys_,
                   .n_filled = n_filled,
                   .largest = largest,
                   .total = 0.0f};
    tile_.forward_row(row);
    const float factor = largest == row.largest ? 1.0f : std::exp(largest - row.largest);
    total = total * factor + row.total;
    largest = row.largest;
    if (mask_.active()) {
      draw_keep(mask_, work_tile.sequence, head, i, first, row.n, space_.keep);
      for (int64_t j = 0; j < row.n; ++j) row.x[j] *= space_.keep[j];
    }
    return factor;
  }

  const AttentionArgs& args_;
  const Shape& shape_;
  const TileKernel& tile_;
  const ForwardSizes& sizes_;
  ForwardSpace space_;
  DropoutMask mask_;
  FloatRows values_{};
  const float* hidden_ = nullptr;
  int64_t n_keys_ = 0;
};

}  // namespace

void attention(Context& context, const AttentionArgs& args) {
  const TileKernel& tile = tile_kernel();
  const ForwardSizes sizes(tile, args.shape);
  const int64_t space = ForwardSpace::size(sizes, args.shape), n_kv_heads = args.k.n_heads;
  ScratchScope scratch(context);
  float* memory = scratch.take<float>(space * context.n_threads());
  parallel_for(context, (args.shape.offsets.size - 1) * n_kv_heads, 1, [&](int64_t begin, int64_t end, int thread) {
    Forward forward(args, tile, sizes, memory + thread * space);
    for (int64_t w = begin; w < end; ++w) {
      const int64_t sequence = w / n_kv_heads;
      forward.run({sequence, w % n_kv_heads, span_of(args.shape, sequence)});
    }
  });
}

}  // namespace sheaf::attention::cpu
