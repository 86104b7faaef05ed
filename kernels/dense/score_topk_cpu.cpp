#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/core/parallel.hpp"
#include "kernels/core/product_scan.hpp"
#include "kernels/core/score_tile.hpp"
#include "kernels/core/top_k.hpp"
#include "kernels/dense/score_bound.hpp"
#include "kernels/dense/score_topk.hpp"
#include "kernels/dense/top_k_row.hpp"

// Large calls scan: the items are packed once, and a block of queries meets them panel by panel. A scan gives an upper
// bound of each score that may matter (or the score itself, if its products are floats). Candidates wait in the
// query's buffer. If the buffer is full, those that are excluded or below k others are removed. The rest get their
// float scores. Small calls, and rows that have no bound (not finite, or too long), are scored item by item.
namespace sheaf::dense::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int64_t kTileQueries = 32;            // queries that share one packed tile
constexpr int64_t kScanQueries = 192;           // queries of a block: their panels and candidates stay in the L2 cache
constexpr int64_t kPackItems = 960;             // packed at a time: whole panels of every width
constexpr int64_t kMostDim = int64_t{1} << 15;  // sums of bytes stay within 32 bits
constexpr float kLeastScore = -4.0f * kMostBounded;

/// The lists of all queries, of one range of the items each.
struct Lists {
  float* scores;   // [n_ranges, n_queries, k]
  int32_t* items;  // [n_ranges, n_queries, k]
  int32_t* sizes;  // [n_ranges, n_queries]
  int64_t n_queries, k;

  TopKList list(int64_t range, int64_t q) const {
    const int64_t row = range * n_queries + q;
    return {scores + row * k, items + row * k, static_cast<int32_t>(k), sizes[row]};
  }
};

ExcludeWalk exclude_walk(const ScoreTopkArgs& args, int64_t q) {
  return {args.exclude, args.exclude_rows.empty() ? q : args.exclude_rows[q]};
}

float bias_of(const ScoreTopkArgs& args, int64_t i) { return args.item_bias.empty() ? 0.0f : args.item_bias[i]; }

/// Offers the items [first, last) to at most kTileQueries queries, all by their float scores. `packed` has room for a
/// tile.
void offer_all(const ScoreTopkArgs& args, const Lists& lists, int64_t range, int64_t begin, int64_t end, int64_t first,
               int64_t last, float* packed) {
  TopKList list[kTileQueries];
  ExcludeWalk excludes[kTileQueries];
  for (int64_t q = begin; q < end; ++q) {
    list[q - begin] = lists.list(range, q);
    excludes[q - begin] = exclude_walk(args, q);
  }
  for (int64_t tile = first; tile < last; tile += kScoreTile) {
    pack_tile(args.items, tile, packed);
    for (int64_t q = begin; q < end; ++q) {
      float scores[kScoreTile];
      score_tile(args.queries.row(q), packed, args.items.cols, scores);
      const auto score_of = [&](int64_t i) { return scores[i - tile] + bias_of(args, i); };
      offer_items(tile, std::min(tile + kScoreTile, last), score_of, excludes[q - begin], list[q - begin]);
    }
  }
  for (int64_t q = begin; q < end; ++q) lists.sizes[range * lists.n_queries + q] = list[q - begin].size;
}

/// All queries and the items [first, last), without a filter. Few queries share the items out among the threads.
class TileTopk {
 public:
  TileTopk(Context& context, const ScoreTopkArgs& args)
      : context_(context), args_(args), tile_floats_(std::max<int64_t>(args.items.cols, 1) * kScoreTile) {}

  int64_t n_ranges() const {
    const int64_t n_blocks = (args_.queries.rows + kTileQueries - 1) / kTileQueries;
    const int64_t wanted = context_.n_threads() == 1 ? 1 : (2 * context_.n_threads() + n_blocks - 1) / n_blocks;
    return std::clamp<int64_t>(args_.items.rows / kLeastItems, 1, wanted);
  }

  void run(const Lists& lists, int64_t n_ranges, int64_t first, int64_t last) {
    ScratchScope scratch(context_);
    float* tiles = scratch.take<float>(context_.n_threads() * tile_floats_);
    const int64_t n_queries = args_.queries.rows, n_blocks = (n_queries + kTileQueries - 1) / kTileQueries;
    const int64_t n_tiles = (last - first + kScoreTile - 1) / kScoreTile;
    parallel_for(context_, n_blocks * n_ranges, 1, [&](int64_t task, int64_t, int thread) {
      const int64_t range = task % n_ranges, begin = task / n_ranges * kTileQueries;
      offer_all(args_, lists, range, begin, std::min(begin + kTileQueries, n_queries),
                first + range * n_tiles / n_ranges * kScoreTile,
                std::min(last, first + (range + 1) * n_tiles / n_ranges * kScoreTile), tiles + thread * tile_floats_);
    });
  }

 private:
  static constexpr int64_t kLeastItems = 512;  // of a range

  Context& context_;
  const ScoreTopkArgs& args_;
  int64_t tile_floats_;
};

class ScanTopk {
 public:
  ScanTopk(Context& context, const ScoreTopkArgs& args, const ScanKernel& kernel)
      : context_(context),
        args_(args),
        scratch_(context),
        kernel_(kernel),
        n_items_(args.items.rows),
        n_queries_(args.queries.rows),
        dim_(args.items.cols),
        k_(args.top_items.cols) {
    columns_ = dim_ + (kernel_.pack_bytes ? 0 : kernel_.is_exact ? 1 : kBoundColumns);
    n_units_ = kernel_.n_units(columns_);
    most_pending_ = std::clamp<int64_t>(4 * k_, 64, 512);
    const int64_t most_items =
        std::max<int64_t>(1, args.cpu_workspace_bytes / (n_units_ * 4 * kPackItems)) * kPackItems;
    chunk_ = std::min((n_items_ + kPackItems - 1) / kPackItems * kPackItems, most_items);
    // As many blocks as threads, or a multiple, so that no thread waits for long.
    const int64_t threads = context.n_threads();
    const int64_t n_blocks = ((n_queries_ + kScanQueries - 1) / kScanQueries + threads - 1) / threads * threads;
    block_ = ((n_queries_ + n_blocks - 1) / n_blocks + kernel_.rows - 1) / kernel_.rows * kernel_.rows;
  }

  void run(const Lists& lists) {
    panels_ = scratch_.take<uint32_t>(chunk_ * n_units_);
    bounds_ = scratch_.take<ItemBound>(chunk_);
    is_unbounded_ = scratch_.take<uint8_t>(chunk_);
    unbounded_ = scratch_.take<int32_t>(chunk_);
    const int64_t n_threads = context_.n_threads();
    blocks_ = scratch_.take<Block>(n_threads);
    for (int64_t t = 0; t < n_threads; ++t) take_block(blocks_[t]);
    TileTopk without_filter(context_, args_);
    for (first_ = 0; first_ < n_items_; first_ += chunk_) {
      count_ = std::min(chunk_, n_items_ - first_);
      pack_items();
      if (n_unbounded_ > 16 + count_ / 16) {
        without_filter.run(lists, 1, first_, first_ + count_);
        continue;
      }
      parallel_for(context_, n_queries_, block_,
                   [&](int64_t begin, int64_t end, int thread) { scan(lists, begin, end, blocks_[thread]); });
    }
  }

  /// Candidates that got a float score.
  int64_t n_rescored() const {
    int64_t n = 0;
    for (int64_t t = 0; t < context_.n_threads(); ++t) n += blocks_[t].n_rescored;
    return n;
  }

 private:
  /// A pair that may be in a list.
  struct Candidate {
    float upper, lower;  // of its score
    int32_t item;
  };

  struct Entry {
    float score;
    int32_t item;
  };

  /// Of a query, while its block meets the items.
  struct Row {
    TopKList list;  // float scores
    ExcludeWalk exclude;
    QueryBound bound;
    int32_t n_pending, n_checked;  // candidates, and those of them that are known not to be excluded
    bool is_bounded;
  };

  /// A thread's workspace.
  struct Block {
    float* vectors;        // [width, columns]
    float* lengths;        // [width]
    float* residuals;      // [width]
    float* scales;         // [width]
    uint32_t* panels;      // [block up to whole panels, n_units]
    float* limits;         // [block up to whole panels]
    Row* rows;             // [block]
    Candidate* pending;    // [block, most_pending]
    ProductHit* hits;      // [scan_hit_capacity]
    ProductHit* rescored;  // [most_pending]
    float* values;         // [k + most_pending]
    Entry* entries;        // [k + most_pending]
    float* tile;           // [dim, kScoreTile]
    int64_t begin;         // the first query
    int64_t n_rescored;
  };

  void take_block(Block& block) {
    const int64_t padded = (block_ + kernel_.width - 1) / kernel_.width * kernel_.width;
    block.vectors = scratch_.take<float>(kernel_.width * columns_);
    block.lengths = scratch_.take<float>(kernel_.width);
    block.residuals = scratch_.take<float>(kernel_.width);
    block.scales = scratch_.take<float>(kernel_.width);
    block.panels = scratch_.take<uint32_t>(padded * n_units_);
    block.limits = scratch_.take<float>(padded);
    block.rows = scratch_.take<Row>(block_);
    block.pending = scratch_.take<Candidate>(block_ * most_pending_);
    block.hits = scratch_.take<ProductHit>(scan_hit_capacity(kernel_));
    block.rescored = scratch_.take<ProductHit>(most_pending_);
    block.values = scratch_.take<float>(k_ + most_pending_);
    block.entries = scratch_.take<Entry>(k_ + most_pending_);
    block.tile = scratch_.take<float>(dim_ * kScoreTile);
    block.n_rescored = 0;
  }

  static float squares(const float* row, int64_t dim) {
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < dim; ++c) sum += row[c] * row[c];
    return sum;
  }

  /// The rows [first, end) of a matrix, at most a panel, as vectors of `columns` floats each, with zeros for those
  /// without a bound and beyond the end. lengths[j] is a row's length, or negative if it has no bound.
  void copy_rows(MatrixView<const float> matrix, int64_t first, int64_t end, Block& block) const {
    for (int64_t j = 0; j < kernel_.width; ++j) {
      float* vector = block.vectors + j * columns_;
      const float squared = first + j < end ? squares(matrix.row(first + j), dim_) : kInfinity;
      const bool is_bounded = squared <= kMostBounded;
      block.lengths[j] = is_bounded ? length_bound(squared, dim_) : -1.0f;
      if (is_bounded) std::copy_n(matrix.row(first + j), dim_, vector);
      std::fill(vector + (is_bounded ? dim_ : 0), vector + columns_, 0.0f);
    }
    if (!kernel_.pack_bytes)
      kernel_.residuals(matrix.row(first), std::min(end - first, int64_t{kernel_.width}), dim_, block.residuals);
  }

  float largest_value(const Block& block, int64_t j) const {
    const float* vector = block.vectors + j * columns_;
    float largest = 0.0f;
#pragma omp simd reduction(max : largest)
    for (int64_t c = 0; c < dim_; ++c) largest = std::max(largest, std::fabs(vector[c]));
    return largest;
  }

  void pack_bytes(Block& block, bool are_rows, uint32_t* panel) const {
    kernel_.pack_bytes(block.vectors, dim_, block.scales, are_rows, panel, block.residuals);
    for (int64_t j = 0; j < kernel_.width; ++j) block.residuals[j] = length_bound(block.residuals[j], dim_);
  }

  void write_trailer(uint32_t* panel, int unit, int64_t j, float value) const {
    panel[(n_units_ - ByteTrailer::kUnits + unit) * kernel_.width + j] = std::bit_cast<uint32_t>(value);
  }

  void pack_items(int64_t begin, int64_t end, Block& block) {
    for (int64_t first = begin; first < end; first += kernel_.width) {
      uint32_t* panel = panels_ + (first - first_) * n_units_;
      ItemBound* bounds = bounds_ + first - first_;
      copy_rows(args_.items, first, end, block);
      for (int64_t j = 0; j < std::min(end - first, int64_t{kernel_.width}); ++j) {
        if (!(std::fabs(bias_of(args_, first + j)) <= kMostBounded)) {
          block.lengths[j] = -1.0f;
          std::fill_n(block.vectors + j * columns_, columns_, 0.0f);
        }
        is_unbounded_[first + j - first_] = block.lengths[j] < 0.0f;
      }
      if (kernel_.pack_bytes) {
        pack_bytes_of_items(first, block, panel, bounds);
        continue;
      }
      for (int64_t j = 0; j < kernel_.width; ++j) {
        float* extra = block.vectors + j * columns_ + dim_;
        if (block.lengths[j] < 0.0f) {
          extra[0] = kPaddingBias;
        } else if (kernel_.is_exact) {
          extra[0] = bias_of(args_, first + j);
        } else {
          bounds[j] = ItemBound(block.lengths[j], block.residuals[j], bias_of(args_, first + j), dim_);
          bounds[j].write(extra);
        }
      }
      kernel_.pack(block.vectors, columns_, panel);
    }
  }

  /// One scale for the panel, and one bound but for the bias.
  void pack_bytes_of_items(int64_t first, Block& block, uint32_t* panel, ItemBound* bounds) {
    const int64_t width = kernel_.width;
    float largest = 0.0f;
    for (int64_t j = 0; j < width; ++j) largest = std::max(largest, largest_value(block, j));
    std::fill_n(block.scales, width, byte_scale(largest));
    pack_bytes(block, false, panel);
    const float longest = *std::max_element(block.lengths, block.lengths + width);
    const float residual = *std::max_element(block.residuals, block.residuals + width);
    for (int64_t j = 0; j < width; ++j) {
      float addend = kPaddingBias;
      if (block.lengths[j] >= 0.0f) {
        bounds[j] = ItemBound(longest, residual, bias_of(args_, first + j), dim_);
        addend = bounds[j].high + bounds[j].low;
      }
      write_trailer(panel, ByteTrailer::kAddend, j, addend);
    }
    const ItemBound common(std::max(longest, 0.0f), residual, 0.0f, dim_);
    write_trailer(panel, ByteTrailer::kOfPanel, ByteTrailer::kPanelScale, block.scales[0]);
    write_trailer(panel, ByteTrailer::kOfPanel, ByteTrailer::kLongest, common.length);
    write_trailer(panel, ByteTrailer::kOfPanel, ByteTrailer::kSpread, common.spread);
  }

  void pack_items() {
    parallel_for(context_, count_, kPackItems, [&](int64_t begin, int64_t end, int thread) {
      pack_items(first_ + begin, first_ + end, blocks_[thread]);
    });
    n_unbounded_ = 0;
    for (int64_t i = 0; i < count_; ++i) {
      unbounded_[n_unbounded_] = static_cast<int32_t>(first_ + i);
      n_unbounded_ += is_unbounded_[i];
    }
  }

  void pack_queries(int64_t end, Block& block) {
    for (int64_t first = block.begin; first < end; first += kernel_.width) {
      uint32_t* panel = block.panels + (first - block.begin) * n_units_;
      const int64_t n = std::min(end - first, int64_t{kernel_.width});
      Row* rows = block.rows + first - block.begin;
      copy_rows(args_.queries, first, end, block);
      if (kernel_.pack_bytes) {
        for (int64_t j = 0; j < kernel_.width; ++j) block.scales[j] = byte_scale(largest_value(block, j));
        pack_bytes(block, true, panel);
      }
      for (int64_t j = 0; j < n; ++j) {
        float* extra = block.vectors + j * columns_ + dim_;
        rows[j].is_bounded = block.lengths[j] >= 0.0f;
        if (!rows[j].is_bounded) continue;
        if (kernel_.is_exact) {
          extra[0] = 1.0f;
        } else {
          rows[j].bound = QueryBound(block.lengths[j], block.residuals[j]);
          if (!kernel_.pack_bytes) rows[j].bound.write(extra);
        }
      }
      if (!kernel_.pack_bytes) {
        kernel_.pack(block.vectors, columns_, panel);
        continue;
      }
      for (int64_t j = 0; j < kernel_.width; ++j) {
        const bool is_bounded = j < n && rows[j].is_bounded;
        write_trailer(panel, ByteTrailer::kScale, j, block.scales[j]);
        write_trailer(panel, ByteTrailer::kResidual, j, is_bounded ? rows[j].bound.residual : 0.0f);
        write_trailer(panel, ByteTrailer::kLength, j, is_bounded ? rows[j].bound.length : 0.0f);
      }
    }
  }

  void start_row(const Lists& lists, int64_t q, Block& block) {
    Row& row = block.rows[q - block.begin];
    row.list = lists.list(0, q);
    row.exclude = exclude_walk(args_, q);
    row.n_pending = row.n_checked = 0;
    row.is_bounded = false;
  }

  void scan(const Lists& lists, int64_t begin, int64_t end, Block& block) {
    block.begin = begin;
    for (int64_t q = begin; q < end; ++q) start_row(lists, q, block);
    pack_queries(end, block);
    const int64_t padded = (end - begin + kernel_.width - 1) / kernel_.width * kernel_.width;
    std::fill_n(block.limits, padded, kInfinity);
    for (int64_t r = 0; r < end - begin; ++r) {
      if (!block.rows[r].is_bounded) continue;
      block.limits[r] = kLeastScore;
      raise_by_list(block, r);
    }
    scan_block(kernel_, n_units_, {block.panels, end - begin, block.limits}, {panels_, count_, nullptr}, block.hits,
               [&](const ProductHit* hits, int64_t n_hits) { offer(block, hits, n_hits); });
    for (int64_t q = begin; q < end;) {
      int64_t last = q;  // a run of queries without a bound
      while (last < std::min(end, q + kTileQueries) && !block.rows[last - begin].is_bounded) ++last;
      if (last > q) {
        offer_all(args_, lists, 0, q, last, first_, first_ + count_, block.tile);
        q = last;
      } else {
        finish_row(lists, q++, block);
      }
    }
  }

  void finish_row(const Lists& lists, int64_t q, Block& block) {
    const int64_t r = q - block.begin;
    Row& row = block.rows[r];
    prune(block, r);
    rescore(block, r);
    ExcludeWalk exclude = exclude_walk(args_, q);
    for (int64_t u = 0; u < n_unbounded_; ++u) {
      ProductHit hit{static_cast<int32_t>(q), unbounded_[u], 0.0f};
      const float score = float_score(hit);
      if (row.list.accepts(score, hit.column) && !exclude.holds(hit.column)) row.list.insert(score, hit.column);
    }
    lists.sizes[q] = row.list.size;
  }

  /// As score_tile() sums.
  float float_score(const ProductHit& hit) const {
    const float *query = args_.queries.row(hit.row), *item = args_.items.row(hit.column);
    float sum = 0.0f;
    for (int64_t c = 0; c < dim_; ++c) sum = fused_or_not(query[c], item[c], sum);
    return sum + bias_of(args_, hit.column);
  }

  /// Later items have larger ids: of equal scores the list keeps its own.
  void raise_by_list(Block& block, int64_t r) const {
    const TopKList& list = block.rows[r].list;
    if (list.size < k_ || !(list.scores[k_ - 1] >= block.limits[r])) return;
    const float worst = list.scores[k_ - 1];
    block.limits[r] = kernel_.is_exact ? std::nextafter(worst, kInfinity) : worst;
  }

  void offer(Block& block, const ProductHit* hits, int64_t n_hits) {
    for (int64_t h = 0; h < n_hits; ++h) {
      const ProductHit& hit = hits[h];
      if (hit.product < block.limits[hit.row]) continue;
      Row& row = block.rows[hit.row];
      const float width = kernel_.is_exact ? 0.0f : bound_width(row.bound, bounds_[hit.column]);
      block.pending[hit.row * most_pending_ + row.n_pending++] = {hit.product, hit.product - width,
                                                                  static_cast<int32_t>(first_ + hit.column)};
      if (row.n_pending < most_pending_) continue;
      prune(block, hit.row);
      if (row.n_pending > most_pending_ * 3 / 4) rescore(block, hit.row);
    }
  }

  /// Removes the candidates that are excluded, and those that have k better ones.
  void prune(Block& block, int64_t r) const {
    Row& row = block.rows[r];
    Candidate* pending = block.pending + r * most_pending_;
    for (int32_t p = row.n_checked; p < row.n_pending; ++p) {
      if (!row.exclude.holds(pending[p].item)) pending[row.n_checked++] = pending[p];
    }
    row.n_pending = row.n_checked;
    if (row.list.size + row.n_pending < k_) return;
    float* values = block.values;
    float low = kInfinity, high = -kInfinity;
    for (int32_t p = 0; p < row.n_pending; ++p) {
      values[p] = pending[p].lower;
      low = std::min(low, values[p]);
      high = std::max(high, values[p]);
    }
    std::copy_n(row.list.scores, row.list.size, values + row.n_pending);
    const float limit = block.limits[r];
    low = std::max(low, limit);
    int64_t reach = 0;
    for (int64_t v = 0; v < row.n_pending + row.list.size; ++v) reach += values[v] >= low;
    if (reach < k_) return;
    const float worst = nearly_kth_best(values, row.n_pending + row.list.size, k_, low, high);
    block.limits[r] = std::max(limit, worst);
    int32_t n_kept = 0;
    for (int32_t p = 0; p < row.n_pending; ++p) {
      pending[n_kept] = pending[p];
      n_kept += pending[p].upper >= worst;
    }
    row.n_pending = row.n_checked = n_kept;
  }

  /// Candidates get their float scores; the k best of them and of the list remain.
  void rescore(Block& block, int64_t r) const {
    Row& row = block.rows[r];
    const Candidate* pending = block.pending + r * most_pending_;
    ProductHit* hits = block.rescored;
    Entry* entries = block.entries;
    int64_t n = 0;
    for (; n < row.list.size; ++n) entries[n] = {row.list.scores[n], row.list.ids[n]};
    for (int32_t p = 0; p < row.n_pending; ++p) {
      hits[p] = {static_cast<int32_t>(block.begin + r), pending[p].item, pending[p].upper};
    }
    kernel_.rescore(args_.queries.data, args_.items.data, dim_, hits, row.n_pending);
    for (int32_t p = 0; p < row.n_pending; ++p) {
      const int32_t item = hits[p].column;
      entries[n++] = {kernel_.is_exact ? hits[p].product : hits[p].product + bias_of(args_, item), item};
    }
    block.n_rescored += row.n_pending;
    row.n_pending = row.n_checked = 0;
    const auto before = [](const Entry& a, const Entry& b) { return ranks_before(a.score, a.item, b.score, b.item); };
    if (n > k_) std::nth_element(entries, entries + k_, entries + n, before);
    n = std::min(n, k_);
    std::sort(entries, entries + n, before);
    for (int64_t e = 0; e < n; ++e) {
      row.list.scores[e] = entries[e].score;
      row.list.ids[e] = entries[e].item;
    }
    row.list.size = static_cast<int32_t>(n);
    raise_by_list(block, r);
  }

  Context& context_;
  const ScoreTopkArgs& args_;
  ScratchScope scratch_;
  const ScanKernel& kernel_;
  int64_t n_items_, n_queries_, dim_, k_;
  int64_t columns_, n_units_, most_pending_, chunk_, block_;
  int64_t first_ = 0, count_ = 0, n_unbounded_ = 0;  // of the chunk that is packed now
  uint32_t* panels_ = nullptr;                       // [chunk / width, n_units, width]
  ItemBound* bounds_ = nullptr;                      // [chunk]
  uint8_t* is_unbounded_ = nullptr;                  // [chunk]
  int32_t* unbounded_ = nullptr;                     // [n_unbounded] items
  Block* blocks_ = nullptr;                          // [n_threads]
};

/// Whether packing all items is worth it. Measured.
bool scan_pays(const ScoreTopkArgs& args) {
  if (!kScoresAreFused || args.items.cols == 0 || args.items.cols > kMostDim || args.items.rows == 0) return false;
  return scan_kernel_is_named() || (args.queries.rows >= 16 && args.items.rows >= 1024);
}

/// The scan for a large call. Where scores are closer together than the bound of a cheap product is wide, floats are
/// faster: so some queries and items try it out. The lists are the same in any case.
const ScanKernel& choose_kernel(Context& context, const ScoreTopkArgs& args) {
  constexpr int64_t kQueries = 16, kItems = 4096, kLeastPairs = int64_t{1} << 22;
  const ScanKernel& kernel = scan_kernel(/*may_be_bytes=*/true);
  if (kernel.is_exact || scan_kernel_is_named()) return kernel;
  if (args.queries.rows < kQueries || args.items.rows < kItems || args.queries.rows * args.items.rows < kLeastPairs) {
    return kernel;
  }
  ScratchScope scratch(context);
  const int64_t k = args.top_items.cols;
  ScoreTopkArgs few = args;
  few.queries = args.queries.row_block(0, kQueries);
  few.items = args.items.row_block(0, kItems);
  if (!args.item_bias.empty()) few.item_bias = args.item_bias.subview(0, kItems);
  few.exclude = {};
  const Lists lists{scratch.take<float>(kQueries * k), scratch.take<int32_t>(kQueries * k),
                    scratch.take<int32_t>(kQueries), kQueries, k};
  std::fill_n(lists.sizes, kQueries, 0);
  ScanTopk scan(context, few, kernel);
  scan.run(lists);
  return scan.n_rescored() < kQueries * kItems / 2 ? kernel : exact_scan_kernel();
}

}  // namespace

void score_topk(Context& context, const ScoreTopkArgs& args) {
  const int64_t n_queries = args.queries.rows, k = args.top_items.cols;
  ScratchScope scratch(context);
  TileTopk tiles(context, args);
  const bool scans = scan_pays(args);
  const int64_t n_ranges = scans ? 1 : tiles.n_ranges();
  Lists lists{args.top_scores.data, args.top_items.data, scratch.take<int32_t>(n_ranges * n_queries), n_queries, k};
  if (n_ranges > 1) {
    lists.scores = scratch.take<float>(n_ranges * n_queries * k);
    lists.items = scratch.take<int32_t>(n_ranges * n_queries * k);
  }
  std::fill_n(lists.sizes, n_ranges * n_queries, 0);
  if (scans) {
    ScanTopk(context, args, choose_kernel(context, args)).run(lists);
  } else {
    tiles.run(lists, n_ranges, 0, args.items.rows);
  }
  parallel_for(context, n_queries, 256, [&](int64_t begin, int64_t end) {
    for (int64_t q = begin; q < end; ++q) {
      TopKList merged = lists.list(0, q);
      if (n_ranges > 1) merged = {args.top_scores.row(q), args.top_items.row(q), static_cast<int32_t>(k), 0};
      for (int64_t range = 0; n_ranges > 1 && range < n_ranges; ++range) {
        const TopKList part = lists.list(range, q);
        for (int32_t e = 0; e < part.size && merged.accepts(part.scores[e], part.ids[e]); ++e) {
          merged.insert(part.scores[e], part.ids[e]);
        }
      }
      merged.fill_rest(-kInfinity, -1);
    }
  });
}

}  // namespace sheaf::dense::cpu
