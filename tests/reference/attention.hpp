#pragma once
/// Attention and its gradients by definition: in double precision, or unfused with every stored matrix in a narrower
/// type. The latter is the measure of a kernel's error.

#include <cstdint>
#include <vector>

#include "kernels/core/philox.hpp"

namespace sheaf::ref {

enum class Arithmetic {
  exact,  // double throughout
  f32,    // float throughout
  tf32,   // float, but what is multiplied has 10 bits after the point
  f16,    // sums in float; scores, probabilities and their gradients stored as f16
  bf16,
};

struct AttentionProblem {
  int64_t n_heads = 1, n_kv_heads = 1, dim = 1;
  std::vector<int64_t> offsets{0};
  bool causal = true;
  double scale = 1.0;
  std::vector<uint8_t> key_keep = {};  // empty: all
  int64_t bias_columns = 0;            // 0: none
  float dropout = 0.0f;
  RandomKey key = {};
  int64_t first_sequence = 0;

  int64_t n_tokens() const { return offsets.back(); }
};

struct AttentionInputs {
  std::vector<double> q, k, v, bias, d_out;  // contiguous
};

/// Queries, keys and values that stand beside each other, [n, 3 width]; no gradient comes from behind.
AttentionInputs split_heads(const std::vector<double>& qkv, int64_t width);

struct AttentionResults {
  std::vector<double> out, log_sum_exp, d_q, d_k, d_v, d_bias;
};

/// 0 or 1 / kept, from the text of the contract.
double attention_keep(const AttentionProblem& problem, int64_t sequence, int64_t head, int64_t i, int64_t j);

AttentionResults attention(const AttentionProblem& problem, const AttentionInputs& inputs, Arithmetic arithmetic);

/// x as the nearest number of the arithmetic's inputs.
double to_stored(double x, Arithmetic arithmetic);

}  // namespace sheaf::ref
