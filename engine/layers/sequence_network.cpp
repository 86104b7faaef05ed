#include "engine/layers/sequence_network.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "kernels/attention/attention.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr float kTableDeviation = 0.02f;  // of positions and users
constexpr int64_t kTokensAtOnce = 16384;  // of last_states

}  // namespace

Sequences::Sequences(Context& context, const TokenShape& shape, const std::vector<int64_t>& host_offsets,
                     std::span<const int32_t> items, std::span<const int32_t> users, int64_t n_items)
    : n_tokens(std::ssize(items)), offsets(context, host_offsets) {
  host_tokens.n_columns = shape.table_rows(n_items);
  host_tokens.columns.reserve(2 * items.size());
  for (size_t s = 0; s + 1 < host_offsets.size(); ++s) {
    longest = std::max(longest, host_offsets[s + 1] - host_offsets[s]);
    for (int64_t t = host_offsets[s]; t < host_offsets[s + 1]; ++t) {
      host_tokens.columns.push_back(items[static_cast<size_t>(t)]);
      if (shape.positions) host_tokens.columns.push_back(static_cast<int32_t>(n_items + t - host_offsets[s]));
      if (shape.user_rows > 0) {
        host_tokens.columns.push_back(static_cast<int32_t>(n_items + shape.position_rows() + users[s]));
      }
      host_tokens.row_offsets.push_back(host_tokens.nnz());
    }
  }
  tokens = EmbeddingBag(context, host_tokens);
  const auto length_of = [&](int32_t s) {
    return host_offsets[static_cast<size_t>(s) + 1] - host_offsets[static_cast<size_t>(s)];
  };
  std::vector<int32_t> by_length(host_offsets.size() - 1), longer;
  std::iota(by_length.begin(), by_length.end(), 0);
  std::ranges::stable_sort(by_length, std::ranges::greater{}, length_of);
  for (int64_t rows = 0; rows < longest; rows += attention::kReachRows) {
    const auto first_short = std::ranges::lower_bound(by_length, -rows, {}, [&](int32_t s) { return -length_of(s); });
    longer.push_back(static_cast<int32_t>(first_short - by_length.begin()));
  }
  order = Buffer<int32_t>(context, by_length);
  reaching = Buffer<int32_t>(context, longer);
}

SequenceNetwork::SequenceNetwork(Context& context, const TokenShape& token_shape, int64_t dim,
                                 std::unique_ptr<Layer> stack)
    : token_shape_(token_shape), dim_(dim), stack_(std::move(stack)) {
  if (token_shape.max_length < 1) throw UsageError("a network over no purchase", "look at one at least");
  if (token_shape.positions) positions_ = make_parameter(context, "positions", token_shape.max_length, dim);
  if (token_shape.user_rows > 0) users_ = make_parameter(context, "users", token_shape.user_rows, dim);
}

void SequenceNetwork::initialise(uint64_t seed, uint32_t first_table) {
  Initialiser from{seed, first_table};
  stack_->initialise(from);
  for (Parameter* table : tables()) {
    table->value.assign(normal_values(table->rows, table->cols, seed, from.next_table++, kTableDeviation));
  }
}

std::vector<Parameter*> SequenceNetwork::tables() {
  std::vector<Parameter*> tables;
  if (positions_) tables.push_back(&*positions_);
  if (users_) tables.push_back(&*users_);
  return tables;
}

std::vector<Parameter*> SequenceNetwork::parameters() {
  std::vector<Parameter*> all = stack_->parameters();
  for (Parameter* table : tables()) all.push_back(table);
  return all;
}

void SequenceNetwork::input_table(Context& context, const Buffer<float>& item_vectors, MatrixView<float> table) const {
  float* to = table.data;
  const auto append = [&](const Buffer<float>& rows) {
    context.copy(to, rows.data(), static_cast<size_t>(rows.size()) * sizeof(float));
    to += rows.size();
  };
  append(item_vectors);
  if (positions_) append(positions_->value);
  if (users_) append(users_->value);
}

void SequenceNetwork::forward(Pass& pass, const Sequences& sequences, MatrixView<const float> table,
                              MatrixView<float> states) const {
  const MatrixView<float> embedded = pass.take(sequences.n_tokens, dim_);
  sequences.tokens.forward(pass.context, table, embedded);
  stack_->forward(pass, embedded, states);
}

void SequenceNetwork::backward(Pass& pass, MatrixView<float> d_states, MatrixView<float> d_embedded) {
  stack_->backward(pass, d_states, d_embedded);
}

Buffer<float> SequenceNetwork::last_states(Context& context, const History& history, const Buffer<float>& item_vectors,
                                           bool known) const {
  TokenShape shape = token_shape_;
  if (!known) shape.user_rows = 0;
  const int64_t n_items = item_vectors.size() / dim_;
  const int64_t n_users = history.n_users();
  Buffer<float> states = Buffer<float>::zeros(context, n_users * dim_);
  Buffer<float> table(context, token_shape_.table_rows(n_items) * dim_);
  const MatrixView<float> table_view = table.matrix(token_shape_.table_rows(n_items), dim_);
  input_table(context, item_vectors, table_view);
  for (int64_t first = 0, next = 0; first < n_users; first = next) {
    // Users first .. next - 1; those without purchases have no sequence.
    const int64_t begin = history.offsets[static_cast<size_t>(first)];
    std::vector<int64_t> offsets{0};
    std::vector<int32_t> with_purchases;
    HostCsr last;  // [users, tokens]
    while (next < n_users &&
           (next == first || history.offsets[static_cast<size_t>(next) + 1] - begin <= kTokensAtOnce)) {
      const int64_t end = history.offsets[static_cast<size_t>(++next)] - begin;
      if (end > offsets.back()) {
        offsets.push_back(end);
        with_purchases.push_back(static_cast<int32_t>(next - 1));
        last.columns.push_back(static_cast<int32_t>(end - 1));
      }
      last.row_offsets.push_back(last.nnz());
    }
    if (offsets.size() == 1) continue;
    last.n_columns = offsets.back();
    const auto items =
        std::span(history.items).subspan(static_cast<size_t>(begin), static_cast<size_t>(offsets.back()));
    const Sequences sequences(context, shape, offsets, items, with_purchases, n_items);
    const EmbeddingBag ends(context, last);
    ScratchScope scratch(context);
    Pass pass(context, scratch, {}, sequences.packed());
    const MatrixView<float> all = pass.take(sequences.n_tokens, dim_);
    forward(pass, sequences, table_view.row_block(0, shape.table_rows(n_items)), all);
    ends.forward(context, all, {states.data() + first * dim_, next - first, dim_});
    context.synchronize();  // the buffers of this round end here
  }
  return states;
}

}  // namespace sheaf
