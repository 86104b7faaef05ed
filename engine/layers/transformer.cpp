#include "engine/layers/transformer.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>

#include "engine/layers/attention_layer.hpp"
#include "engine/layers/sequential.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr float kPositionDeviation = 0.02f;
constexpr int64_t kTokensAtOnce = 16384;  // of last_states

/// The shape, once it is known to be possible.
const TransformerShape& checked(const TransformerShape& s, int64_t dim) {
  const auto require = [](bool good, const std::string& what, const char* mend) {
    if (!good) throw UsageError(what, mend);
  };
  require(s.layers >= 1 && s.heads >= 1 && s.max_length >= 1 && s.feed_forward >= 1,
          "sasrec.layers, heads, max_length and feed_forward must each be at least 1", "see `sheaf config`");
  require(dim % s.heads == 0,
          "model.dim = " + std::to_string(dim) + " is no multiple of sasrec.heads = " + std::to_string(s.heads),
          "choose a number of heads that divides model.dim");
  require(
      dim / s.heads <= attention::kMaxDim,
      "a head of " + std::to_string(dim / s.heads) + " dimensions is wider than " + std::to_string(attention::kMaxDim),
      "raise sasrec.heads");
  return s;
}

Layers branches_of(Context& context, const TransformerShape& shape, int64_t dim) {
  const float residual = 1.0f / std::sqrt(2.0f * static_cast<float>(shape.layers));
  Layers branches;
  for (int64_t l = 0; l < shape.layers; ++l) {
    const std::string name = "layer." + std::to_string(l) + ".";
    branches.push_back(std::make_unique<SelfAttention>(context, name, dim, shape.heads, l));
    branches.push_back(make_feed_forward(context, name, dim, shape.feed_forward, residual));
  }
  return branches;
}

}  // namespace

Sequences::Sequences(Context& context, const TransformerShape& shape, const std::vector<int64_t>& host_offsets,
                     std::span<const int32_t> items, std::span<const int32_t> users, int64_t n_items)
    : n_tokens(std::ssize(items)), offsets(context, host_offsets) {
  host_tokens.n_columns = shape.table_rows(n_items);
  host_tokens.columns.reserve(2 * items.size());
  for (size_t s = 0; s + 1 < host_offsets.size(); ++s) {
    longest = std::max(longest, host_offsets[s + 1] - host_offsets[s]);
    for (int64_t t = host_offsets[s]; t < host_offsets[s + 1]; ++t) {
      host_tokens.columns.push_back(items[static_cast<size_t>(t)]);
      host_tokens.columns.push_back(static_cast<int32_t>(n_items + t - host_offsets[s]));
      if (shape.user_rows > 0) {
        host_tokens.columns.push_back(static_cast<int32_t>(n_items + shape.max_length + users[s]));
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

Transformer::Transformer(Context& context, const TransformerShape& shape, int64_t dim)
    : shape_(checked(shape, dim)),
      dim_(dim),
      stack_(context, dim, branches_of(context, shape, dim)),
      positions_(make_parameter(context, "positions", shape.max_length, dim)) {
  if (shape.user_rows > 0) users_ = make_parameter(context, "users", shape.user_rows, dim);
}

void Transformer::initialise(uint64_t seed, uint32_t first_table) {
  Initialiser from{seed, first_table};
  stack_.initialise(from);
  for (Parameter* table : tables()) {
    table->value.assign(normal_values(table->rows, table->cols, seed, from.next_table++, kPositionDeviation));
  }
}

std::vector<Parameter*> Transformer::tables() {
  std::vector<Parameter*> tables{&positions_};
  if (users_) tables.push_back(&*users_);
  return tables;
}

std::vector<Parameter*> Transformer::parameters() {
  std::vector<Parameter*> all = stack_.parameters();
  for (Parameter* table : tables()) all.push_back(table);
  return all;
}

void Transformer::input_table(Context& context, const Buffer<float>& item_vectors, MatrixView<float> table) const {
  float* to = table.data;
  const auto append = [&](const Buffer<float>& rows) {
    context.copy(to, rows.data(), static_cast<size_t>(rows.size()) * sizeof(float));
    to += rows.size();
  };
  append(item_vectors);
  append(positions_.value);
  if (users_) append(users_->value);
}

void Transformer::forward(Pass& pass, const Sequences& sequences, MatrixView<const float> table,
                          MatrixView<float> states) const {
  const MatrixView<float> embedded = pass.take(sequences.n_tokens, dim_);
  sequences.tokens.forward(pass.context, table, embedded);
  stack_.forward(pass, embedded, states);
}

void Transformer::backward(Pass& pass, MatrixView<float> d_states, MatrixView<float> d_embedded) {
  stack_.backward(pass, d_states, d_embedded);
}

Buffer<float> Transformer::last_states(Context& context, const History& history, const Buffer<float>& item_vectors,
                                       bool known) const {
  TransformerShape shape = shape_;
  if (!known) shape.user_rows = 0;
  const int64_t n_items = item_vectors.size() / dim_;
  const int64_t n_users = history.n_users();
  Buffer<float> states = Buffer<float>::zeros(context, n_users * dim_);
  Buffer<float> table(context, shape_.table_rows(n_items) * dim_);
  const MatrixView<float> table_view = table.matrix(shape_.table_rows(n_items), dim_);
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
