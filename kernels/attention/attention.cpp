#include "kernels/attention/attention.hpp"

#include <string>

#include "kernels/core/check.hpp"

namespace sheaf::attention {
namespace {

constexpr int64_t kMaxLength = int64_t{1} << 20;

void check_shape(const Shape& shape, int64_t n_heads, int64_t n_kv_heads, const char* op) {
  check_argument(shape.dim >= 1 && shape.dim <= kMaxDim, op,
                 "dim must be 1 to " + std::to_string(kMaxDim) + ", not " + std::to_string(shape.dim));
  check_argument(n_kv_heads >= 1 && n_heads >= 1 && n_heads % n_kv_heads == 0, op,
                 "the query heads (" + std::to_string(n_heads) + ") must be a multiple of the key heads (" +
                     std::to_string(n_kv_heads) + ")");
  check_argument(shape.offsets.size * n_heads < int64_t{1} << 30, op, "at most 2^30 sequences times heads");
  check_argument(shape.offsets.size >= 1, op, "offsets must hold one number more than there are sequences");
  check_argument(shape.max_length >= 0 && shape.max_length <= kMaxLength, op,
                 "max_length must be at most 2^20, not " + std::to_string(shape.max_length));
  const int64_t n_reaching = shape.order.empty() ? 0 : (shape.max_length + kReachRows - 1) / kReachRows;
  check_argument(
      (shape.order.empty() || shape.order.size == shape.offsets.size - 1) && shape.reaching.size == n_reaching, op,
      "order and reaching must be [n_sequences] and [ceil(max_length / 16)], or both empty");
  check_argument(shape.key_keep.empty() || shape.key_keep.size == shape.n_tokens, op, "key_keep must be [n_tokens]");
  check_argument(
      shape.relative_bias.empty() || (shape.relative_bias.rows == n_heads && shape.relative_bias.cols % 2 == 1), op,
      "relative_bias must be [n_heads, 2 r + 1]");
  check_argument(shape.dropout >= 0.0f && shape.dropout * 256.0f + 0.5f < 256.0f, op,
                 "dropout must be at least 0 and, rounded to a 256th, less than 1");
}

/// Where the host can look: a longer sequence would leave the workspaces.
void check_lengths(const Context& context, const Shape& shape, const char* op) {
  if (!context.on_cpu()) return;
  for (int64_t s = 0; s + 1 < shape.offsets.size; ++s) {
    const int64_t length = shape.offsets[s + 1] - shape.offsets[s];
    if (length >= 0 && length <= shape.max_length) continue;
    check_argument(false, op,
                   "sequence " + std::to_string(s) + " has the length " + std::to_string(length) +
                       ", not one of 0 to max_length, " + std::to_string(shape.max_length));
  }
}

template <class Data>
void check_heads(const Heads<Data>& heads, const Shape& shape, int64_t n_heads, const char* op, const char* name) {
  check_argument(
      heads.n_heads == n_heads && heads.stride >= n_heads * shape.dim, op,
      std::string(name) + " must have " + std::to_string(n_heads) + " heads and a stride of at least heads * dim");
}

int64_t pairs_seen(const Shape& shape, VectorView<const int64_t> lengths) {
  int64_t pairs = 0;
  for (const int64_t length : lengths) pairs += shape.causal ? length * (length + 1) / 2 : length * length;
  return pairs;
}

int64_t side_bytes(const Shape& shape, int64_t n_heads) {
  return shape.n_tokens * (shape.key_keep.empty() ? 0 : 1) + shape.offsets.size * 8 + shape.relative_bias.size() * 4 +
         shape.n_tokens * n_heads * 4;
}

}  // namespace

void attention(Context& context, const AttentionArgs& args) {
  constexpr const char* kOp = "attention::attention";
  check_shape(args.shape, args.q.n_heads, args.k.n_heads, kOp);
  check_lengths(context, args.shape, kOp);
  check_heads(args.q, args.shape, args.q.n_heads, kOp, "q");
  check_heads(args.k, args.shape, args.k.n_heads, kOp, "k");
  check_heads(args.v, args.shape, args.k.n_heads, kOp, "v");
  check_heads(args.out, args.shape, args.q.n_heads, kOp, "out");
  check_argument(args.log_sum_exp.rows == args.shape.n_tokens && args.log_sum_exp.cols == args.q.n_heads, kOp,
                 "log_sum_exp must be [n_tokens, n_heads]");
  if (args.shape.n_tokens > 0) SHEAF_DISPATCH(context, attention, args);
}

void attention_backward(Context& context, const AttentionBackwardArgs& args) {
  constexpr const char* kOp = "attention::attention_backward";
  check_shape(args.shape, args.q.n_heads, args.k.n_heads, kOp);
  check_lengths(context, args.shape, kOp);
  const int64_t n_heads = args.q.n_heads, n_kv_heads = args.k.n_heads;
  check_heads(args.q, args.shape, n_heads, kOp, "q");
  check_heads(args.k, args.shape, n_kv_heads, kOp, "k");
  check_heads(args.v, args.shape, n_kv_heads, kOp, "v");
  check_heads(args.out, args.shape, n_heads, kOp, "out");
  check_heads(args.d_out, args.shape, n_heads, kOp, "d_out");
  check_heads(args.d_q, args.shape, n_heads, kOp, "d_q");
  check_heads(args.d_k, args.shape, n_kv_heads, kOp, "d_k");
  check_heads(args.d_v, args.shape, n_kv_heads, kOp, "d_v");
  check_argument(args.log_sum_exp.rows == args.shape.n_tokens && args.log_sum_exp.cols == n_heads, kOp,
                 "log_sum_exp must be [n_tokens, n_heads]");
  check_argument(args.d_relative_bias.rows == args.shape.relative_bias.rows &&
                     args.d_relative_bias.cols == args.shape.relative_bias.cols,
                 kOp, "d_relative_bias must have the shape of relative_bias");
  SHEAF_DISPATCH(context, attention_backward, args);
}

OpCost attention_cost(const AttentionArgs& args, VectorView<const int64_t> lengths) {
  const Shape& shape = args.shape;
  const int64_t rows = 2 * args.q.n_heads + 2 * args.k.n_heads;  // q, out; k, v
  return {.bytes = shape.n_tokens * rows * shape.dim * element_bytes(shape.element) + side_bytes(shape, args.q.n_heads),
          .flops = pairs_seen(shape, lengths) * args.q.n_heads * 4 * shape.dim};
}

OpCost attention_backward_cost(const AttentionBackwardArgs& args, VectorView<const int64_t> lengths) {
  const Shape& shape = args.shape;
  const int64_t rows = 4 * args.q.n_heads + 4 * args.k.n_heads;  // q, out, d_out, d_q; k, v, d_k, d_v
  return {.bytes = shape.n_tokens * rows * shape.dim * element_bytes(shape.element) +
                   side_bytes(shape, args.q.n_heads) + args.d_relative_bias.size() * 4,
          .flops = pairs_seen(shape, lengths) * args.q.n_heads * 10 * shape.dim};
}

}  // namespace sheaf::attention
