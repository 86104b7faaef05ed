#pragma once
/// How the kernels of a call are launched: the schedule, warps a block, shared memory, blocks that stay.

#include <algorithm>
#include <cstdint>

#include "kernels/attention/fragments.cuh"
#include "kernels/attention/tile_scheduler.cuh"
#include "kernels/core/cuda/launch.cuh"

namespace sheaf::attention::cuda {

/// The largest part that all rows of a call can be copied in.
class RowAlignment {
 public:
  RowAlignment(const Shape& shape) : bytes_(element_bytes(shape.element)), row_(shape.dim * bytes_) { add(row_); }
  template <class Data>
  RowAlignment& operator<<(const Heads<Data>& heads) {
    add(static_cast<int64_t>(reinterpret_cast<uintptr_t>(heads.data) % 16));
    add(heads.stride * bytes_);
    return *this;
  }
  RowShape shape() const { return {static_cast<int>(row_), copy_}; }

 private:
  void add(int64_t bytes) {
    while (bytes % copy_ != 0) copy_ = copy_ == 16 ? 4 : 2;
  }
  int64_t bytes_, row_;
  int copy_ = 16;
};

/// Shared memory that run_work_tiles has beside its tasks' tiles, rounded up.
constexpr int64_t kStaticShared = 256;
static_assert(sizeof(TileIterator) + (kStages + 1) * sizeof(WorkTile) <= kStaticShared);

inline int device_limit(cudaDeviceAttr attribute, const Context& context) {
  int value = 0;
  cuda_check(cudaDeviceGetAttribute(&value, attribute, context.device().ordinal), "cudaDeviceGetAttribute");
  return value;
}

/// Whether this device and build know products of warpgroups.
bool knows_warpgroups(const Context& context);

/// Bytes of dynamic shared memory that a block may take.
inline int64_t most_shared(const Context& context) {
  return device_limit(cudaDevAttrMaxSharedMemoryPerBlockOptin, context) - kStaticShared;
}

/// Warps of 16 rows: enough for the longest sequence, at most eight, and no more than fit in shared memory.
/// bytes_of(warps) is the memory of a block.
template <class BytesOf>
int choose_warps(const Context& context, int64_t max_length, const BytesOf& bytes_of) {
  const int64_t limit = most_shared(context);
  int warps = static_cast<int>(std::clamp<int64_t>((max_length + 15) / 16, 1, kMaxThreads / kWarp));
  while (warps > 1 && static_cast<int64_t>(bytes_of(warps)) > limit) warps = (warps + 1) / 2;
  return warps;
}

/// Blocks that the device holds at a time.
template <class Kernel>
unsigned resident_blocks(const Context& context, [[maybe_unused]] Kernel* kernel, [[maybe_unused]] int threads,
                         [[maybe_unused]] size_t shared_bytes) {
  int blocks = 2;
#if !defined(SHEAF_SIMT)
  const DeviceScope scope(context.device().ordinal);
  allow_shared(kernel, shared_bytes);
  cuda_check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threads, shared_bytes),
             "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
#endif
  return static_cast<unsigned>(std::max(blocks, 1) * device_limit(cudaDevAttrMultiProcessorCount, context));
}

constexpr int kOrderThreads = 128;

// A sequence's place is the number of longer ones, and of equal ones before it: the same order on every run.
static __global__ void schedule_kernel(VectorView<const int64_t> offsets, int32_t block_rows, int32_t* order,
                                       int32_t* counts) {
  __shared__ int64_t lengths[kOrderThreads];
  const auto n = static_cast<int32_t>(offsets.size - 1);
  const auto s = static_cast<int32_t>(blockIdx.x * kOrderThreads + threadIdx.x);
  const int64_t length = s < n ? offsets[s + 1] - offsets[s] : 0;
  int32_t place = 0;
  for (int32_t first = 0; first < n; first += kOrderThreads) {
    const auto other = static_cast<int32_t>(first + threadIdx.x);
    lengths[threadIdx.x] = other < n ? offsets[other + 1] - offsets[other] : -1;
    __syncthreads();
    for (int32_t t = 0; t < kOrderThreads; ++t) {
      place += lengths[t] > length || (lengths[t] == length && first + t < s) ? 1 : 0;
    }
    __syncthreads();
  }
  if (s >= n) return;
  order[place] = s;
  for (int32_t block = 0; int64_t{block} * block_rows < length; ++block) atomicMax(&counts[block], place + 1);
}

inline Schedule make_schedule(Context& context, ScratchScope& scratch, const Shape& shape, int block_rows,
                              int64_t n_heads, bool last_first) {
  const int64_t n_sequences = shape.offsets.size - 1;
  const auto n_blocks = static_cast<int32_t>((shape.max_length + block_rows - 1) / block_rows);
  const auto heads = static_cast<int32_t>(n_heads);
  if (!shape.order.empty()) {
    return {shape.order.data, shape.reaching.data, block_rows / kReachRows, n_blocks, block_rows, heads, last_first};
  }
  auto* order = scratch.take<int32_t>(n_sequences);
  auto* counts = scratch.take<int32_t>(n_blocks);
  context.fill_bytes(counts, 0, static_cast<size_t>(n_blocks) * sizeof(int32_t));
  launch(schedule_kernel, blocks_for(n_sequences, kOrderThreads), kOrderThreads, 0, context, shape.offsets, block_rows,
         order, counts);
  return {order, counts, 1, n_blocks, block_rows, heads, last_first};
}

/// body.operator()<Math, dim in memory>() for the element type and dim of a call.
template <class Math, class Body>
void for_dim(const Shape& shape, const Body& body) {
  if (shape.dim <= 32) return body.template operator()<Math, 32>();
  if (shape.dim <= 64) return body.template operator()<Math, 64>();
  body.template operator()<Math, kMaxDim>();
}

template <class Body>
void for_math(const Shape& shape, const Body& body) {
  if (shape.element == Element::bf16) return for_dim<HalfMath<MmaType::bf16>>(shape, body);
  if (shape.element == Element::f16) return for_dim<HalfMath<MmaType::f16>>(shape, body);
  if (shape.allow_tf32) return for_dim<FloatMath<1>>(shape, body);
  for_dim<FloatMath<3>>(shape, body);
}

}  // namespace sheaf::attention::cuda
