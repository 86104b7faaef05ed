#include "engine/scoring/network_scorer.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/top_k.hpp"
#include "kernels/dense/linear.hpp"
#include "kernels/dense/scaled_add.hpp"
#include "kernels/embedding/table_bag.hpp"

namespace sheaf {
namespace {

constexpr int64_t kPairsAtOnce = int64_t{1} << 15;  // that pass the network in one go

/// Each row of [n, dim] in the left or right half of a row twice as wide, zeros beside it.
Buffer<float> half_rows(Context& context, const Buffer<float>& rows, int64_t n, int64_t dim, bool right) {
  const std::vector<float> values = rows.to_host();
  std::vector<float> wide(static_cast<size_t>(2 * n * dim), 0.0f);
  for (int64_t r = 0; r < n; ++r) {
    std::copy_n(values.begin() + r * dim, dim, wide.begin() + 2 * r * dim + (right ? dim : 0));
  }
  return Buffer<float>(context, wide);
}

}  // namespace

NetworkScorer::NetworkScorer(Context& context, NetworkParts parts)
    : parts_(std::move(parts)),
      left_(half_rows(context, parts_.users, parts_.n_users, parts_.dim, false)),
      right_(half_rows(context, parts_.items, parts_.n_items, parts_.dim, true)) {
  int64_t width = 2 * parts_.dim;
  for (const NetworkParts::Layer& layer : parts_.layers) {
    if (layer.n_in != width || layer.weight.size() != layer.n_in * layer.n_out || layer.bias.size() != layer.n_out) {
      throw UsageError("a layer of the network takes " + std::to_string(layer.n_in) + " inputs where " +
                           std::to_string(width) + " come in, or its weights do not fit",
                       "each layer takes what the one before it gives");
    }
    width = layer.n_out;
  }
  if (width != 1 || parts_.layers.empty()) throw UsageError("the network's last layer must give one score", "add one");
  if (parts_.retrieval == nullptr || parts_.retrieval->n_items() != parts_.n_items ||
      parts_.retrieval->n_users() != parts_.n_users) {
    throw UsageError("the network needs a scorer of the same users and items to retrieve candidates", "give it one");
  }
}

void NetworkScorer::check_known(const Queries& queries) const {
  if (queries.are_known()) return;
  throw UsageError("the network has no vectors of people that it never saw", "train it with their purchases");
}

void NetworkScorer::score_pairs(Context& context, VectorView<const int32_t> users, VectorView<const int32_t> items,
                                float* out) const {
  const int64_t n = users.size, width = 2 * parts_.dim;
  ScratchScope scratch(context);
  const auto take = [&](int64_t cols) { return MatrixView<float>{scratch.take<float>(n * cols), n, cols}; };
  MatrixView<float> x = take(width);
  const MatrixView<float> of_items = take(width);
  embedding::bag_sums(context, left_.matrix(parts_.n_users, width), embedding::lookup(users), x);
  embedding::bag_sums(context, right_.matrix(parts_.n_items, width), embedding::lookup(items), of_items);
  dense::scaled_add(context, {.x = of_items, .out = x});
  for (size_t l = 0; l < parts_.layers.size(); ++l) {
    const NetworkParts::Layer& layer = parts_.layers[l];
    const bool last = l + 1 == parts_.layers.size();
    const MatrixView<float> next = last ? MatrixView<float>{out, n, 1} : take(layer.n_out);
    dense::linear(context, {.x = x,
                            .weight = layer.weight.matrix(layer.n_out, layer.n_in),
                            .bias = layer.bias.view(),
                            .relu = !last,
                            .out = next});
    x = next;
  }
}

void NetworkScorer::all_scores(Context& context, const Queries& queries, int64_t first, MatrixView<float> out) const {
  check_known(queries);
  std::vector<int32_t> items(static_cast<size_t>(n_items()));
  std::iota(items.begin(), items.end(), 0);
  const Buffer<int32_t> device_items(context, items);
  for (int64_t r = 0; r < out.rows; ++r) {
    check_interrupt("the scoring");
    const Buffer<int32_t> users(context,
                                std::vector<int32_t>(items.size(), queries.users()[static_cast<size_t>(first + r)]));
    for (int64_t from = 0; from < n_items(); from += kPairsAtOnce) {
      const int64_t n = std::min(kPairsAtOnce, n_items() - from);
      score_pairs(context, users.view().subview(from, n), device_items.view().subview(from, n), out.row(r) + from);
    }
    context.synchronize();  // `users` ends here
  }
}

void NetworkScorer::scores(Context& context, const Queries& queries, MatrixView<const int32_t> items,
                           MatrixView<float> out) const {
  check_known(queries);
  if (out.empty()) return;
  std::vector<int32_t> pair_users;
  for (const int32_t user : queries.users()) pair_users.insert(pair_users.end(), static_cast<size_t>(items.cols), user);
  const Buffer<int32_t> users(context, pair_users);
  for (int64_t from = 0; from < out.size(); from += kPairsAtOnce) {
    const int64_t n = std::min(kPairsAtOnce, out.size() - from);
    score_pairs(context, users.view().subview(from, n), {items.data + from, n}, out.data + from);
  }
  context.synchronize();  // `users` ends here
}

TopLists NetworkScorer::top_k(Context& context, const Queries& queries, int64_t k, const Exclusion& exclude) const {
  check_known(queries);
  const int64_t width = std::min(std::max(k, parts_.n_retrieved), n_items());
  const std::vector<int32_t> found = parts_.retrieval->top_k(context, queries, width, exclude).items.to_host();
  const std::vector<float> scored = pair_scores(context, *this, queries, found, width);
  std::vector<int32_t> items(static_cast<size_t>(queries.n() * k));
  std::vector<float> scores(items.size());
  for (int64_t q = 0; q < queries.n(); ++q) {
    TopKList list{scores.data() + q * k, items.data() + q * k, static_cast<int32_t>(k)};
    for (int64_t at = q * width; at < (q + 1) * width; ++at) {
      const int32_t item = found[static_cast<size_t>(at)];
      const float score = scored[static_cast<size_t>(at)];
      if (item >= 0 && list.accepts(score, item)) list.insert(score, item);
    }
    list.fill_rest(-std::numeric_limits<float>::infinity(), -1);
  }
  return {queries.n(), k, Buffer<int32_t>(context, items), Buffer<float>(context, scores)};
}

}  // namespace sheaf
