#pragma once
/// One recurrent layer over packed sequences, forward and backward. x holds W a + b for the inputs a of all rows, which
/// dense/linear computes at once; this op adds what comes from the row before. For sequence s with rows [offsets[s],
/// offsets[s + 1]), in their order, from h = 0 and c = 0, with u = U h of the row before, * by element, and
/// sigma(v) = 1 / (1 + e^-v):
///
///   gru (Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014):
///     r = sigma(x_r + u_r);   z = sigma(x_z + u_z);   q = u_n + b;   n = tanh(x_n + r * q)
///     h = (1 - z) * n + z * (h of the row before)
///   lstm (Hochreiter and Schmidhuber, "Long short-term memory", 1997; forget gate: Gers et al., 2000):
///     i = sigma(x_i + u_i);   f = sigma(x_f + u_f);   g = tanh(x_g + u_g);   o = sigma(x_o + u_o)
///     c = f * (c of the row before) + i * g;   h = o * tanh(c)
///
/// The gates stand beside each other in the columns of x and below each other in U, in the order r, z, n or i, f, g, o.
/// The reset gate is multiplied with the product U_n h + b, as cuDNN has it, and not with h: all of U h is one product.
///
/// Gradients of sum(d_out * out) by backpropagation through time (Werbos, 1990), with D the gradient of u:
///   d_x, which is D but for x_n of the gru, where D = r * d_x_n
///   d_weight = sum over rows of D (h of the row before)^T;   d_bias = sum over rows of D_n       (all overwritten)
///
/// Deterministic, the same bits on any number of CPU threads. NaN and infinity in a row of x spread to the later rows
/// of its sequence, and in the backward pass from a row to the earlier ones and to d_weight and d_bias; never to
/// another sequence. sigma and tanh err by at most 3 units in the last place.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::recurrent {

enum class Cell { gru, lstm };

/// Blocks of dim columns in x.
constexpr int64_t n_gates(Cell cell) { return cell == Cell::gru ? 3 : 4; }
/// Blocks of dim columns that the forward pass leaves for the backward pass: r, z, n, q and i, f, g, o, c.
constexpr int64_t n_kept(Cell cell) { return cell == Cell::gru ? 4 : 5; }

/// Packed sequences: rows of any number of them, one after another.
struct Shape {
  Cell cell = Cell::gru;
  VectorView<const int64_t> offsets = {};  // [n_sequences + 1] ascending from 0 to the number of rows; on the device
  /// [n_sequences] a permutation, on the device: which sequences a GPU works on together. The longest first is fast.
  /// Empty: as they are. The CPU sorts them by itself.
  VectorView<const int32_t> order = {};
};

struct RecurrentArgs {
  Shape shape;
  MatrixView<const float> x;       // [n, n_gates dim] f32
  MatrixView<const float> weight;  // U, [n_gates dim, dim] f32
  VectorView<const float> bias;    // b, [dim] f32; empty for an lstm
  MatrixView<float> kept;          // [n, n_kept dim] f32
  MatrixView<float> out;           // h of all rows, [n, dim] f32; outputs must not alias anything
};

struct RecurrentBackwardArgs {
  Shape shape;
  MatrixView<const float> weight;  // U, [n_gates dim, dim] f32
  MatrixView<const float> kept;    // [n, n_kept dim] f32, of the forward pass
  MatrixView<const float> out;     // [n, dim] f32, of the forward pass
  MatrixView<const float> d_out;   // [n, dim] f32
  MatrixView<float> d_x;           // [n, n_gates dim] f32
  MatrixView<float> d_weight;      // [n_gates dim, dim] f32
  VectorView<float> d_bias;        // [dim] f32; empty for an lstm
};

/// Rows whose terms of d_weight and d_bias are added in one go. The sums of such pieces are added in order.
inline constexpr int64_t kRecurrentPiece = 1024;

/// UsageError for shapes that do not fit each other. Sequences without rows, and no sequence at all, are allowed.
void recurrent(Context& context, const RecurrentArgs& args);
void recurrent_backward(Context& context, const RecurrentBackwardArgs& args);

OpCost recurrent_cost(const RecurrentArgs& args);
OpCost recurrent_backward_cost(const RecurrentBackwardArgs& args);

SHEAF_BACKENDS(recurrent, RecurrentArgs);
SHEAF_BACKENDS(recurrent_backward, RecurrentBackwardArgs);

}  // namespace sheaf::recurrent
