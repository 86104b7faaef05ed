#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/reduce.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/core/scan.hpp"
#include "kernels/core/sort.hpp"
#include "kernels/metrics/binary_terms.hpp"

namespace sheaf::metrics::cuda {
namespace {

constexpr int kBinaryBlock = 256;
constexpr int kSums = 4;  // correct, log-loss, squared error, pairs in order

// Sort keys and the block's partial sums of the additive terms.
__global__ void terms_kernel(BinaryArgs args, uint32_t* keys, uint32_t* order, double* partials) {
  __shared__ double warp_sums[kBinaryBlock / kWarp];
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBinaryBlock + threadIdx.x;
  BinaryTerms terms;
  if (i < args.probabilities.size) {
    terms = binary_terms(args.probabilities[i], args.labels[i] != 0);
    keys[i] = sort_key(args.probabilities[i]);
    order[i] = static_cast<uint32_t>(i);
  }
  const double correct = block_sum<kBinaryBlock>(terms.correct, warp_sums);
  const double log_loss = block_sum<kBinaryBlock>(terms.log_loss, warp_sums);
  const double squared_error = block_sum<kBinaryBlock>(terms.squared_error, warp_sums);
  if (threadIdx.x == 0) {
    double* partial = partials + static_cast<int64_t>(blockIdx.x) * kSums;
    partial[0] = correct;
    partial[1] = log_loss;
    partial[2] = squared_error;
  }
}

__global__ void negative_flags_kernel(BinaryArgs args, const uint32_t* sorted_order, VectorView<int64_t> is_negative) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBinaryBlock + threadIdx.x;
  if (i < is_negative.size) is_negative[i] = args.labels[sorted_order[i]] ? 0 : 1;
}

__global__ void auc_kernel(VectorView<const int64_t> is_negative, const uint32_t* sorted_keys,
                           const int64_t* negatives_before, double* partials) {
  __shared__ double warp_sums[kBinaryBlock / kWarp];
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBinaryBlock + threadIdx.x;
  double term = 0;
  if (i < is_negative.size && !is_negative[i]) term = auc_term(sorted_keys, negatives_before, is_negative.size, i);
  const double total = block_sum<kBinaryBlock>(term, warp_sums);
  if (threadIdx.x == 0) partials[static_cast<int64_t>(blockIdx.x) * kSums + 3] = total;
}

__global__ void finish_kernel(const double* sums, const int64_t* negatives_before, int64_t n, VectorView<double> out) {
  const auto n_negative = static_cast<double>(negatives_before[n]);
  const double n_pairs = n_negative * (static_cast<double>(n) - n_negative);
  out[kAccuracy] = sums[0] / static_cast<double>(n);
  out[kLogLoss] = sums[1] / static_cast<double>(n);
  out[kBrier] = sums[2] / static_cast<double>(n);
  out[kAuc] = n_pairs > 0 && sums[0] == sums[0] ? sums[3] / n_pairs : nan("");
}

}  // namespace

void binary(Context& context, const BinaryArgs& args) {
  const int64_t n = args.probabilities.size;
  const unsigned n_blocks = blocks_for(n, kBinaryBlock);
  ScratchScope scratch(context);
  const VectorView<uint32_t> keys{scratch.take<uint32_t>(n), n};
  const VectorView<uint32_t> order{scratch.take<uint32_t>(n), n};
  const VectorView<uint32_t> sorted_keys{scratch.take<uint32_t>(n), n};
  const VectorView<uint32_t> sorted_order{scratch.take<uint32_t>(n), n};
  const VectorView<int64_t> is_negative{scratch.take<int64_t>(n), n};
  const VectorView<int64_t> negatives_before{scratch.take<int64_t>(n + 1), n + 1};
  double* partials = scratch.take<double>(static_cast<int64_t>(n_blocks) * kSums);
  double* sums = scratch.take<double>(kSums);

  launch(terms_kernel, n_blocks, kBinaryBlock, 0, context, args, keys.data, order.data, partials);
  sheaf::sort_pairs(context, {keys, order, 32, sorted_keys, sorted_order});
  launch(negative_flags_kernel, n_blocks, kBinaryBlock, 0, context, args, sorted_order.data, is_negative);
  sheaf::exclusive_scan(context, {is_negative, negatives_before});
  launch(auc_kernel, n_blocks, kBinaryBlock, 0, context, is_negative, sorted_keys.data, negatives_before.data,
         partials);
  add_partials(context, partials, n_blocks, kSums, false, 1.0, sums);
  launch(finish_kernel, 1u, 1, 0, context, sums, negatives_before.data, n, args.out);
}

}  // namespace sheaf::metrics::cuda
