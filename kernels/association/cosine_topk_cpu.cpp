#include <algorithm>
#include <cmath>

#include "kernels/association/cosine_topk.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/core/score_tile.hpp"
#include "kernels/core/top_k.hpp"

namespace sheaf::association::cpu {
namespace {

constexpr int64_t kRowBlock = 32;

// Unit rows; all zeros for a row without direction (zero length, NaN or infinity), so that its cosines are 0.
void normalize_row(const float* row, int64_t dim, float* unit) {
  double squares = 0;
  for (int64_t c = 0; c < dim; ++c) squares += static_cast<double>(row[c]) * static_cast<double>(row[c]);
  const double inverse = squares > 0 && std::isfinite(squares) ? 1.0 / std::sqrt(squares) : 0.0;
  for (int64_t c = 0; c < dim; ++c)
    unit[c] = inverse > 0 ? static_cast<float>(static_cast<double>(row[c]) * inverse) : 0.0f;
}

}  // namespace

void cosine_topk(Context& context, const CosineTopkArgs& args) {
  const int64_t n = args.vectors.rows;
  const int64_t dim = args.vectors.cols;
  const auto k = static_cast<int32_t>(args.neighbours.cols);
  ScratchScope scratch(context);
  const MatrixView<float> unit{scratch.take<float>(n * dim), n, dim};
  float* tiles = scratch.take<float>(context.n_threads() * dim * kScoreTile);
  parallel_for(context, n, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) normalize_row(args.vectors.row(i), dim, unit.row(i));
  });
  parallel_for(context, n, kRowBlock, [&](int64_t begin, int64_t end, int thread) {
    float* packed = tiles + thread * dim * kScoreTile;
    TopKList lists[kRowBlock];
    for (int64_t i = begin; i < end; ++i) lists[i - begin] = {args.scores.row(i), args.neighbours.row(i), k, 0};
    for (int64_t first = 0; first < n; first += kScoreTile) {
      pack_tile(unit, first, packed);
      const int64_t last = std::min(first + kScoreTile, n);
      for (int64_t i = begin; i < end; ++i) {
        float cosines[kScoreTile];
        score_tile(unit.row(i), packed, dim, cosines);
        TopKList& list = lists[i - begin];
        for (int64_t j = first; j < last; ++j) {
          const float score = std::min(cosines[j - first], 1.0f) * args.scale;
          if (score > 0.0f && score >= args.min_score && j != i && list.accepts(score, static_cast<int32_t>(j))) {
            list.insert(score, static_cast<int32_t>(j));
          }
        }
      }
    }
    for (int64_t i = begin; i < end; ++i) lists[i - begin].fill_rest(0.0f, -1);
  });
}

}  // namespace sheaf::association::cpu
