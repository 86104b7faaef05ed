#pragma once
/// Softmax attention of packed sequences of different lengths (Vaswani et al., 2017), forward and backward; no matrix
/// of length x length is stored, and no padding computed. For sequence s with tokens [offsets[s], offsets[s + 1]) and
/// query head h, whose keys and values are those of head h / (n_heads / n_kv_heads), over tokens i and j counted from
/// the sequence's first:
///
///   x[i, j] = scale * q[i, h] . k[j, kv] + relative_bias[h, clamp(i - j, -r, r) + r]
///   r = (columns of relative_bias - 1) / 2
///   p[i, :] = softmax of x[i, :] over the j that i sees: j <= i when causal, and key_keep[j] != 0
///   out[i, h] = sum over j of keep(i, j) * p[i, j] * v[j, kv];
///   log_sum_exp[i, h] = log of sum over j of exp(x[i, j])
///
/// A row that sees no key gives out = 0 and log_sum_exp = -infinity, and its gradients are 0.
///
/// Dropout: keep(i, j) is 1 / kept with probability `kept`, else 0; kept = 1 - round(256 rate) / 256. It is decided by
/// byte j % 16 of the Philox block (key; row = ((first_sequence + s) * n_heads + h) * 2^20 + i, block = j / 16): the
/// same forward and backward, on every backend, for any tile and any split of a batch.
///
/// Gradients of sum(d_out * out), with P' = keep * p and delta[i] = d_out[i, h] . out[i, h]:
///   d_x[i, j] = p[i, j] * (keep(i, j) * d_out[i, h] . v[j, kv] - delta[i])
///   d_q[i, h] = scale * sum_j d_x[i, j] k[j, kv];
///   d_k[j, kv] = scale * sum over i and the heads of kv of d_x[i, j] q[i, h]
///   d_v[j, kv] = the same sum of P'[i, j] d_out[i, h];
///   d_relative_bias[h, c] = sum of d_x over the (s, i, j) that read it
///
/// Inputs and outputs all have one type: float, f16 or bf16. Products are added in float. On tensor cores, for 16-bit
/// elements, and for float with allow_tf32, p and d_x are rounded to the type of the products. Float without allow_tf32
/// is made of three products of tf32 (2^-22).
/// Deterministic: the same bits on every run, and on the CPU for any number of threads.
/// NaN and infinity may spread to all rows of their sequence and head, never to others. A hidden key spreads nothing.
/// Outputs must not alias inputs. dim is 1 to 128, and a sequence is at most 2^20 tokens long.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/half.hpp"
#include "kernels/core/philox.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::attention {

inline constexpr int64_t kMaxDim = 128;
inline constexpr int kReachRows = 16;  // the unit of Shape::reaching

/// Element (token, head, c) is data[token * stride + head * dim + c]. So the parts of one projection can be read in
/// place.
template <class Data>  // const void or void
struct Heads {
  Data* data = nullptr;
  int64_t n_heads = 0;
  int64_t stride = 0;  // elements from token to token, at least n_heads * dim
};

struct Shape {
  Element element = Element::f32;
  int64_t n_tokens = 0;                    // of all sequences
  int64_t dim = 0;                         // of a head
  VectorView<const int64_t> offsets = {};  // [n_sequences + 1] ascending from 0 to n_tokens
  int64_t max_length = 0;                  // no sequence is longer; chooses kernels and sizes scratch
  /// For a GPU, where all layers and passes of a batch share them; empty: made anew in every call. The sequences in
  /// descending length, equal ones in ascending order, and how many are longer than 0, 16, 32, ... tokens.
  VectorView<const int32_t> order = {};     // [n_sequences]
  VectorView<const int32_t> reaching = {};  // [ceil(max_length / 16)]
  bool causal = true;
  float scale = 1.0f;
  VectorView<const uint8_t> key_keep = {};     // [n_tokens], 0 hides the key from every query; empty: all are seen
  MatrixView<const float> relative_bias = {};  // [n_heads, 2 r + 1] f32; empty: none
  float dropout = 0.0f;                        // rate, in [0, 1)
  RandomKey key = {};                          // of the dropout
  int64_t first_sequence = 0;                  // number of the batch's first sequence, for the dropout
  /// Float elements: products of numbers with 10 bits after the point, where the device has them.
  bool allow_tf32 = false;
};

/// Which tensor-core instruction a GPU uses. The results differ by rounding.
enum class Products {
  warps,  // mma.sync of 16 rows, on every architecture
  // wgmma of 64 rows, for 16-bit elements on sm_90a; backward up to 64 dimensions and 512 tokens, without bias or
  // grouped heads. Elsewhere those of warps.
  warpgroups
};

struct AttentionArgs {
  Shape shape;
  Heads<const void> q;            // [n_tokens, n_heads, dim]
  Heads<const void> k, v;         // [n_tokens, n_kv_heads, dim]; n_heads is a multiple of n_kv_heads
  Heads<void> out;                // [n_tokens, n_heads, dim]
  MatrixView<float> log_sum_exp;  // [n_tokens, n_heads] f32
  Products products = Products::warps;
};

struct AttentionBackwardArgs {
  Shape shape;
  Heads<const void> q, k, v, out, d_out;   // as in the forward pass
  MatrixView<const float> log_sum_exp;     // [n_tokens, n_heads] f32
  Heads<void> d_q;                         // [n_tokens, n_heads, dim]
  Heads<void> d_k, d_v;                    // [n_tokens, n_kv_heads, dim]
  MatrixView<float> d_relative_bias = {};  // [n_heads, 2 r + 1] f32; empty when relative_bias is
  Products products = Products::warps;
};

void attention(Context& context, const AttentionArgs& args);
void attention_backward(Context& context, const AttentionBackwardArgs& args);

/// The cost of reading every token's rows once, and of the products of the pairs that the lengths and `causal` leave.
/// `lengths` are those of the sequences.
OpCost attention_cost(const AttentionArgs& args, VectorView<const int64_t> lengths);
OpCost attention_backward_cost(const AttentionBackwardArgs& args, VectorView<const int64_t> lengths);

SHEAF_BACKENDS(attention, AttentionArgs);
SHEAF_BACKENDS(attention_backward, AttentionBackwardArgs);

}  // namespace sheaf::attention
