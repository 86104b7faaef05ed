#include "kernels/core/parallel.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/genetic/joint_pairs_pair.hpp"

namespace sheaf::genetic::cpu {

void joint_pairs(Context& context, const JointPairsArgs& args) {
  const int64_t c = args.candidates.cols;
  const float lift = expf(args.offset);
  parallel_for(context, args.candidates.rows, 1, [&](int64_t begin, int64_t end) {
    float inverse[kMaxCandidates];
    for (int64_t p = begin; p < end; ++p) {
      const int32_t* items = args.candidates.row(p);
      for (int64_t a = 0; a < c; ++a) {
        const bool has_vector = items[a] >= 0 && reads_vectors(args);
        inverse[a] = has_vector ? inverse_length(args.vectors.row(items[a]), args.vectors.cols) : 0.0f;
      }
      float* pair = args.pair.data + p * c * c;
      for (int64_t a = 0; a < c; ++a) {
        for (int64_t b = 0; b < a; ++b) {
          if (items[a] < 0 || items[b] < 0) continue;
          const float product = inverse[a] != 0.0f
                                    ? dot(args.vectors.row(items[a]), args.vectors.row(items[b]), args.vectors.cols)
                                    : 0.0f;
          const float cosine = positive_cosine(product, inverse[a], inverse[b]);
          const float term = joint_term(args, p, a, b, cosine, lift);
          pair[a * c + b] += term;
          pair[b * c + a] += term;
        }
      }
    }
  });
}

}  // namespace sheaf::genetic::cpu
