#include <algorithm>

#include "kernels/core/parallel.hpp"
#include "kernels/genetic/evaluate_one_set.hpp"

namespace sheaf::genetic::cpu {

void evaluate_sets(Context& context, const EvaluateSetsArgs& args) {
  constexpr int64_t kSetsPerChunk = 1024;
  const int64_t n = args.problems.n_candidates;
  const int64_t chunks = (args.n_sets + kSetsPerChunk - 1) / kSetsPerChunk;
  parallel_for(context, args.problems.n_problems * chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t p = chunk / chunks, first = chunk % chunks * kSetsPerChunk;
      const int64_t last = std::min(first + kSetsPerChunk, args.n_sets);
      const ProblemTally tally = problem_tally(args.problems, p);
      const float* linear = args.problems.linear + p * n;
      const float* pair = args.problems.pair + p * n * n;
      for (int64_t set = first; set < last; ++set) {
        evaluate_one_set(args, p, tally, linear, pair, p * args.n_sets + set);
      }
    }
  });
}

}  // namespace sheaf::genetic::cpu
