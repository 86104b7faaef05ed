#include <algorithm>

#include "kernels/core/blas_cpu.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/dense/linear.hpp"

namespace sheaf::dense::cpu {
namespace {

constexpr int64_t kRows = 128;  // a piece of work whose inputs and outputs stay in L2

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
  sheaf::cpu::row_products(
      context, {n_out, n_in, n, args.d_out.data, args.x.data, args.d_weight.data, args.d_bias.data, kLinearPiece});
}

}  // namespace sheaf::dense::cpu
