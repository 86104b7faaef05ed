#include "kernels/core/parallel.hpp"
#include "kernels/loss/bce_row.hpp"

namespace sheaf::loss::cpu {

void bce(Context& context, const BceArgs& args) {
  constexpr int64_t kGrain = 256;  // rows a partial sum
  const auto n_terms = static_cast<double>(args.logits.size());
  const auto scale = static_cast<float>(1.0 / n_terms);
  const int64_t n_blocks = (args.logits.rows + kGrain - 1) / kGrain;
  ScratchScope scratch(context);
  double* partials = scratch.take<double>(n_blocks);
  parallel_for(context, args.logits.rows, kGrain, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t b = begin; b < end; ++b) sum += bce_row(args, b, scale);
    partials[begin / kGrain] = sum;
  });
  double total = 0;
  for (int64_t block = 0; block < n_blocks; ++block) total += partials[block];
  args.loss[0] += total / n_terms;
}

}  // namespace sheaf::loss::cpu
