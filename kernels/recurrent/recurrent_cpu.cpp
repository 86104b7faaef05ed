#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/core/blas_cpu.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/recurrent/recurrent_cell.hpp"

namespace sheaf::recurrent::cpu {
namespace {

// Sequences of a piece of work. Those of one step are the rows of one matrix product; their rows stay in the caches.
constexpr int64_t kTogether = 16;

struct CellMath {
  static float sigmoid(float x) { return vectorizable_sigmoid(x); }
  static float tanh(float x) { return vectorizable_tanh(x); }
};

/// First rows and lengths of the sequences that have rows, the longest first.
struct ByLength {
  explicit ByLength(VectorView<const int64_t> offsets) {
    std::vector<int64_t> which;
    for (int64_t s = 0; s + 1 < offsets.size; ++s) {
      if (offsets[s + 1] > offsets[s]) which.push_back(s);
    }
    std::ranges::stable_sort(which, std::ranges::greater{}, [&](int64_t s) { return offsets[s + 1] - offsets[s]; });
    for (const int64_t s : which) {
      first.push_back(offsets[s]);
      length.push_back(offsets[s + 1] - offsets[s]);
    }
  }
  int64_t n() const { return std::ssize(first); }

  std::vector<int64_t> first, length;
};

/// The sequences begin .. end - 1 of those; at step t the first `reaching(t)` of them have a row.
struct Together {
  const int64_t* first;
  const int64_t* length;
  int64_t n;

  int64_t longest() const { return length[0]; }
  int64_t reaching(int64_t t) const {
    int64_t count = n;
    while (count > 0 && length[count - 1] <= t) --count;
    return count;
  }
};

/// Calls work(sequences, thread) for all pieces of work.
template <class Work>
void for_each_piece(Context& context, const Shape& shape, const Work& work) {
  const ByLength all(shape.offsets);
  parallel_for(context, all.n(), kTogether, [&](int64_t begin, int64_t end, int thread) {
    work(Together{all.first.data() + begin, all.length.data() + begin, end - begin}, thread);
  });
}

/// Room of `cols` floats for each sequence of a piece, one for each thread.
class Rows {
 public:
  Rows(Context& context, ScratchScope& scratch, int64_t cols)
      : cols_(cols), data_(scratch.take<float>(context.n_threads() * kTogether * cols)) {}
  float* of(int thread) const { return data_ + thread * kTogether * cols_; }

 private:
  int64_t cols_;
  float* data_;
};

void gru_row(const float* x, const float* u, int64_t dim, float* state, float* kept, float* out) {
#pragma omp simd
  for (int64_t j = 0; j < dim; ++j) {
    const float q = u[2 * dim + j];
    const GruElement e = gru_element<CellMath>(x[j], x[dim + j], x[2 * dim + j], u[j], u[dim + j], q, state[j]);
    kept[j] = e.r;
    kept[dim + j] = e.z;
    kept[2 * dim + j] = e.n;
    kept[3 * dim + j] = q;
    out[j] = state[j] = e.h;
  }
}

void lstm_row(const float* sums, int64_t dim, float* cell, float* state, float* kept, float* out) {
#pragma omp simd
  for (int64_t j = 0; j < dim; ++j) {
    const LstmElement e = lstm_element<CellMath>(sums[j], sums[dim + j], sums[2 * dim + j], sums[3 * dim + j], cell[j]);
    kept[j] = e.i;
    kept[dim + j] = e.f;
    kept[2 * dim + j] = e.g;
    kept[3 * dim + j] = e.o;
    kept[4 * dim + j] = cell[j] = e.c;
    out[j] = state[j] = e.h;
  }
}

/// D and the gradient of x; d_state becomes what reaches the row before beside U. `before`: h of the row before.
void gru_gradient_row(const float* kept, const float* before, int64_t dim, float* d_state, float* d_x, float* d) {
#pragma omp simd
  for (int64_t j = 0; j < dim; ++j) {
    const GruGradient g =
        gru_gradient(kept[j], kept[dim + j], kept[2 * dim + j], kept[3 * dim + j], before[j], d_state[j]);
    d_x[j] = d[j] = g.r;
    d_x[dim + j] = d[dim + j] = g.z;
    d_x[2 * dim + j] = g.n;
    d[2 * dim + j] = g.q;
    d_state[j] = g.before;
  }
}

/// The same; `before`: c of the row before, d_cell the gradient of c.
void lstm_gradient_row(const float* kept, const float* before, int64_t dim, float* d_state, float* d_cell, float* d_x) {
#pragma omp simd
  for (int64_t j = 0; j < dim; ++j) {
    const LstmGradient g = lstm_gradient<CellMath>(kept[j], kept[dim + j], kept[2 * dim + j], kept[3 * dim + j],
                                                   kept[4 * dim + j], before[j], d_state[j], d_cell[j]);
    d_x[j] = g.i;
    d_x[dim + j] = g.f;
    d_x[2 * dim + j] = g.g;
    d_x[3 * dim + j] = g.o;
    d_cell[j] = g.before;
    d_state[j] = 0.0f;
  }
}

}  // namespace

void recurrent(Context& context, const RecurrentArgs& args) {
  sheaf::cpu::reserve_gemm(context);
  const bool gru = args.shape.cell == Cell::gru;
  const int64_t dim = args.out.cols, gates = args.x.cols;
  ScratchScope scratch(context);
  const Rows states(context, scratch, dim), cells(context, scratch, gru ? 0 : dim), sums(context, scratch, gates);
  for_each_piece(context, args.shape, [&](const Together& sequences, int thread) {
    float *state = states.of(thread), *cell = cells.of(thread), *sum = sums.of(thread);
    std::fill_n(state, kTogether * dim, 0.0f);
    if (!gru) std::fill_n(cell, kTogether * dim, 0.0f);
    for (int64_t t = 0; t < sequences.longest(); ++t) {
      const int64_t n = sequences.reaching(t);
      for (int64_t s = 0; s < n; ++s) {
        float* row = sum + s * gates;
        if (gru) {  // the products with U stay apart from x
          std::fill_n(row, 2 * dim, 0.0f);
          std::copy_n(args.bias.data, dim, row + 2 * dim);
        } else {
          std::copy_n(args.x.row(sequences.first[s] + t), gates, row);
        }
      }
      if (t > 0) {
        sheaf::cpu::gemm({n, gates, dim, state, dim, false, args.weight.data, dim, true, 1.0f, sum, gates});
      }
      for (int64_t s = 0; s < n; ++s) {
        const int64_t r = sequences.first[s] + t;
        if (gru) {
          gru_row(args.x.row(r), sum + s * gates, dim, state + s * dim, args.kept.row(r), args.out.row(r));
        } else {
          lstm_row(sum + s * gates, dim, cell + s * dim, state + s * dim, args.kept.row(r), args.out.row(r));
        }
      }
    }
  });
}

void recurrent_backward(Context& context, const RecurrentBackwardArgs& args) {
  sheaf::cpu::reserve_gemm(context);
  const bool gru = args.shape.cell == Cell::gru;
  const int64_t n_rows = args.out.rows, dim = args.out.cols, gates = args.d_x.cols;
  ScratchScope scratch(context);
  const Rows d_states(context, scratch, dim), d_cells(context, scratch, gru ? 0 : dim), ds(context, scratch, gates);
  float* before = scratch.take<float>(n_rows * dim);                         // h of the row before, of all rows
  float* all_d = gru ? scratch.take<float>(n_rows * gates) : args.d_x.data;  // D of all rows
  const std::vector<float> zeros(static_cast<size_t>(dim), 0.0f);
  for_each_piece(context, args.shape, [&](const Together& sequences, int thread) {
    float *d_state = d_states.of(thread), *d_cell = d_cells.of(thread), *d = ds.of(thread);
    std::fill_n(d_state, kTogether * dim, 0.0f);
    if (!gru) std::fill_n(d_cell, kTogether * dim, 0.0f);
    for (int64_t t = sequences.longest() - 1; t >= 0; --t) {
      const int64_t n = sequences.reaching(t);
      for (int64_t s = 0; s < n; ++s) {
        const int64_t r = sequences.first[s] + t;
        const float* h = t > 0 ? args.out.row(r - 1) : zeros.data();
        std::copy_n(h, dim, before + r * dim);
        axpy(1.0f, args.d_out.row(r), d_state + s * dim, dim);
        if (gru) {
          gru_gradient_row(args.kept.row(r), h, dim, d_state + s * dim, args.d_x.row(r), d + s * gates);
        } else {
          const float* c = t > 0 ? args.kept.row(r - 1) + 4 * dim : zeros.data();
          lstm_gradient_row(args.kept.row(r), c, dim, d_state + s * dim, d_cell + s * dim, d + s * gates);
        }
        std::copy_n(d + s * gates, gates, all_d + r * gates);
      }
      if (t > 0) {
        sheaf::cpu::gemm({n, dim, gates, d, gates, false, args.weight.data, dim, false, 1.0f, d_state, dim});
      }
    }
  });
  float* sums = scratch.take<float>(gates);
  sheaf::cpu::row_products(context, {gates, dim, n_rows, all_d, before, args.d_weight.data, sums, kRecurrentPiece});
  std::copy_n(sums + 2 * dim, args.d_bias.size, args.d_bias.data);
}

}  // namespace sheaf::recurrent::cpu
