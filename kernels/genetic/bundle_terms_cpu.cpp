#include "kernels/core/parallel.hpp"
#include "kernels/genetic/bundle_terms_pair.hpp"

namespace sheaf::genetic::cpu {

void bundle_terms(Context& context, const BundleTermsArgs& args) {
  const int64_t c = args.candidates.cols;
  parallel_for(context, args.candidates.rows, 1, [&](int64_t begin, int64_t end) {
    float inverse[kMaxCandidates];
    for (int64_t p = begin; p < end; ++p) {
      for (int64_t a = 0; a < c; ++a) {
        const int32_t i = args.candidates(p, a);
        inverse[a] = i >= 0 && !args.vectors.empty() ? inverse_length(args.vectors.row(i), args.vectors.cols) : 0.0f;
        write_candidate(args, p, a);
      }
      float* pair = args.pair.data + p * c * c;
      for (int64_t a = 0; a < c; ++a) {
        pair[a * c + a] = 0.0f;
        for (int64_t b = 0; b < a; ++b) pair[a * c + b] = pair[b * c + a] = pair_term(args, p, a, b, inverse);
      }
    }
  });
}

}  // namespace sheaf::genetic::cpu
