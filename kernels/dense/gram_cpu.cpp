#include <algorithm>

#include "kernels/core/blas_cpu.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/dense/gram.hpp"

namespace sheaf::dense::cpu {
namespace {

constexpr int64_t kGramTile = 64;     // a side of the tiles of `out` that a product writes
constexpr int64_t kGramWidened = 64;  // rows that stand in double at a time

}  // namespace

void gram(Context& context, const GramArgs& args) {
  sheaf::cpu::reserve_gemm(context);
  const int64_t n = args.x.rows, dim = args.x.cols, piece = gram_piece(n);
  const int64_t n_pieces = (n + piece - 1) / piece;
  ScratchScope scratch(context);
  double* sums = scratch.take<double>(n_pieces * dim * dim);  // of each piece
  double* widened = scratch.take<double>(context.n_threads() * kGramWidened * dim);
  parallel_for(context, n, piece, [&](int64_t begin, int64_t end, int thread) {
    double* own = widened + thread * kGramWidened * dim;
    double* sum = sums + begin / piece * dim * dim;
    for (int64_t first = begin; first < end; first += kGramWidened) {
      const int64_t rows = std::min(kGramWidened, end - first);
      std::transform(args.x.row(first), args.x.row(first) + rows * dim, own,
                     [](float value) { return static_cast<double>(value); });
      // Tiles on and below the diagonal.
      for (int64_t column = 0; column < dim; column += kGramTile) {
        sheaf::cpu::gemm_double({dim - column, std::min(kGramTile, dim - column), rows, own + column, dim, true,
                                 own + column, dim, false, first == begin ? 0.0 : 1.0, sum + column * dim + column,
                                 dim});
      }
    }
  });
  parallel_for(context, dim, 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t c = 0; c <= r; ++c) {
        double sum = 0.0;
        for (int64_t p = 0; p < n_pieces; ++p) sum += sums[p * dim * dim + r * dim + c];
        args.out(r, c) = args.out(c, r) = sum;
      }
    }
  });
}

}  // namespace sheaf::dense::cpu
