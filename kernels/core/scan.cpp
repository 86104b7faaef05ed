#include "kernels/core/scan.hpp"

#include "kernels/core/check.hpp"

namespace sheaf {

void exclusive_scan(Context& context, const ExclusiveScanArgs& args) {
  check_argument(args.out.size == args.in.size + 1, "exclusive_scan", "out must have one element more than in");
  check_argument(args.in.size < (int64_t{1} << 31) - 1, "exclusive_scan", "at most 2^31 - 2 elements");
  SHEAF_DISPATCH(context, exclusive_scan, args);
}

}  // namespace sheaf
