#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

#include "kernels/association/cosine_pair.hpp"
#include "kernels/association/cosine_topk.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/core/product_scan.hpp"

// The vectors are cut into blocks of panels. A task is a pair of blocks: each product is computed once and offered to
// the lists of both rows where items are compared with items. Rounds of tasks that share no block run side by side, so
// two threads never write one list. A list has two parts: the k best of earlier chunks, unordered, in the outputs; and
// candidates with approximate products. When there are many candidates, those that can no longer be among the k best
// are removed. The rest get their float products when the two chunks have been compared.
namespace sheaf::association::cpu {
namespace {

// A block's floats: two blocks and their panels stay in a 1 MiB cache.
constexpr int64_t kBlockBytes = int64_t{240} << 10;
constexpr float kMostProduct = 1.0f + 0x1.0p-6f;  // products of unit vectors, and what 16 bits may add
constexpr float kNever = std::numeric_limits<float>::infinity();

/// A pair that may be in a list.
struct Candidate {
  float product;  // that the scan found
  int32_t place;  // of the other vector, in its chunk
};

/// The list of the query at a place.
struct ListState {
  float bound;        // no product below this has a place among the k best
  float limit;        // nor has a pair for which the scan finds less than this, while two chunks meet
  int32_t n_best;     // in the outputs
  int32_t n_pending;  // candidates
};

/// Rows of one matrix, normalised and packed, in an order that puts each category's rows together. Places are positions
/// in that order.
struct Side {
  MatrixView<const float> vectors;
  VectorView<const int32_t> categories;  // empty: no rule
  int32_t* order;                        // [vectors.rows] row of a place
  ListState* lists;                      // [vectors.rows] by place; null: no lists

  // Of the places [first, first + count) that are packed now, zeros up to a whole panel.
  int64_t first = 0, count = 0;
  float* unit;         // [count, dim]
  uint32_t* panels;    // [count / width, n_units, width]
  Candidate* pending;  // [count, most_pending]
  float* residuals;    // [count]
  float residual;      // the largest of them
  const Side* other;   // whom this side meets

  int32_t category(int64_t place) const { return categories[order[place]]; }
};

// All zeros for a row without direction (zero length, NaN or infinity), so that its cosines are 0.
void normalize_row(const float* row, int64_t dim, float* unit) {
  double squares = 0;
  for (int64_t c = 0; c < dim; ++c) squares += static_cast<double>(row[c]) * static_cast<double>(row[c]);
  const double inverse = squares > 0 && std::isfinite(squares) ? 1.0 / std::sqrt(squares) : 0.0;
  for (int64_t c = 0; c < dim; ++c)
    unit[c] = inverse > 0 ? static_cast<float>(static_cast<double>(row[c]) * inverse) : 0.0f;
}

class CosineTopk {
 public:
  CosineTopk(Context& context, const CosineTopkArgs& args)
      : context_(context), args_(args), scratch_(context), dim_(args.vectors.cols), k_(args.neighbours.cols) {
    // Then a pair is found once and offered to both lists.
    is_symmetric_ = args.queries.data == args.vectors.data && args.queries.rows == args.vectors.rows &&
                    args.first_query == args.first_item;
    n_units_ = kernel_.n_units(dim_);
    most_pending_ = std::clamp<int64_t>(4 * k_, 64, 512);
    const int64_t n_panels = std::min(panels_of(args.queries.rows), panels_of(args.vectors.rows));
    const int64_t most = std::max(int64_t{1}, kBlockBytes / (dim_ * 4 * kernel_.width));
    block_ = std::clamp(n_panels / (8 * context.n_threads()), int64_t{1}, most) * kernel_.width;
    const int64_t most_rows = args.cpu_workspace_bytes / (dim_ * 4 + n_units_ * 4 + most_pending_ * 8);
    const bool has_one_side = is_symmetric_ && args.vectors.rows <= most_rows;
    chunk_ = std::max(block_, (has_one_side ? args.vectors.rows + block_ - 1 : most_rows / 2) / block_ * block_);
    // Sums of floats and of bf16 each err by half a unit in the last place per term. The sums are at most 1 + residual.
    rounding_ = kernel_.is_exact ? 0.0f : static_cast<float>(dim_ + 8) * 0x1.0p-22f;
    least_ = product_bound(std::max(args_.min_score, 0.0f), args_.scale);
  }

  void run() {
    Side queries = make_side(args_.queries, args_.query_categories);
    start_lists(queries);
    take_pending(queries);
    Side items = queries;
    if (!is_symmetric_) {
      items = make_side(args_.vectors, args_.item_categories);
    } else if (queries.vectors.rows > chunk_) {
      take_packed(items);
      take_pending(items);
    }
    hits_ = scratch_.take<ProductHit>(context_.n_threads() * scan_hit_capacity(kernel_));
    limits_ = scratch_.take<float>(context_.n_threads() * 2 * block_);
    keys_ = scratch_.take<uint64_t>(context_.n_threads() * (k_ + most_pending_));
    values_ = scratch_.take<float>(context_.n_threads() * (k_ + most_pending_));
    survivors_ = scratch_.take<ProductHit>(context_.n_threads() * most_pending_);
    for (int64_t q = 0; q < args_.queries.rows; q += chunk_) {
      pack(queries, q);
      if (is_symmetric_) meet_itself(queries);
      for (int64_t i = is_symmetric_ ? q + chunk_ : 0; i < args_.vectors.rows; i += chunk_) {
        pack(items, i);
        meet(queries, items);
      }
    }
    finish(queries);
    if (!args_.n_rescored.empty()) args_.n_rescored[0] = n_rescored_.load();
  }

 private:
  int64_t panels_of(int64_t n) const { return (n + kernel_.width - 1) / kernel_.width; }

  Side make_side(MatrixView<const float> vectors, VectorView<const int32_t> categories) {
    Side side{};
    side.vectors = vectors;
    if (args_.rule != CategoryRule::any) side.categories = categories;
    side.order = scratch_.take<int32_t>(vectors.rows);
    std::iota(side.order, side.order + vectors.rows, 0);
    if (!side.categories.empty()) {
      std::sort(side.order, side.order + vectors.rows, [&](int32_t a, int32_t b) {
        return categories[a] != categories[b] ? categories[a] < categories[b] : a < b;
      });
    }
    take_packed(side);
    return side;
  }

  void take_packed(Side& side) {
    const int64_t capacity = panels_of(std::min(side.vectors.rows, chunk_)) * kernel_.width;
    side.unit = scratch_.take<float>(capacity * dim_);
    side.panels = scratch_.take<uint32_t>(capacity * n_units_);
    side.residuals = scratch_.take<float>(capacity);
  }

  void take_pending(Side& side) {
    side.pending = scratch_.take<Candidate>(std::min(side.vectors.rows, chunk_) * most_pending_);
  }

  void start_lists(Side& queries) {
    const int64_t n = args_.queries.rows;
    queries.lists = scratch_.take<ListState>(n);
    parallel_for(context_, n, 1024, [&](int64_t begin, int64_t end) {
      for (int64_t place = begin; place < end; ++place) {
        const int64_t q = queries.order[place];
        ListState& list = queries.lists[place];
        list = {least_, least_, 0, 0};
        while (args_.merge && list.n_best < k_ && args_.neighbours(q, list.n_best) >= 0) ++list.n_best;
        if (list.n_best == k_) raise(list, args_.scores(q, k_ - 1));
      }
    });
  }

  void raise(ListState& list, float worst_score) const {
    list.bound = std::max(least_, product_bound(worst_score, args_.scale));
  }

  /// How far the scan may be from the float product. |a b - a' b'| <= |a - a'| |b| + |a'| |b - b'|, and lengths are at
  /// most 1 + their residual.
  float slack(const Side& side, int64_t place) const {
    const float own = side.residuals[place], other = side.other->residual;
    return (own + other + own * other) * 1.001f + rounding_;
  }

  void start_meeting(Side& side, const Side& other) const {
    side.other = &other;
    parallel_for(context_, side.count, 4096, [&](int64_t begin, int64_t end) {
      for (int64_t place = begin; place < end; ++place) {
        ListState& list = side.lists[side.first + place];
        list.limit = list.bound - slack(side, place);
      }
    });
  }

  /// Removes the candidates that can no longer be among the k best. k products are at least the k-th best approximation
  /// less the slack; what is below that by another slack is less than all of these.
  void prune(const Side& side, int64_t place, int thread) const {
    ListState& list = side.lists[side.first + place];
    Candidate* pending = side.pending + place * most_pending_;
    const int64_t n = list.n_best + list.n_pending;
    if (n < k_) return;
    float* values = values_ + thread * (k_ + most_pending_);
    const float* scores = args_.scores.row(side.order[side.first + place]);
    for (int32_t r = 0; r < list.n_best; ++r) values[r] = product_bound(scores[r], args_.scale);
    for (int32_t r = 0; r < list.n_pending; ++r) values[list.n_best + r] = pending[r].product;
    const float error = slack(side, place);
    const float worst = nearly_kth_best(values, n, k_, list.limit, kMostProduct) - error;
    list.limit = std::max(list.limit, product_bound(cosine_score(worst, args_.scale), args_.scale) - error);
    int32_t n_kept = 0;
    for (int32_t r = 0; r < list.n_pending; ++r) {
      pending[n_kept] = pending[r];
      n_kept += pending[r].product >= list.limit;
    }
    list.n_pending = n_kept;
  }

  /// Candidates get their float products; the k best of them and of the list remain.
  void certify(const Side& side, int64_t place, int thread) {
    ListState& list = side.lists[side.first + place];
    if (list.n_pending == 0) return;
    const Candidate* pending = side.pending + place * most_pending_;
    ProductHit* hits = survivors_ + thread * most_pending_;
    for (int32_t r = 0; r < list.n_pending; ++r) hits[r] = {0, pending[r].place, pending[r].product};
    kernel_.rescore(side.unit + place * dim_, side.other->unit, dim_, hits, list.n_pending);
    const int64_t q = side.order[side.first + place];
    float* scores = args_.scores.row(q);
    int32_t* ids = args_.neighbours.row(q);
    uint64_t* keys = keys_ + thread * (k_ + most_pending_);
    int64_t n = 0;
    for (; n < list.n_best; ++n) keys[n] = to_key(scores[n], ids[n]);
    for (int32_t r = 0; r < list.n_pending; ++r) {
      const float score = cosine_score(hits[r].product, args_.scale);
      if (!(score > 0.0f && score >= args_.min_score)) continue;
      const int64_t item = side.other->order[side.other->first + hits[r].column];
      keys[n++] = to_key(score, static_cast<int32_t>(args_.first_item + item));
    }
    if (!kernel_.is_exact) n_rescored_.fetch_add(list.n_pending, std::memory_order_relaxed);
    if (n > k_) std::nth_element(keys, keys + k_ - 1, keys + n, std::greater<>());
    list.n_best = static_cast<int32_t>(std::min(n, k_));
    list.n_pending = 0;
    if (list.n_best == k_) raise(list, score_of(n > k_ ? keys[k_ - 1] : *std::min_element(keys, keys + k_)));
    list.limit = std::max(list.limit, list.bound - slack(side, place));
    for (int64_t r = 0; r < list.n_best; ++r) {
      scores[r] = score_of(keys[r]);
      ids[r] = id_of(keys[r]);
    }
  }

  /// After a meeting: lists without candidates.
  void settle(const Side& side) {
    parallel_for(context_, side.count, 256, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t place = begin; place < end; ++place) {
        prune(side, place, thread);
        certify(side, place, thread);
      }
    });
  }

  void finish(const Side& queries) {
    parallel_for(context_, args_.queries.rows, 256, [&](int64_t begin, int64_t end, int thread) {
      uint64_t* keys = keys_ + thread * (k_ + most_pending_);
      for (int64_t place = begin; place < end; ++place) {
        const int64_t q = queries.order[place];
        const int64_t n = queries.lists[place].n_best;
        for (int64_t r = 0; r < n; ++r) keys[r] = to_key(args_.scores(q, r), args_.neighbours(q, r));
        std::sort(keys, keys + n, std::greater<>());
        for (int64_t r = 0; r < k_; ++r) {
          args_.scores(q, r) = r < n ? score_of(keys[r]) : 0.0f;
          args_.neighbours(q, r) = r < n ? id_of(keys[r]) : -1;
        }
      }
    });
  }

  void pack(Side& side, int64_t first) {
    side.first = first;
    side.count = std::min(chunk_, side.vectors.rows - first);
    parallel_for(context_, side.count, block_, [&](int64_t begin, int64_t end) {
      const int64_t padded = panels_of(end) * kernel_.width;
      for (int64_t r = begin; r < end; ++r) {
        normalize_row(side.vectors.row(side.order[first + r]), dim_, side.unit + r * dim_);
      }
      std::fill(side.unit + end * dim_, side.unit + padded * dim_, 0.0f);
      kernel_.residuals(side.unit + begin * dim_, end - begin, dim_, side.residuals + begin);
      for (int64_t r = begin; r < end; r += kernel_.width) {
        kernel_.pack(side.unit + r * dim_, dim_, side.panels + r * n_units_);
      }
    });
    side.residual = *std::max_element(side.residuals, side.residuals + side.count);
  }

  // A tournament: in each round every block of the chunk meets another one.
  void meet_itself(Side& side) {
    start_meeting(side, side);
    const int64_t n = (side.count + block_ - 1) / block_;
    parallel_for(context_, n, 1, [&](int64_t b, int64_t, int thread) { scan<false>(side, b, side, b, thread); });
    const int64_t n_seats = n + n % 2;
    for (int64_t round = 0; round + 1 < n_seats; ++round) {
      check_interrupt("association");
      parallel_for(context_, n_seats / 2, 1, [&](int64_t table, int64_t, int thread) {
        // The last block stays, the others move on by one seat a round.
        const int64_t turn = n_seats - 1;
        const int64_t a = table == 0 ? turn : (round + table) % turn;
        const int64_t b = table == 0 ? round : (round + turn - table) % turn;
        if (std::max(a, b) < n) scan<true>(side, std::min(a, b), side, std::max(a, b), thread);
      });
    }
    settle(side);
  }

  // All blocks of one side with all of the other; no block twice in a round.
  void meet(Side& rows, Side& columns) {
    start_meeting(rows, columns);
    if (is_symmetric_) start_meeting(columns, rows);
    const int64_t n_rows = (rows.count + block_ - 1) / block_;
    const int64_t n_columns = (columns.count + block_ - 1) / block_;
    const int64_t n_rounds = std::max(n_rows, n_columns);
    for (int64_t round = 0; round < n_rounds; ++round) {
      check_interrupt("association");
      parallel_for(context_, std::min(n_rows, n_columns), 1, [&](int64_t pair, int64_t, int thread) {
        const int64_t row = n_rows <= n_columns ? pair : (pair + round) % n_rows;
        const int64_t column = n_rows <= n_columns ? (pair + round) % n_columns : pair;
        if (is_symmetric_) {
          scan<true>(rows, row, columns, column, thread);
        } else {
          scan<false>(rows, row, columns, column, thread);
        }
      });
    }
    settle(rows);
    if (is_symmetric_) settle(columns);
  }

  bool may_meet(const Side& rows, int64_t row, const Side& columns, int64_t column) const {
    if (args_.rule == CategoryRule::any) return true;
    const auto range = [&](const Side& side, int64_t block) {
      const int64_t first = side.first + block * block_;
      const int64_t last = std::min(first + block_, side.first + side.count) - 1;
      return std::pair{side.category(first), side.category(last)};
    };
    const auto [row_low, row_high] = range(rows, row);
    const auto [column_low, column_high] = range(columns, column);
    if (row_high < 0 || column_high < 0) return false;
    if (args_.rule == CategoryRule::same) return row_low <= column_high && column_low <= row_high;
    if (args_.rule == CategoryRule::different) {
      return !(row_low == row_high && column_low == column_high && row_low == column_low);
    }
    for (int32_t a = std::max(row_low, 0); a <= row_high; ++a) {
      for (int32_t b = std::max(column_low, 0); b <= column_high; ++b) {
        if (categories_meet(args_, a, b) || (is_symmetric_ && categories_meet(args_, b, a))) return true;
      }
    }
    return false;
  }

  void copy_limits(const Side& side, int64_t first, float* limits) const {
    const int64_t count = std::min(block_, side.count - first);
    for (int64_t r = 0; r < count; ++r) limits[r] = side.lists[side.first + first + r].limit;
    std::fill(limits + count, limits + block_, kNever);
  }

  /// A unit of work: two blocks of rows, counted in their chunks, and each row's current minimum score.
  struct Task {
    const Side& rows;
    const Side& columns;
    int64_t first_row, first_column;
    float* row_limits;     // [block]
    float* column_limits;  // [block]
    int thread;
  };

  template <bool kBothSides>
  void scan(const Side& rows, int64_t row, const Side& columns, int64_t column, int thread) {
    if (!may_meet(rows, row, columns, column)) return;
    float* const own = limits_ + int64_t{thread} * 2 * block_;
    const Task task{rows, columns, row * block_, column * block_, own, own + block_, thread};
    copy_limits(rows, task.first_row, task.row_limits);
    if (kBothSides) {
      copy_limits(columns, task.first_column, task.column_limits);
    } else {
      std::fill(task.column_limits, task.column_limits + block_, kNever);
    }
    const int64_t n_rows = std::min(block_, rows.count - task.first_row);
    const int64_t n_columns = std::min(block_, columns.count - task.first_column);
    const ScanSide row_side{rows.panels + task.first_row * n_units_, n_rows, task.row_limits};
    const ScanSide column_side{columns.panels + task.first_column * n_units_, n_columns, task.column_limits};
    scan_block(kernel_, n_units_, row_side, column_side, hits_ + thread * scan_hit_capacity(kernel_),
               [&](const ProductHit* hits, int64_t n_hits) { offer<kBothSides>(task, hits, n_hits); });
  }

  template <bool kBothSides>
  void offer(const Task& task, const ProductHit* hits, int64_t n_hits) {
    for (int64_t h = 0; h < n_hits; ++h) {
      const ProductHit& hit = hits[h];
      offer(task.rows, task.first_row + hit.row, task.columns, task.first_column + hit.column, hit.product,
            task.row_limits[hit.row], task.thread);
      if (kBothSides) {
        offer(task.columns, task.first_column + hit.column, task.rows, task.first_row + hit.row, hit.product,
              task.column_limits[hit.column], task.thread);
      }
    }
  }

  /// The item at a place of `others` to the list of the query at a place of `side`, whose limit may rise.
  void offer(const Side& side, int64_t place, const Side& others, int64_t other, float product, float& limit,
             int thread) {
    if (product < limit || other >= others.count) return;  // a panel's padding may reach a limit below 0
    if (!pair_allowed(args_, side.order[side.first + place], others.order[others.first + other])) return;
    ListState& list = side.lists[side.first + place];
    side.pending[place * most_pending_ + list.n_pending++] = {product, static_cast<int32_t>(other)};
    if (list.n_pending < most_pending_) return;
    prune(side, place, thread);
    if (list.n_pending > most_pending_ * 3 / 4) certify(side, place, thread);
    limit = list.limit;
  }

  Context& context_;
  const CosineTopkArgs& args_;
  ScratchScope scratch_;
  const ScanKernel& kernel_ = scan_kernel();
  int64_t dim_, k_, n_units_, most_pending_, block_, chunk_;
  bool is_symmetric_;
  float rounding_, least_;
  ProductHit* hits_ = nullptr;
  float* limits_ = nullptr;
  ProductHit* survivors_ = nullptr;
  float* values_ = nullptr;
  uint64_t* keys_ = nullptr;
  std::atomic<int64_t> n_rescored_{0};
};

}  // namespace

void cosine_topk(Context& context, const CosineTopkArgs& args) { CosineTopk(context, args).run(); }

}  // namespace sheaf::association::cpu
