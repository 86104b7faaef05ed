#include <algorithm>
#include <atomic>
#include <cmath>

#include "kernels/core/parallel.hpp"
#include "kernels/sparse/spgemm.hpp"

namespace sheaf::sparse::cpu {
namespace {

// sums[columns[x]] += weight * values[x], each with one rounding
void add_row(const CsrView& matrix, int64_t row, float weight, float* sums) {
  for (int64_t x = matrix.row_offsets[row]; x < matrix.row_offsets[row + 1]; ++x) {
    float& sum = sums[matrix.columns[x]];
    sum = fmaf(weight, matrix.values ? matrix.values[x] : 1.0f, sum);
  }
}

// Lowers the word to `place`; several threads may call.
void note_fault(uint64_t* fault, int64_t place) {
  if (!fault) return;
  std::atomic_ref<uint64_t> word(*fault);
  uint64_t lowest = word.load(std::memory_order_relaxed);
  while (static_cast<uint64_t>(place) < lowest &&
         !word.compare_exchange_weak(lowest, static_cast<uint64_t>(place), std::memory_order_relaxed)) {
  }
}

}  // namespace

void spgemm(Context& context, const SpgemmArgs& args) {
  constexpr int64_t kGrain = 8;
  parallel_for(context, args.ids.size, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float* out = args.out.row(r);
      if (args.column_bias.empty()) {
        std::fill_n(out, args.out.cols, 0.0f);
      } else {
        std::copy_n(args.column_bias.data, args.out.cols, out);
      }
      const int64_t row = args.ids[r];
      if (row < 0 || row >= args.left.n_rows) {
        note_fault(args.fault, r);
        continue;
      }
      if (args.right.n_rows == 0) {
        add_row(args.left, row, 1.0f, out);
        continue;
      }
      for (int64_t e = args.left.row_offsets[row]; e < args.left.row_offsets[row + 1]; ++e) {
        add_row(args.right, args.left.columns[e], args.left.values ? args.left.values[e] : 1.0f, out);
      }
    }
  });
}

}  // namespace sheaf::sparse::cpu
