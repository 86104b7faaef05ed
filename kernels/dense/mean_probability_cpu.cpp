#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernels/core/parallel.hpp"
#include "kernels/core/score_tile.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/dense/mean_probability.hpp"
#include "kernels/dense/mean_probability_tile.hpp"

namespace sheaf::dense::cpu {
namespace {

// For any processor.
void add_portably(const ProbabilityTile& tile) {
  const float slope = tile.slope, offset = tile.offset;
  float item_bias[kScoreTile];  // copies, so that the compiler knows that nothing else is in their place
  double sums[kScoreTile];
  std::copy_n(tile.item_bias, kScoreTile, item_bias);
  std::copy_n(tile.sums, kScoreTile, sums);
  for (int64_t u = 0; u < tile.n_users; ++u) {
    float scores[kScoreTile];
    score_tile(tile.users + u * tile.dim, tile.packed, tile.dim, scores);
    const float own = tile.user_bias[u] + tile.bias;
#pragma omp simd
    for (int64_t i = 0; i < tile.n_items; ++i) {
      const float logit = scores[i] + own + item_bias[i];
      sums[i] += static_cast<double>(vectorizable_sigmoid(slope * logit + offset));
    }
  }
  std::copy_n(sums, kScoreTile, tile.sums);
}

constexpr ProbabilityKernel kPortableProbability{"portable", kScoreTile, add_portably};

}  // namespace

int32_t usable_probability_kernels(const ProbabilityKernel** kernels, int32_t capacity) {
  int32_t n = 0;
  const auto add = [&](bool usable, const ProbabilityKernel& kernel) {
    if (usable && n < capacity) kernels[n++] = &kernel;
  };
#if defined(__x86_64__)
  __builtin_cpu_init();
  add(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"), kAvx512Probability);
  add(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), kAvx2Probability);
#endif
  add(true, kPortableProbability);
  return n;
}

const ProbabilityKernel& probability_kernel() {
  const ProbabilityKernel* kernels[kMostProbabilityKernels];
  const int32_t n = usable_probability_kernels(kernels, kMostProbabilityKernels);
  const char* wanted = std::getenv("SHEAF_SCAN");
  for (int32_t i = 0; wanted != nullptr && i < n; ++i) {
    if (std::strcmp(kernels[i]->name, wanted) == 0) return *kernels[i];
  }
  return *kernels[0];
}

void mean_probability(Context& context, const MeanProbabilityArgs& args) {
  const ProbabilityKernel& kernel = probability_kernel();
  const int64_t dim = args.items.cols, width = kernel.width, n_users = args.users.rows;
  ScratchScope scratch(context);
  float* tiles = scratch.take<float>(context.n_threads() * dim * width);
  parallel_for(context, args.items.rows, width, [&](int64_t begin, int64_t end, int thread) {
    float* packed = tiles + thread * dim * width;
    float item_bias[kMostProbabilityWidth] = {};
    double sums[kMostProbabilityWidth] = {};
    pack_tile(args.items, begin, packed, width);
    std::copy_n(args.item_bias.data + begin, end - begin, item_bias);
    kernel.add({args.users.data, n_users, dim, args.user_bias.data, args.bias[0], args.slope, args.offset, packed,
                item_bias, end - begin, sums});
    for (int64_t i = begin; i < end; ++i) {
      args.out[i] = static_cast<float>(sums[i - begin] / static_cast<double>(n_users));
    }
  });
}

}  // namespace sheaf::dense::cpu
