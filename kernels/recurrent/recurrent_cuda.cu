#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/row_products.cuh"
#include "kernels/core/math.hpp"
#include "kernels/recurrent/recurrent_cell.hpp"

namespace sheaf::recurrent::cuda {
namespace {

constexpr int kSequences = 4;  // of a block
constexpr int kUnits = 64;     // elements of a state that a block works on at once
constexpr int kBlock = kSequences * kUnits;
static_assert(kBlock >= n_gates(Cell::lstm) * kUnits);

struct CellMath {
  SHEAF_HD static float sigmoid(float x) { return sheaf::sigmoid(x); }
  SHEAF_HD static float tanh(float x) { return tanhf(x); }
};

/// The sequences of a block: their first rows and lengths. All threads call it.
struct BlockRows {
  int64_t first[kSequences], length[kSequences], longest;

  __device__ void find(const Shape& shape) {
    if (threadIdx.x == 0) {
      longest = 0;
      for (int s = 0; s < kSequences; ++s) {
        const int64_t at = static_cast<int64_t>(blockIdx.x) * kSequences + s;
        length[s] = 0;
        first[s] = 0;
        if (at + 1 >= shape.offsets.size) continue;
        const int64_t sequence = shape.order.size > 0 ? shape.order[at] : at;
        first[s] = shape.offsets[sequence];
        length[s] = shape.offsets[sequence + 1] - first[s];
        longest = length[s] > longest ? length[s] : longest;
      }
    }
    __syncthreads();
  }
};

__global__ void transpose_kernel(MatrixView<const float> from, float* to) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i < from.size()) to[i] = from(i % from.rows, i / from.rows);
}

/// A thread computes one gate of one element for all sequences of the block from U^T, then the cell of one element of
/// one sequence. `transposed`: [dim, gates].
template <Cell kCell>
__global__ void __launch_bounds__(kBlock) recurrent_kernel(RecurrentArgs args, const float* transposed) {
  constexpr int kGates = static_cast<int>(n_gates(kCell));
  __shared__ BlockRows rows;
  __shared__ __align__(16) float states[kUnits][kSequences];
  __shared__ float sums[kSequences][kGates][kUnits];
  rows.find(args.shape);
  const int lane = static_cast<int>(threadIdx.x) % kUnits;
  const int part = static_cast<int>(threadIdx.x) / kUnits;  // the gate, and the sequence
  const int64_t dim = args.out.cols;
  for (int64_t t = 0; t < rows.longest; ++t) {
    const bool has_row = t < rows.length[part];
    const int64_t r = rows.first[part] + t;
    for (int64_t first = 0; first < dim; first += kUnits) {
      const int64_t unit = first + lane;
      float own[kSequences] = {};
      for (int64_t k = 0; t > 0 && k < dim; k += kUnits) {
        states[lane][part] = has_row && k + lane < dim ? args.out(r - 1, k + lane) : 0.0f;
        __syncthreads();
        if (part < kGates && unit < dim) {
          const float* column = transposed + k * kGates * dim + part * dim + unit;
          const int n = dim - k < kUnits ? static_cast<int>(dim - k) : kUnits;
          for (int i = 0; i < n; ++i) {
            const float weight = column[i * kGates * dim];
            const float4 h = *reinterpret_cast<const float4*>(states[i]);
            own[0] += weight * h.x;
            own[1] += weight * h.y;
            own[2] += weight * h.z;
            own[3] += weight * h.w;
          }
        }
        __syncthreads();
      }
      if (part < kGates) {
        for (int s = 0; s < kSequences; ++s) sums[s][part][lane] = own[s];
      }
      __syncthreads();
      if (has_row && unit < dim) {
        const auto u = [&](int gate) { return sums[part][gate][lane]; };
        const float* x = args.x.row(r) + unit;
        float* kept = args.kept.row(r) + unit;
        if constexpr (kCell == Cell::gru) {
          const float before = t > 0 ? args.out(r - 1, unit) : 0.0f;
          const float q = u(2) + args.bias[unit];
          const GruElement e = gru_element<CellMath>(x[0], x[dim], x[2 * dim], u(0), u(1), q, before);
          kept[0] = e.r;
          kept[dim] = e.z;
          kept[2 * dim] = e.n;
          kept[3 * dim] = q;
          args.out(r, unit) = e.h;
        } else {
          const float before = t > 0 ? args.kept(r - 1, 4 * dim + unit) : 0.0f;
          const LstmElement e =
              lstm_element<CellMath>(x[0] + u(0), x[dim] + u(1), x[2 * dim] + u(2), x[3 * dim] + u(3), before);
          kept[0] = e.i;
          kept[dim] = e.f;
          kept[2 * dim] = e.g;
          kept[3 * dim] = e.o;
          kept[4 * dim] = e.c;
          args.out(r, unit) = e.h;
        }
      }
      __syncthreads();  // `sums` is free, and the row's h is there for all
    }
  }
}

/// A thread computes one element of one sequence. d_states and d_cells [n_sequences, dim] in the order of the blocks:
/// what the row after gives to h and c. `before` [n, dim]: h of the row before. `d` [n, gates]: D; for an lstm d_x.
template <Cell kCell>
__global__ void __launch_bounds__(kBlock)
    recurrent_gradient_kernel(RecurrentBackwardArgs args, float* d_states, float* d_cells, float* before, float* d) {
  __shared__ BlockRows rows;
  __shared__ float products[kSequences][kUnits];
  rows.find(args.shape);
  const int lane = static_cast<int>(threadIdx.x) % kUnits;
  const int part = static_cast<int>(threadIdx.x) / kUnits;  // the sequence
  const int64_t dim = args.out.cols, gates = args.d_x.cols;
  const int64_t place = (static_cast<int64_t>(blockIdx.x) * kSequences + part) * dim;
  for (int64_t t = rows.longest - 1; t >= 0; --t) {
    const bool has_row = t < rows.length[part], is_last = t + 1 == rows.length[part];
    const int64_t r = rows.first[part] + t;
    for (int64_t unit = lane; has_row && unit < dim; unit += kUnits) {
      const float h = t > 0 ? args.out(r - 1, unit) : 0.0f;
      const float d_h = args.d_out(r, unit) + (is_last ? 0.0f : d_states[place + unit]);
      const float* kept = args.kept.row(r) + unit;
      float* d_x = args.d_x.row(r) + unit;
      before[r * dim + unit] = h;
      if constexpr (kCell == Cell::gru) {
        const GruGradient g = gru_gradient(kept[0], kept[dim], kept[2 * dim], kept[3 * dim], h, d_h);
        float* own = d + r * gates + unit;
        d_x[0] = own[0] = g.r;
        d_x[dim] = own[dim] = g.z;
        d_x[2 * dim] = g.n;
        own[2 * dim] = g.q;
        d_states[place + unit] = g.before;
      } else {
        const float c = t > 0 ? args.kept(r - 1, 4 * dim + unit) : 0.0f;
        const float d_c = is_last ? 0.0f : d_cells[place + unit];
        const LstmGradient g =
            lstm_gradient<CellMath>(kept[0], kept[dim], kept[2 * dim], kept[3 * dim], kept[4 * dim], c, d_h, d_c);
        d_x[0] = g.i;
        d_x[dim] = g.f;
        d_x[2 * dim] = g.g;
        d_x[3 * dim] = g.o;
        d_cells[place + unit] = g.before;
        d_states[place + unit] = 0.0f;
      }
    }
    __syncthreads();  // D of the row is there for all
    for (int64_t first = 0; t > 0 && first < dim; first += kUnits) {
      const int64_t unit = first + lane;
      float sum = 0.0f;
      for (int64_t k = 0; k < gates; k += kUnits) {
        products[part][lane] = has_row && k + lane < gates ? d[r * gates + k + lane] : 0.0f;
        __syncthreads();
        if (unit < dim) {
          const float* column = args.weight.row(k) + unit;
          const int n = gates - k < kUnits ? static_cast<int>(gates - k) : kUnits;
          for (int i = 0; i < n; ++i) sum += column[i * dim] * products[part][i];
        }
        __syncthreads();
      }
      if (has_row && unit < dim) d_states[place + unit] += sum;
    }
  }
}

unsigned n_blocks(const Shape& shape) { return blocks_for(shape.offsets.size - 1, kSequences); }

}  // namespace

void recurrent(Context& context, const RecurrentArgs& args) {
  ScratchScope scratch(context);
  float* transposed = scratch.take<float>(args.weight.size());
  launch(transpose_kernel, blocks_for(args.weight.size(), kBlock), kBlock, 0, context, args.weight, transposed);
  launch(args.shape.cell == Cell::gru ? recurrent_kernel<Cell::gru> : recurrent_kernel<Cell::lstm>,
         n_blocks(args.shape), kBlock, 0, context, args, static_cast<const float*>(transposed));
}

void recurrent_backward(Context& context, const RecurrentBackwardArgs& args) {
  const bool gru = args.shape.cell == Cell::gru;
  const int64_t n_rows = args.out.rows, dim = args.out.cols, gates = args.d_x.cols;
  const int64_t n_places = static_cast<int64_t>(n_blocks(args.shape)) * kSequences;
  ScratchScope scratch(context);
  float* d_states = scratch.take<float>(n_places * dim);
  float* d_cells = scratch.take<float>(gru ? 0 : n_places * dim);
  float* before = scratch.take<float>(n_rows * dim);
  float* d = gru ? scratch.take<float>(n_rows * gates) : args.d_x.data;
  float* sums = scratch.take<float>(gates);
  launch(gru ? recurrent_gradient_kernel<Cell::gru> : recurrent_gradient_kernel<Cell::lstm>, n_blocks(args.shape),
         kBlock, 0, context, args, d_states, d_cells, before, d);
  row_products(context, {gates, dim, n_rows, d, before, args.d_weight.data, sums, kRecurrentPiece});
  if (gru) context.copy(args.d_bias.data, sums + 2 * dim, static_cast<size_t>(dim) * sizeof(float));
}

}  // namespace sheaf::recurrent::cuda
