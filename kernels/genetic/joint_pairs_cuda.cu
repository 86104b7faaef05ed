#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/genetic/joint_pairs_pair.hpp"

namespace sheaf::genetic::cuda {
namespace {

constexpr int kJointPairsBlock = 256;
constexpr int kWarps = kJointPairsBlock / kWarp;

__device__ PairFacts pair_facts(const JointPairsArgs& args, int32_t i, int32_t j, float inverse_i, float inverse_j) {
  const int64_t counted = symmetric_place(args.counts, i, j);
  return {.count = counted < 0 ? 0.0f : args.counts.values[counted],
          .cosine = positive_cosine(args.vectors, i, j, inverse_i, inverse_j),
          .is_substitute = reads_substitutes(args) && symmetric_place(args.substitutes, i, j) >= 0};
}

// A block a problem, a warp a row: each pair once, for both halves.
__global__ void joint_pairs_kernel(JointPairsArgs args) {
  __shared__ float inverse[kMaxCandidates];
  const int64_t p = blockIdx.x;
  const int64_t c = args.candidates.cols;
  const int32_t* items = args.candidates.row(p);
  for (int64_t a = threadIdx.x; a < c; a += kJointPairsBlock) {
    const bool has_vector = items[a] >= 0 && reads_vectors(args);
    inverse[a] = has_vector ? inverse_length(args.vectors.row(items[a]), args.vectors.cols) : 0.0f;
  }
  __syncthreads();
  const float lift = expf(args.offset);
  float* pair = args.pair.data + p * c * c;
  for (int64_t a = threadIdx.x / kWarp; a < c; a += kWarps) {
    for (int64_t b = threadIdx.x % kWarp; b < a; b += kWarp) {
      if (items[a] < 0 || items[b] < 0) continue;
      const PairFacts facts = pair_facts(args, items[a], items[b], inverse[a], inverse[b]);
      const float term = joint_term(args, p, a, b, facts, lift);
      pair[a * c + b] += term;
      pair[b * c + a] += term;
    }
  }
}

}  // namespace

void joint_pairs(Context& context, const JointPairsArgs& args) {
  launch(joint_pairs_kernel, blocks_for(args.candidates.rows, 1), kJointPairsBlock, 0, context, args);
}

}  // namespace sheaf::genetic::cuda
