#include "kernels/core/cuda/check.cuh"
#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/sort.hpp"

#if !defined(SHEAF_SIMT)
#include <cub/device/device_radix_sort.cuh>
#endif

namespace sheaf::cuda {

#if defined(SHEAF_SIMT)
// The executor's memory is host memory, so the CPU sort takes CUB's place there. It has scratch of its own, because a
// graph may run it later.
void sort_pairs(Context& context, const SortPairsArgs& args) {
  ::simt::on_stream(cuda_stream(context), [args] {
    Context host({}, {.n_threads = 1});
    cpu::sort_pairs(host, args);
  });
}
#else
void sort_pairs(Context& context, const SortPairsArgs& args) {
  const auto n = static_cast<int>(args.keys.size);
  size_t bytes = 0;
  const auto sort = [&](void* storage) {
    cuda_check(cub::DeviceRadixSort::SortPairs(storage, bytes, args.keys.data, args.sorted_keys.data, args.values.data,
                                               args.sorted_values.data, n, 0, args.key_bits, cuda_stream(context)),
               "cub::DeviceRadixSort::SortPairs");
  };
  sort(nullptr);
  ScratchScope scratch(context);
  sort(scratch.take<unsigned char>(static_cast<int64_t>(bytes)));
}
#endif

}  // namespace sheaf::cuda
