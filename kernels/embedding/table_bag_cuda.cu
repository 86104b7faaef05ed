#include "kernels/embedding/table.cuh"
#include "kernels/embedding/table_bag.hpp"

namespace sheaf::embedding::cuda {
namespace {

constexpr int kTableBagBlock = 256;
// Rows that a lane has in flight: 4 x 16 bytes x 2048 threads are 128 KB an SM, above what latency times bandwidth asks
// for.
// Chosen by this arithmetic; not yet measured.
constexpr int kInFlight = 4;

// A group of lanes a bag, 32 / lanes bags a warp; a lane owns packs of kVec columns. The group loads its next ids and
// weights
// coalesced, one a lane, and hands them round by shuffle.
template <class T, int kVec>
__global__ void __launch_bounds__(kTableBagBlock) bag_group_kernel(TableBagArgs args, int lanes) {
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const int64_t b = (static_cast<int64_t>(blockIdx.x) * kTableBagBlock + threadIdx.x) / lanes;
  const bool active = b < args.bags.n_bags;
  const BagRange entries = active ? bag_range(args.bags, b) : BagRange{0, 0};
  const TableRange range = active ? table_range(args.tables, args.bags, b) : TableRange{0, 0};
  const int64_t dim = args.tables.dim;
  const bool is_max = args.pooling == Pooling::max;
  const auto size = entries.end - entries.begin;
  const int64_t longest = warp_max(size);  // all lanes of a warp shuffle together
  for (int64_t column = static_cast<int64_t>(lane) * kVec; column - lane * kVec < dim;
       column += static_cast<int64_t>(lanes) * kVec) {
    float sum[kVec] = {};
    int32_t winner[kVec];
    for (int v = 0; v < kVec; ++v) winner[v] = -1;
    for (int64_t start = 0; start < longest; start += lanes) {
      const int64_t mine = start + lane;
      int64_t my_row = -1;
      float my_weight = 0.0f;
      if (mine < size) {
        const int64_t id = args.bags.ids[entries.begin + mine];
        if (id >= 0 && id < range.n_rows) {
          my_row = range.first + id;
          my_weight = (args.bags.weights ? args.bags.weights[entries.begin + mine] : 1.0f) *
                      (args.tables.scales ? args.tables.scales[my_row] : 1.0f);
        } else {
          note_fault(args.fault, entries.begin + mine);
        }
      }
      const int64_t left = longest - start;
      const int count = left < lanes ? static_cast<int>(left) : lanes;
      for (int first = 0; first < count; first += kInFlight) {
        Pack<T, kVec> pack[kInFlight];
        int64_t row[kInFlight];
        float weight[kInFlight];
#pragma unroll
        for (int i = 0; i < kInFlight; ++i) {
          const int source = first + i < lanes ? first + i : lanes - 1;
          row[i] = __shfl_sync(kFullMask, my_row, source, lanes);
          weight[i] = __shfl_sync(kFullMask, my_weight, source, lanes);
          if (first + i >= count || column >= dim) row[i] = -1;
          if (row[i] >= 0) {
            pack[i] = *reinterpret_cast<const Pack<T, kVec>*>(static_cast<const T*>(args.tables.data) + row[i] * dim +
                                                              column);
          }
        }
#pragma unroll
        for (int i = 0; i < kInFlight; ++i) {
          if (row[i] < 0) continue;
#pragma unroll
          for (int v = 0; v < kVec; ++v) {
            const float value = weight[i] * to_float(pack[i].v[v]);
            if (!is_max) {
              sum[v] += value;
            } else if (winner[v] < 0 || value > sum[v] || (value != value && sum[v] == sum[v])) {
              sum[v] = value;
              winner[v] = static_cast<int32_t>(start + first + i);
            }
          }
        }
      }
    }
    if (!active || column >= dim) continue;
    const float scale = args.pooling == Pooling::mean && size > 0 ? 1.0f / static_cast<float>(size) : 1.0f;
#pragma unroll
    for (int v = 0; v < kVec; ++v) {
      args.out(b, column + v) = sum[v] * scale;
      if (args.winners.data) args.winners(b, column + v) = winner[v];
    }
  }
}

// Apart from the bags' kernel, which needs its registers.
__global__ void note_entities_kernel(Bags bags, uint64_t* fault) {
  const int64_t b = static_cast<int64_t>(blockIdx.x) * kTableBagBlock + threadIdx.x;
  if (b < bags.n_bags && lacks_entity(bags, b)) note_fault(fault, bags.ids.size + b);
}

template <class T, int kVec>
void launch_bag(Context& context, const TableBagArgs& args) {
  const int lanes = group_lanes(args.tables.dim, kVec);
  launch(bag_group_kernel<T, kVec>, blocks_for(args.bags.n_bags, kTableBagBlock / lanes), kTableBagBlock, 0, context,
         args, lanes);
}

}  // namespace

void table_bag(Context& context, const TableBagArgs& args) {
  constexpr int kLoadBytes = 16;
  if (args.bags.entities && args.fault) {
    launch(note_entities_kernel, blocks_for(args.bags.n_bags, kTableBagBlock), kTableBagBlock, 0, context, args.bags,
           args.fault);
  }
  with_element(args.tables.type, [&]<class T>(T) {
    constexpr int kVec = sizeof(T) == 1 ? 8 : kLoadBytes / static_cast<int>(sizeof(T));
    if (args.tables.dim % kVec == 0 && aligned(args.tables.data, kLoadBytes)) {
      launch_bag<T, kVec>(context, args);
    } else {
      launch_bag<T, 1>(context, args);
    }
  });
}

}  // namespace sheaf::embedding::cuda
