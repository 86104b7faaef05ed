#include <algorithm>

#include "kernels/core/parallel.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/embedding/bag.hpp"

namespace sheaf::embedding::cpu {

void bag(Context& context, const BagArgs& args) {
  constexpr int64_t kGrain = 256;
  const int64_t dim = args.table.cols;
  parallel_for(context, args.ids.size, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      float* out = args.out.row(n);
      std::fill_n(out, dim, 0.0f);
      const int32_t id = args.ids[n];
      for (int64_t e = args.bags.row_offsets[id]; e < args.bags.row_offsets[id + 1]; ++e) {
        axpy(args.bags.values ? args.bags.values[e] : 1.0f, args.table.row(args.bags.columns[e]), out, dim);
      }
    }
  });
}

}  // namespace sheaf::embedding::cpu
