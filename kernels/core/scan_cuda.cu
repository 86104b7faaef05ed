#include "kernels/core/cuda/check.cuh"
#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/scan.hpp"

#if !defined(SHEAF_SIMT)
#include <cub/device/device_scan.cuh>
#endif

namespace sheaf::cuda {

#if defined(SHEAF_SIMT)
// The executor's memory is host memory, so the CPU scan takes CUB's place there. It has scratch of its own, because a
// graph may run it later.
void exclusive_scan(Context& context, const ExclusiveScanArgs& args) {
  ::simt::on_stream(cuda_stream(context), [args] {
    Context host({}, {.n_threads = 1});
    cpu::exclusive_scan(host, args);
  });
}
#else
void exclusive_scan(Context& context, const ExclusiveScanArgs& args) {
  // The inclusive sums land one place further on; the first place is zero.
  cuda_check(cudaMemsetAsync(args.out.data, 0, sizeof(int64_t), cuda_stream(context)), "cudaMemsetAsync");
  if (args.in.size == 0) return;
  const auto n = static_cast<int>(args.in.size);
  size_t bytes = 0;
  const auto scan = [&](void* storage) {
    cuda_check(cub::DeviceScan::InclusiveSum(storage, bytes, args.in.data, args.out.data + 1, n, cuda_stream(context)),
               "cub::DeviceScan::InclusiveSum");
  };
  scan(nullptr);
  ScratchScope scratch(context);
  scan(scratch.take<unsigned char>(static_cast<int64_t>(bytes)));
}
#endif

}  // namespace sheaf::cuda
