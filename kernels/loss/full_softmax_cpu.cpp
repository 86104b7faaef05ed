#include <algorithm>
#include <cmath>

#include "kernels/core/blas_cpu.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/loss/full_softmax.hpp"

namespace sheaf::loss::cpu {
namespace {

constexpr int64_t kUsers = 16;   // a piece of work in the forward pass
constexpr int64_t kItems = 256;  // and in the backward pass of the items

// Scores to gradients in place; returns the user's loss.
double softmax_row(const FullSoftmaxArgs& args, int64_t u, float* row) {
  const int64_t n_items = args.items.rows;
  float largest = row[0] + args.item_bias[0];
  for (int64_t i = 0; i < n_items; ++i) {
    row[i] += args.item_bias[i];
    largest = std::max(largest, row[i]);
  }
  const int64_t begin = args.targets.row_offsets[u], end = args.targets.row_offsets[u + 1];
  const auto weight = [&](int64_t e) { return args.targets.values ? args.targets.values[e] : 1.0f; };
  double total_weight = 0, weighted_scores = 0;
  for (int64_t e = begin; e < end; ++e) {
    total_weight += static_cast<double>(weight(e));
    weighted_scores += static_cast<double>(weight(e)) * static_cast<double>(row[args.targets.columns[e]]);
  }
  double sum = 0;
  for (int64_t i = 0; i < n_items; ++i) {
    row[i] = std::exp(row[i] - largest);
    sum += static_cast<double>(row[i]);
  }
  const auto factor = static_cast<float>(static_cast<double>(args.scale) * total_weight / sum);
  for (int64_t i = 0; i < n_items; ++i) row[i] *= factor;
  for (int64_t e = begin; e < end; ++e) row[args.targets.columns[e]] -= args.scale * weight(e);
  const double log_sum = std::log(sum) + static_cast<double>(largest);
  return static_cast<double>(args.scale) * (total_weight * log_sum - weighted_scores);
}

}  // namespace

void full_softmax(Context& context, const FullSoftmaxArgs& args) {
  sheaf::cpu::reserve_gemm(context);
  const int64_t n_users = args.users.rows, n_items = args.items.rows, dim = args.users.cols;
  const int64_t block = full_softmax_block(args);
  ScratchScope scratch(context);
  float* gradients = scratch.take<float>(block * n_items);
  double* losses = scratch.take<double>(std::max<int64_t>(n_users, 1));
  if (n_users == 0) {
    std::fill_n(args.d_items.data, args.d_items.size(), 0.0f);
    std::fill_n(args.d_item_bias.data, n_items, 0.0f);
    return;
  }
  for (int64_t first = 0; first < n_users; first += block) {
    const int64_t n = std::min(block, n_users - first);
    parallel_for(context, n, kUsers, [&](int64_t begin, int64_t end) {
      float* rows = gradients + begin * n_items;
      sheaf::cpu::gemm({end - begin, n_items, dim, args.users.row(first + begin), dim, false, args.items.data, dim,
                        true, 0.0f, rows, n_items});
      for (int64_t u = begin; u < end; ++u) losses[first + u] = softmax_row(args, first + u, gradients + u * n_items);
      sheaf::cpu::gemm({end - begin, dim, n_items, rows, n_items, false, args.items.data, dim, false, 0.0f,
                        args.d_users.row(first + begin), dim});
    });
    const float keep = first == 0 ? 0.0f : 1.0f;
    parallel_for(context, n_items, kItems, [&](int64_t begin, int64_t end) {
      sheaf::cpu::gemm({end - begin, dim, n, gradients + begin, n_items, true, args.users.row(first), dim, false, keep,
                        args.d_items.row(begin), dim});
      float* d_bias = args.d_item_bias.data;
      if (first == 0) std::fill(d_bias + begin, d_bias + end, 0.0f);
      for (int64_t u = 0; u < n; ++u) {
        const float* row = gradients + u * n_items;
        for (int64_t i = begin; i < end; ++i) d_bias[i] += row[i];
      }
    });
  }
  for (int64_t u = 0; u < n_users; ++u) args.loss[0] += losses[u];
}

}  // namespace sheaf::loss::cpu
