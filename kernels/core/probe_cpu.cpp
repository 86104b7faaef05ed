#include <cstring>

#include "kernels/core/parallel.hpp"
#include "kernels/core/probe.hpp"

namespace sheaf::cpu {

void probe_copy(Context& context, const ProbeCopyArgs& args) {
  parallel_for(context, args.in.size, int64_t{1} << 20, [&](int64_t begin, int64_t end) {
    std::memcpy(args.out.data + begin, args.in.data + begin, static_cast<size_t>(end - begin) * sizeof(float));
  });
}

void probe_gather(Context& context, const ProbeGatherArgs& args) {
  parallel_for(context, args.ids.size, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* row = args.table.row(args.ids[i]);
      float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
      for (int64_t c = 0; c < args.table.cols; ++c) sum += row[c];
      args.sums[i] = sum;
    }
  });
}

void probe_fma(Context& context, const ProbeFmaArgs& args) {
  // One chain is a vector of kLanes floats; all chains stay in registers.
  constexpr int kLanes = 8;
  using Lanes [[gnu::vector_size(kLanes * sizeof(float))]] = float;
  static_assert(kProbeLanes % kLanes == 0);
  parallel_for(context, args.out.size / kLanes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      float* out = args.out.data + block * kLanes;
      Lanes start;
      std::memcpy(&start, out, sizeof(start));
      Lanes chains[kProbeChains];
      for (int64_t c = 0; c < kProbeChains; ++c) chains[c] = start + static_cast<float>(c);
      for (int64_t step = 0; step < args.steps; ++step) {
#pragma GCC unroll 8
        for (int64_t c = 0; c < kProbeChains; ++c) chains[c] = chains[c] * 0.5f + 0.5f;
      }
      Lanes sum = chains[0];
      for (int64_t c = 1; c < kProbeChains; ++c) sum += chains[c];
      std::memcpy(out, &sum, sizeof(sum));
    }
  });
}

}  // namespace sheaf::cpu
