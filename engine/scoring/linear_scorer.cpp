#include "engine/scoring/linear_scorer.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/dense/dot_scores.hpp"
#include "kernels/dense/linear.hpp"
#include "kernels/dense/mean_probability.hpp"
#include "kernels/dense/scaled_add.hpp"
#include "kernels/dense/score_topk.hpp"
#include "kernels/embedding/table_bag.hpp"

namespace sheaf {
namespace {

constexpr int64_t kPairsGathered = int64_t{1} << 16;  // whose item vectors are gathered in one go
constexpr int64_t kQueryRows = int64_t{1} << 16;      // whose vectors are gathered in one go

Buffer<float> or_zeros(Context& context, Buffer<float> values, int64_t size, const char* name) {
  if (values.empty()) return Buffer<float>::zeros(context, size);
  if (values.size() == size) return values;
  throw UsageError(
      std::string(name) + " has " + std::to_string(values.size()) + " values and not " + std::to_string(size),
      "give one for each, or none");
}

}  // namespace

LinearScorer::LinearScorer(Context& context, LinearParts parts) : parts_(std::move(parts)) {
  parts_.user_bias = or_zeros(context, std::move(parts_.user_bias), parts_.n_users, "user_bias");
  parts_.item_bias = or_zeros(context, std::move(parts_.item_bias), parts_.n_items, "item_bias");
  parts_.bias = or_zeros(context, std::move(parts_.bias), 1, "bias");
}

LinearScorer::QueryRows LinearScorer::rows_of(Context& context, ScratchScope& scratch, const Queries& queries,
                                              int64_t first, int64_t n) const {
  if (queries.are_everyone()) {
    return {user_matrix().row_block(first, n), parts_.user_bias.view().subview(first, n)};
  }
  const MatrixView<float> vectors{scratch.take<float>(n * parts_.dim), n, parts_.dim};
  const MatrixView<float> bias{scratch.take<float>(n), n, 1};
  if (!queries.are_known()) {
    if (!parts_.encode) {
      throw UsageError("the model has no vectors of people that it never saw", "train it with their purchases");
    }
    const MatrixView<float> all{scratch.take<float>(queries.n() * parts_.dim), queries.n(), parts_.dim};
    parts_.encode(context, parts_, queries, all);
    context.fill_bytes(bias.data, 0, static_cast<size_t>(n) * sizeof(float));
    return {all.row_block(first, n), {bias.data, n}};
  }
  const VectorView<const int32_t> users = queries.rows().subview(first, n);
  embedding::bag_sums(context, user_matrix(), embedding::lookup(users), vectors);
  embedding::bag_sums(context, parts_.user_bias.matrix(n_users(), 1), embedding::lookup(users), bias);
  return {vectors, {bias.data, n}};
}

void LinearScorer::all_scores(Context& context, const Queries& queries, int64_t first, MatrixView<float> out) const {
  ScratchScope scratch(context);
  const QueryRows rows = rows_of(context, scratch, queries, first, out.rows);
  dense::linear(context, {.x = rows.vectors, .weight = item_matrix(), .bias = parts_.item_bias.view(), .out = out});
  dense::scaled_add(context, {.row_bias = rows.bias, .bias = parts_.bias.view(), .out = out});
}

void LinearScorer::scores(Context& context, const Queries& queries, MatrixView<const int32_t> items,
                          MatrixView<float> out) const {
  const int64_t group = items.cols, dim = parts_.dim;
  if (out.empty()) return;
  const int64_t chunk = std::max<int64_t>(1, kPairsGathered / group);
  // People that the model never saw are encoded once.
  ScratchScope outer(context);
  QueryRows encoded;
  if (!queries.are_known()) encoded = rows_of(context, outer, queries, 0, queries.n());
  for (int64_t first = 0; first < queries.n(); first += chunk) {
    const int64_t n = std::min(chunk, queries.n() - first);
    ScratchScope scratch(context);
    const QueryRows rows = queries.are_known()
                               ? rows_of(context, scratch, queries, first, n)
                               : QueryRows{encoded.vectors.row_block(first, n), encoded.bias.subview(first, n)};
    const MatrixView<float> item_vectors{scratch.take<float>(n * group * dim), n * group, dim};
    const MatrixView<float> item_bias{scratch.take<float>(n * group), n * group, 1};
    const VectorView<const int32_t> ids{items.row(first), n * group};
    embedding::bag_sums(context, item_matrix(), embedding::lookup(ids), item_vectors);
    embedding::bag_sums(context, parts_.item_bias.matrix(n_items(), 1), embedding::lookup(ids), item_bias);
    dense::dot_scores(context, {.users = rows.vectors,
                                .items = item_vectors,
                                .user_bias = rows.bias,
                                .item_bias = {item_bias.data, n * group},
                                .bias = parts_.bias.view(),
                                .logits = out.row_block(first, n)});
  }
}

TopLists LinearScorer::top_k(Context& context, const Queries& queries, int64_t k, const Exclusion& exclude) const {
  TopLists lists{queries.n(), k, Buffer<int32_t>(context, queries.n() * k), Buffer<float>(context, queries.n() * k)};
  // People that the model never saw are encoded once: one tile.
  const int64_t tile =
      queries.are_known() ? std::clamp<int64_t>(queries.n(), 1, kQueryRows) : std::max<int64_t>(1, queries.n());
  const ExcludedRows excluded(context, exclude, n_items(), tile);
  for (int64_t first = 0; first < queries.n(); first += tile) {
    if (first > 0) check_interrupt("the scoring");
    const int64_t n = std::min(tile, queries.n() - first);
    ScratchScope scratch(context);
    dense::score_topk(context, {.queries = rows_of(context, scratch, queries, first, n).vectors,
                                .items = item_matrix(),
                                .item_bias = parts_.item_bias.view(),
                                .exclude = excluded.view(first, n),
                                .exclude_rows = excluded.rows(n),
                                .top_items = lists.items.matrix(queries.n(), k).row_block(first, n),
                                .top_scores = lists.scores.matrix(queries.n(), k).row_block(first, n)});
  }
  context.synchronize();  // what is excluded ends here
  return lists;
}

std::vector<float> LinearScorer::mean_probability(Context& context, const Queries& queries) const {
  ScratchScope scratch(context);
  const QueryRows rows = rows_of(context, scratch, queries, 0, queries.n());
  Buffer<float> mean(context, n_items());
  dense::mean_probability(context, {.users = rows.vectors,
                                    .items = item_matrix(),
                                    .user_bias = rows.bias,
                                    .item_bias = parts_.item_bias.view(),
                                    .bias = parts_.bias.view(),
                                    .slope = static_cast<float>(calibration.slope),
                                    .offset = static_cast<float>(calibration.offset),
                                    .out = mean.view()});
  return mean.to_host();
}

}  // namespace sheaf
