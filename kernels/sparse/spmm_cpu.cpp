#include <algorithm>
#include <type_traits>

#include "kernels/core/parallel.hpp"
#include "kernels/sparse/spmm.hpp"

namespace sheaf::sparse::cpu {
namespace {

constexpr int64_t kColumns = 64;  // summed together: eight registers of eight floats
constexpr int64_t kAhead = 8;     // entries whose rows are fetched before they are needed

float weight_of(const SpmmArgs& args, int64_t e) {
  const float value = args.graph.values ? args.graph.values[e] : 1.0f;
  return args.column_scale.empty() ? value : value * args.column_scale[args.graph.columns[e]];
}

/// sums[0 .. n) of row r from column c on; n is kColumns wherever it can be, so that the sums stay in registers.
template <class Width>
void sum_row(const SpmmArgs& args, int64_t r, int64_t c, Width n, float* sums) {
  const int64_t end = args.graph.row_offsets[r + 1];
  float local[kColumns] = {};
  for (int64_t e = args.graph.row_offsets[r]; e < end; ++e) {
    const float* ahead = args.in.row(args.graph.columns[std::min(e + kAhead, end - 1)]) + c;
    for (int64_t line = 0; line < n; line += 16) __builtin_prefetch(ahead + line);
    const float weight = weight_of(args, e);
    const float* in = args.in.row(args.graph.columns[e]) + c;
#pragma omp simd
    for (int64_t x = 0; x < n; ++x) local[x] += weight * in[x];
  }
  std::copy_n(local, static_cast<int64_t>(n), sums);
}

}  // namespace

void spmm(Context& context, const SpmmArgs& args) {
  constexpr int64_t kGrain = 64;
  const int64_t dim = args.in.cols;
  const float share = 1.0f / static_cast<float>(args.n_in_mean + 1);
  parallel_for(context, args.graph.n_rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float* out = args.out.row(r);
      int64_t c = 0;
      for (; c + kColumns <= dim; c += kColumns) {
        sum_row(args, r, c, std::integral_constant<int64_t, kColumns>{}, out + c);
      }
      if (c < dim) sum_row(args, r, c, dim - c, out + c);
      if (!args.row_scale.empty()) {
        for (int64_t x = 0; x < dim; ++x) out[x] *= args.row_scale[r];
      }
      if (args.mean.rows == 0) continue;
      float* mean = args.mean.row(r);
#pragma omp simd
      for (int64_t x = 0; x < dim; ++x) mean[x] += (out[x] - mean[x]) * share;
    }
  });
}

}  // namespace sheaf::sparse::cpu
