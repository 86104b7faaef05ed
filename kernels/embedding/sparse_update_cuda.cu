#include <bit>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/core/sort.hpp"
#include "kernels/embedding/sparse_update.hpp"

namespace sheaf::embedding::cuda {
namespace {

constexpr int kBlock = 256;

// Slot s of id n stands for the s-th entry of its bag; slots past the bag's end get the key n_rows, which sorts last.
__global__ void expand_entries_kernel(CsrView bags, VectorView<const int32_t> ids, int64_t max_bag, uint32_t n_rows,
                                      uint32_t* keys, uint32_t* slots) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= ids.size * max_bag) return;
  const int32_t id = ids[i / max_bag];
  const int64_t e = bags.row_offsets[id] + i % max_bag;
  keys[i] = e < bags.row_offsets[id + 1] ? static_cast<uint32_t>(bags.columns[e]) : n_rows;
  slots[i] = static_cast<uint32_t>(i);
}

// One warp a sorted slot; the warp at the head of a run sums the run in occurrence order and updates its row.
__global__ void run_update_kernel(SparseUpdateArgs args, AdamStep step, const uint32_t* keys, const uint32_t* slots,
                                  int64_t n_slots) {
  const int64_t head = (static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x) / kWarp;
  if (head >= n_slots) return;
  const uint32_t row = keys[head];
  if (row >= args.table.rows || (head > 0 && keys[head - 1] == row)) return;
  const int lane = threadIdx.x % kWarp;
  for (int64_t c = lane; c < args.grad.cols; c += kWarp) {
    float sum = 0.0f;
    for (int64_t i = head; i < n_slots && keys[i] == row; ++i) {
      const int64_t n = slots[i] / args.max_bag;
      float weight = 1.0f;
      if (args.bags.values) weight = args.bags.values[args.bags.row_offsets[args.ids[n]] + slots[i] % args.max_bag];
      sum += weight * args.grad(n, c);
    }
    step.apply(sum, args.table(row, c), args.moment1(row, c), args.moment2(row, c));
  }
}

}  // namespace

void sparse_update(Context& context, const SparseUpdateArgs& args) {
  const int64_t n_slots = args.ids.size * args.max_bag;
  ScratchScope scratch(context);
  const VectorView<uint32_t> keys{scratch.take<uint32_t>(n_slots), n_slots};
  const VectorView<uint32_t> slots{scratch.take<uint32_t>(n_slots), n_slots};
  const VectorView<uint32_t> sorted_keys{scratch.take<uint32_t>(n_slots), n_slots};
  const VectorView<uint32_t> sorted_slots{scratch.take<uint32_t>(n_slots), n_slots};
  launch(expand_entries_kernel, blocks_for(n_slots, kBlock), kBlock, 0, context, args.bags, args.ids, args.max_bag,
         static_cast<uint32_t>(args.table.rows), keys.data, slots.data);
  const int key_bits = static_cast<int>(std::bit_width(static_cast<uint64_t>(args.table.rows)));
  sheaf::sort_pairs(context, {keys, slots, key_bits, sorted_keys, sorted_slots});
  launch(run_update_kernel, blocks_for(n_slots, kBlock / kWarp), kBlock, 0, context, args, AdamStep(args.adam),
         sorted_keys.data, sorted_slots.data, n_slots);
}

}  // namespace sheaf::embedding::cuda
