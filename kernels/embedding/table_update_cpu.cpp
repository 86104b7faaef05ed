#include <algorithm>

#include "kernels/core/parallel.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/embedding/row_step.hpp"

namespace sheaf::embedding::cpu {
namespace {

const float* gradient_at(const RowStep& step, const SortedEntries& sorted, int64_t i) {
  return step.args.grad.row(sorted.bags[sorted.entries[i]]);
}

// What is smaller is in the cache anyway, and to ask for it costs more than to read it.
constexpr int64_t kNearBytes = int64_t{1} << 20;

void prefetch_gradient(const RowStep& step, const SortedEntries& sorted, int64_t i) {
  constexpr int64_t kAhead = 8;
  if (i + kAhead >= sorted.rows.size) return;
  const float* next = gradient_at(step, sorted, i + kAhead);
  for (int64_t c = 0; c < step.args.tables.dim; c += 16) __builtin_prefetch(next + c);
}

// Sums without weights. One entry needs none; its gradient is the sum.
inline const float* plain_segment(const RowStep& step, const SortedEntries& sorted, int64_t begin, int64_t end,
                                  bool is_far, float* __restrict sum) {
  const int64_t dim = step.args.tables.dim;
  if (is_far) {
    for (int64_t i = begin; i < end; ++i) prefetch_gradient(step, sorted, i);
  }
  const float* __restrict first = gradient_at(step, sorted, begin);
  if (end == begin + 1) return first;
  const float* __restrict second = gradient_at(step, sorted, begin + 1);
#pragma omp simd
  for (int64_t c = 0; c < dim; ++c) sum[c] = first[c] + second[c];
  for (int64_t i = begin + 2; i < end; ++i) {
    const float* __restrict grad = gradient_at(step, sorted, i);
#pragma omp simd
    for (int64_t c = 0; c < dim; ++c) sum[c] += grad[c];
  }
  return sum;
}

void sum_segment(const RowStep& step, const SortedEntries& sorted, int64_t begin, int64_t end, float* sum) {
  const int64_t dim = step.args.tables.dim;
  std::fill_n(sum, dim, 0.0f);
  for (int64_t i = begin; i < end; ++i) {
    prefetch_gradient(step, sorted, i);
    const int64_t slot = sorted.entries[i];
    const int64_t b = sorted.bags[slot];
    const float* grad = step.args.grad.row(b);
    if (step.args.pooling == Pooling::max) {
      const int32_t place = slot_place(step.args.bags, b, slot);
      const int32_t* winners = step.args.winners.row(b);
      for (int64_t c = 0; c < dim; ++c) sum[c] += winners[c] == place ? grad[c] : 0.0f;
    } else {
      axpy(slot_weight(step.args, b, slot), grad, sum, dim);
    }
  }
}

// Tables of width 1, such as biases: the loops over columns would cost more than what they do.
float scalar_sum(const RowStep& step, const SortedEntries& sorted, int64_t begin, int64_t end) {
  float sum = 0.0f;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t slot = sorted.entries[i];
    const int64_t b = sorted.bags[slot];
    if (step.args.pooling == Pooling::max) {
      sum += step.args.winners.data[b] == slot_place(step.args.bags, b, slot) ? step.args.grad.data[b] : 0.0f;
    } else {
      sum += slot_weight(step.args, b, slot) * step.args.grad.data[b];
    }
  }
  return sum;
}

template <class T>
void step_scalar(const RowStep& step, int64_t r, float sum) {
  float scale = 0.0f;
  if (step.args.optimizer == Optimizer::rowwise_adagrad) {
    const float g = sum + step.args.params.weight_decay * to_float(*step.row<T>(r));
    float state = 0.0f;
    scale = step.adagrad_scale(r, g * g, &state);
    step.args.state1[r] = state;
  }
  step.element<T>(r, 0, sum, scale);
}

constexpr int64_t kChunks = 64, kLeastGrain = 64;  // sorted places
constexpr int64_t kPiece = 64;  // columns that a narrow row is stepped by; a multiple of 4, Philox's draws

template <Optimizer kOptimizer>
void step_one_state(const RowStep& step, int64_t at, int64_t n, const float* __restrict sum, float* __restrict p) {
  const OptimizerParams o = step.args.params;  // in registers: what the loop stores cannot change it
  float* __restrict state = step.args.state1 + at;
#pragma omp simd
  for (int64_t c = 0; c < n; ++c) one_state_step<kOptimizer>(o, sum[c], p[c], state[c]);
}

// The optimizer's choice stands outside the loops over the columns, so that each of them vectorises.
void step_values(const RowStep& step, int64_t at, int64_t n, const float* __restrict sum, float scale,
                 float* __restrict p) {
  const OptimizerParams& o = step.args.params;
  switch (step.args.optimizer) {
    case Optimizer::sgd:
#pragma omp simd
      for (int64_t c = 0; c < n; ++c) p[c] -= o.learning_rate * (sum[c] + o.weight_decay * p[c]);
      break;
    case Optimizer::rowwise_adagrad:
#pragma omp simd
      for (int64_t c = 0; c < n; ++c) p[c] -= scale * (sum[c] + o.weight_decay * p[c]);
      break;
    case Optimizer::adam: {
      float* __restrict m = step.args.state1 + at;
      float* __restrict v = step.args.state2 + at;
      const AdamStep& adam = step.adam;
#pragma omp simd
      for (int64_t c = 0; c < n; ++c) adam.apply(sum[c], p[c], m[c], v[c]);
      break;
    }
    case Optimizer::rmsprop: return step_one_state<Optimizer::rmsprop>(step, at, n, sum, p);
    case Optimizer::adagrad: return step_one_state<Optimizer::adagrad>(step, at, n, sum, p);
    case Optimizer::momentum: return step_one_state<Optimizer::momentum>(step, at, n, sum, p);
  }
}

template <class T>
void step_row(const RowStep& step, int64_t r, const float* sum) {
  const int64_t dim = step.args.tables.dim;
  T* row = step.row<T>(r);
  float scale = 0.0f;
  if (step.args.optimizer == Optimizer::rowwise_adagrad) {
    const float decay = step.args.params.weight_decay;
    float squares = 0.0f;
#pragma omp simd reduction(+ : squares)
    for (int64_t c = 0; c < dim; ++c) {
      const float g = sum[c] + decay * to_float(row[c]);
      squares += g * g;
    }
    float state = 0.0f;
    scale = step.adagrad_scale(r, squares, &state);
    step.args.state1[r] = state;
  }
  if constexpr (std::is_same_v<T, float>) {
    step_values(step, r * dim, dim, sum, scale, row);
  } else {
    float values[kPiece];
    uint32_t draws[kPiece];
    for (int64_t from = 0; from < dim; from += kPiece) {
      const int64_t n = std::min(kPiece, dim - from);
      for (int64_t c = 0; c < n; ++c) values[c] = to_float(row[from + c]);
      step_values(step, r * dim + from, n, sum + from, scale, values);
      if (!step.args.stochastic_rounding) {
        for (int64_t c = 0; c < n; ++c) row[from + c] = nearest<T>(values[c]);
        continue;
      }
#pragma omp simd
      for (int64_t block = 0; block < kPiece / 4; ++block) {
        const Random4 drawn = random4(step.key, static_cast<uint64_t>(r), static_cast<uint32_t>(from / 4 + block));
        for (int i = 0; i < 4; ++i) draws[4 * block + i] = drawn.v[i];
      }
      for (int64_t c = 0; c < n; ++c) row[from + c] = stochastic<T>(values[c], draws[c]);
    }
  }
}

}  // namespace

void table_update(Context& context, const TableUpdateArgs& args) {
  const RowStep step(context, args);
  const int64_t dim = args.tables.dim;
  ScratchScope scratch(context);
  SortedEntries sorted = args.sorted;
  if (sorted.rows.empty()) {
    const EntriesByRow<uint32_t, int32_t> own = take_entries(scratch, n_slots(args.bags));
    table_sort(context, {args.tables, args.bags, args.fault, own});
    sorted = {own.rows, own.entries, own.bags};
  }
  // What is out of range or past its bag's end lies last.
  const int64_t n = std::lower_bound(sorted.rows.begin(), sorted.rows.end(), args.tables.n_rows) - sorted.rows.begin();
  if (n == 0) return;
  sorted.rows.size = n;

  // Segments that share their row with a neighbour leave their sum; the others step their row at once. A chunk has the
  // segments that begin in it: few places where there are few, so that all threads have work.
  const int64_t n_tiles = (n + kSegment - 1) / kSegment;
  const int64_t grain = std::clamp<int64_t>(n / kChunks, kLeastGrain, kSegment);
  float* heads = scratch.take<float>(n_tiles * dim);  // of the row that came from the tile before
  float* tails = scratch.take<float>(n_tiles * dim);  // of the row that begins here and goes on
  float* sums = scratch.take<float>(dim * context.n_threads());
  const bool is_plain = args.pooling == Pooling::sum && !args.bags.weights;
  const bool is_grad_far = args.grad.size() * int64_t{sizeof(float)} > kNearBytes;
  const bool is_far = dim > 1 && args.tables.n_rows * dim * bytes_of(args.tables.type) > kNearBytes;
  const bool has_state1 = states_of(args.optimizer) > 0, has_state2 = states_of(args.optimizer) > 1;
  const auto with_type = [&](const auto& use) {
    with_element(args.tables.type, [&]<class T>(T element) {
      if constexpr (!std::is_same_v<T, int8_t>) use(element);
    });
  };
  with_type([&]<class T>(T) {
    parallel_for(context, n, grain, [&](int64_t first, int64_t last, int thread) {
      int64_t begin = first;
      while (begin < last && begin % kSegment != 0 && sorted.rows[begin - 1] == sorted.rows[begin]) ++begin;
      for (int64_t end; begin < last; begin = end) {
        const uint32_t row = sorted.rows[begin];
        const int64_t tile = begin / kSegment;
        const int64_t tile_end = std::min(n, (tile + 1) * kSegment);
        end = begin + 1;
        while (end < tile_end && sorted.rows[end] == row) ++end;
        if (is_far && end + 4 < n) {
          const auto ahead = static_cast<int64_t>(sorted.rows[end + 4]);
          const T* next = step.row<T>(ahead);
          for (int64_t c = 0; c < dim; c += 16) {
            __builtin_prefetch(next + c, 1);
            if (has_state1) __builtin_prefetch(args.state1 + ahead * dim + c, 1);
            if (has_state2) __builtin_prefetch(args.state2 + ahead * dim + c, 1);
          }
        }
        const bool from_before = begin > 0 && sorted.rows[begin - 1] == row;
        const bool goes_on = end < n && sorted.rows[end] == row;
        const bool is_whole = !from_before && !goes_on;
        if (is_whole && dim == 1) {
          step_scalar<T>(step, row, scalar_sum(step, sorted, begin, end));
        } else if (is_whole && is_plain) {
          step_row<T>(step, row, plain_segment(step, sorted, begin, end, is_grad_far, sums + thread * dim));
        } else {
          float* sum = from_before ? heads + tile * dim : goes_on ? tails + tile * dim : sums + thread * dim;
          sum_segment(step, sorted, begin, end, sum);
          if (is_whole) step_row<T>(step, row, sum);
        }
      }
    });
    parallel_for(context, n_tiles - 1, 1, [&](int64_t tile, int64_t) {
      const int64_t border = (tile + 1) * kSegment;
      const uint32_t row = sorted.rows[border - 1];
      const bool began_here = tile == 0 || sorted.rows[tile * kSegment - 1] != row;
      if (sorted.rows[border] != row || !began_here) return;
      float* sum = tails + tile * dim;
      for (int64_t t = tile + 1; t < n_tiles && sorted.rows[t * kSegment] == row; ++t) {
        axpy(1.0f, heads + t * dim, sum, dim);
      }
      step_row<T>(step, row, sum);
    });
  });
}

}  // namespace sheaf::embedding::cpu
