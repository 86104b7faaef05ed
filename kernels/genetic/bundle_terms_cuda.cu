#include "kernels/core/cuda/launch.cuh"
#include "kernels/genetic/bundle_terms_pair.hpp"

namespace sheaf::genetic::cuda {
namespace {

constexpr int kBundleTermsBlock = 256;

// A block a problem.
__global__ void bundle_terms_kernel(BundleTermsArgs args) {
  __shared__ float inverse[kMaxCandidates];
  const int64_t p = blockIdx.x;
  const int64_t c = args.candidates.cols;
  for (int64_t a = threadIdx.x; a < c; a += kBundleTermsBlock) {
    const int32_t i = args.candidates(p, a);
    inverse[a] = i >= 0 && !args.vectors.empty() ? inverse_length(args.vectors.row(i), args.vectors.cols) : 0.0f;
    write_candidate(args, p, a);
  }
  __syncthreads();
  float* pair = args.pair.data + p * c * c;
  for (int64_t at = threadIdx.x; at < c * c; at += kBundleTermsBlock) {
    // The larger place first, as on the CPU: both halves get the same bits.
    const int64_t a = at / c, b = at % c;
    pair[at] = pair_term(args, p, a > b ? a : b, a > b ? b : a, inverse);
  }
}

}  // namespace

void bundle_terms(Context& context, const BundleTermsArgs& args) {
  launch(bundle_terms_kernel, blocks_for(args.candidates.rows, 1), kBundleTermsBlock, 0, context, args);
}

}  // namespace sheaf::genetic::cuda
