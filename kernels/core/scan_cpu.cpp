#include "kernels/core/scan.hpp"

namespace sheaf::cpu {

void exclusive_scan(Context&, const ExclusiveScanArgs& args) {
  int64_t sum = 0;
  for (int64_t i = 0; i < args.in.size; ++i) {
    args.out[i] = sum;
    sum += args.in[i];
  }
  args.out[args.in.size] = sum;
}

}  // namespace sheaf::cpu
