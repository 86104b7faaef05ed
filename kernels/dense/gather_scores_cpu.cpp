#include <limits>

#include "kernels/core/parallel.hpp"
#include "kernels/dense/gather_scores.hpp"

namespace sheaf::dense::cpu {

void gather_scores(Context& context, const GatherScoresArgs& args) {
  constexpr int64_t kGrain = 64;
  parallel_for(context, args.out.rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t g = 0; g < args.out.cols; ++g) {
        const int64_t item = args.items(r, g);
        const bool is_column = item >= 0 && item < args.scores.cols;
        args.out(r, g) = is_column ? args.scores(r, item) : -std::numeric_limits<float>::infinity();
      }
    }
  });
}

}  // namespace sheaf::dense::cpu
