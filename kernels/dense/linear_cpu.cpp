#include <algorithm>

#include "kernels/core/blas_cpu.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/dense/linear.hpp"

namespace sheaf::dense::cpu {
namespace {

constexpr int64_t kRows = 128;  // a piece of work whose inputs and outputs stay in L2

void column_sums(MatrixView<const float> rows, float* sums) {
  std::fill_n(sums, rows.cols, 0.0f);
  for (int64_t r = 0; r < rows.rows; ++r) {
    const float* row = rows.row(r);
    for (int64_t c = 0; c < rows.cols; ++c) sums[c] += row[c];
  }
}

}  // namespace

void linear(Context& context, const LinearArgs& args) {
  sheaf::cpu::reserve_gemm(context);
  const int64_t n_in = args.x.cols, n_out = args.weight.rows;
  parallel_for(context, args.x.rows, kRows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) std::copy_n(args.bias.data, n_out, args.out.row(r));
    if (n_in > 0) {
      sheaf::cpu::gemm({end - begin, n_out, n_in, args.x.row(begin), n_in, false, args.weight.data, n_in, true, 1.0f,
                        args.out.row(begin), n_out});
    }
    if (!args.relu) return;
    float* out = args.out.row(begin);
    for (int64_t i = 0; i < (end - begin) * n_out; ++i) out[i] = out[i] < 0.0f ? 0.0f : out[i];
  });
}

void linear_backward(Context& context, const LinearBackwardArgs& args) {
  sheaf::cpu::reserve_gemm(context);
  const int64_t n = args.x.rows, n_in = args.x.cols, n_out = args.weight.rows;
  parallel_for(context, n, kRows, [&](int64_t begin, int64_t end) {
    float* d = args.d_out.row(begin);
    if (args.relu) {
      const float* out = args.out.row(begin);
      for (int64_t i = 0; i < (end - begin) * n_out; ++i) d[i] = out[i] > 0.0f ? d[i] : 0.0f;
    }
    sheaf::cpu::gemm(
        {end - begin, n_in, n_out, d, n_out, false, args.weight.data, n_in, false, 0.0f, args.d_x.row(begin), n_in});
  });
  const int64_t n_pieces = std::max<int64_t>(1, (n + kLinearPiece - 1) / kLinearPiece);
  const int64_t size = n_out * n_in;
  ScratchScope scratch(context);
  float* weights = scratch.take<float>(n_pieces * size);
  float* biases = scratch.take<float>(n_pieces * n_out);
  parallel_for(context, n_pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t first = piece * kLinearPiece;
      const int64_t rows = std::min(kLinearPiece, n - first);
      if (rows <= 0) {
        std::fill_n(weights + piece * size, size, 0.0f);
      } else {
        sheaf::cpu::gemm({n_out, n_in, rows, args.d_out.row(first), n_out, true, args.x.row(first), n_in, false, 0.0f,
                          weights + piece * size, n_in});
      }
      column_sums(args.d_out.row_block(first, std::max<int64_t>(rows, 0)), biases + piece * n_out);
    }
  });
  const auto add = [&](const float* pieces, int64_t count, float* sums) {
    std::copy_n(pieces, count, sums);
    for (int64_t piece = 1; piece < n_pieces; ++piece) {
      for (int64_t i = 0; i < count; ++i) sums[i] += pieces[piece * count + i];
    }
  };
  add(weights, size, args.d_weight.data);
  add(biases, n_out, args.d_bias.data);
}

}  // namespace sheaf::dense::cpu
