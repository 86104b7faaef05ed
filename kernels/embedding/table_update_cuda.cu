#include "kernels/embedding/row_step.hpp"
#include "kernels/embedding/table.cuh"

namespace sheaf::embedding::cuda {
namespace {

constexpr int kBlock = 256;

// What a lane holds of a row's gradient: kPasses packs of kVec columns, `lanes` packs apart.
template <int kVec, int kPasses>
struct RowPart {
  float v[kPasses][kVec];

  __device__ static int64_t column(int lane, int lanes, int pass) {
    return (static_cast<int64_t>(pass) * lanes + lane) * kVec;
  }
  __device__ void clear() {
    for (int pass = 0; pass < kPasses; ++pass) {
      for (int i = 0; i < kVec; ++i) v[pass][i] = 0.0f;
    }
  }
  // += weight * from[0 .. dim), or where winners are given the columns that `place` won.
  __device__ void add(const float* from, float weight, const int32_t* winners, int32_t place, int64_t dim, int lane,
                      int lanes) {
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int64_t c = column(lane, lanes, pass);
      if (c >= dim) continue;
      const auto pack = *reinterpret_cast<const Pack<float, kVec>*>(from + c);
#pragma unroll
      for (int i = 0; i < kVec; ++i) {
        if (!winners || winners[c + i] == place) v[pass][i] += weight * pack.v[i];
      }
    }
  }
  __device__ void store(float* to, int64_t dim, int lane, int lanes) const {
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int64_t c = column(lane, lanes, pass);
      for (int i = 0; i < kVec && c < dim; ++i) to[c + i] = v[pass][i];
    }
  }
};

// The columns [first, first + width) of all rows that a block works on: all, but of the widest rows those of a grid
// row.
struct Columns {
  int64_t first, width;
};

constexpr int64_t kWidestRow = 1024;                               // that a group holds as a whole
constexpr int sliced_passes(int vec) { return vec == 4 ? 3 : 8; }  // of wider rows, which have several grid rows

template <int kVec, int kPasses>
__device__ Columns block_columns(int64_t dim) {
  if constexpr (kPasses != sliced_passes(kVec)) return {0, dim};
  constexpr int64_t kMost = int64_t{kWarp} * kVec * kPasses;
  const int64_t first = blockIdx.y * kMost;
  return {first, dim - first < kMost ? dim - first : kMost};
}

// All lanes of the warp call; groups with step_it false only take part in the shuffles. Row-wise Adagrad has one grid
// row.
template <class T, int kVec, int kPasses>
__device__ void step_row(const RowStep& step, bool step_it, int64_t r, const RowPart<kVec, kPasses>& sum,
                         const Columns& columns, int lane, int lanes) {
  using Part = RowPart<kVec, kPasses>;
  const int64_t dim = columns.width;
  float scale = 0.0f;
  if (step.args.optimizer == Optimizer::rowwise_adagrad) {
    float squares = 0.0f;
    for (int pass = 0; pass < kPasses && step_it; ++pass) {
      const int64_t c = Part::column(lane, lanes, pass);
      for (int i = 0; i < kVec && c < dim; ++i) {
        const float g = sum.v[pass][i] + step.args.params.weight_decay * to_float(step.row<T>(r)[c + i]);
        squares += g * g;
      }
    }
    for (int offset = lanes / 2; offset > 0; offset /= 2) squares += __shfl_xor_sync(kFullMask, squares, offset);
    float state = 0.0f;
    if (step_it) scale = step.adagrad_scale(r, squares, &state);
    __syncwarp();  // every lane has read the old state
    if (step_it && lane == 0) step.args.state1[r] = state;
  }
  if (!step_it) return;
#pragma unroll
  for (int pass = 0; pass < kPasses; ++pass) {
    const int64_t c = Part::column(lane, lanes, pass);
#pragma unroll
    for (int i = 0; i < kVec; ++i) {
      if (c < dim) step.element<T>(r, columns.first + c + i, sum.v[pass][i], scale);
    }
  }
}

// A group of lanes a sorted place; those at the head of a segment sum it and step its row, or leave the sum of a row
// that has
// several segments: heads[tile] of the row that came from the tile before, tails[tile] of the one that begins here and
// goes on.
template <class T, int kVec, int kPasses>
__global__ void __launch_bounds__(kBlock)
    segment_kernel(RowStep step, SortedEntries sorted, int lanes, float* heads, float* tails) {
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x) / lanes;
  const int64_t dim = step.args.tables.dim;
  const Columns columns = block_columns<kVec, kPasses>(dim);
  const uint32_t row = at < sorted.rows.size ? sorted.rows[at] : 0;
  const bool from_before = at > 0 && at < sorted.rows.size && sorted.rows[at - 1] == row;
  const bool is_head = at < sorted.rows.size && row < step.args.tables.n_rows && (!from_before || at % kSegment == 0);
  RowPart<kVec, kPasses> sum;
  sum.clear();
  bool goes_on = false;
  if (is_head) {
    const int64_t tile_end = (at / kSegment + 1) * kSegment;
    const int64_t last = tile_end < sorted.rows.size ? tile_end : sorted.rows.size;
    int64_t i = at;
    for (; i < last && sorted.rows[i] == row; ++i) {
      const int64_t e = sorted.entries[i];
      const int64_t b = sorted.bags[e];
      const int32_t* winners = step.args.winners.data ? step.args.winners.row(b) : nullptr;
      const auto place = static_cast<int32_t>(e - range_of(step.args.bags, b).begin);
      sum.add(step.args.grad.row(b) + columns.first, winners ? 1.0f : step.weight(b, e),
              winners ? winners + columns.first : nullptr, place, columns.width, lane, lanes);
    }
    goes_on = i == tile_end && i < sorted.rows.size && sorted.rows[i] == row;
    if (from_before || goes_on) {
      float* of_tile = (from_before ? heads : tails) + at / kSegment * dim;
      sum.store(of_tile + columns.first, columns.width, lane, lanes);
    }
  }
  step_row<T>(step, is_head && !from_before && !goes_on, row, sum, columns, lane, lanes);
}

// A group a tile: adds the segments of the row that begins in it and goes on, in order.
template <class T, int kVec, int kPasses>
__global__ void __launch_bounds__(kBlock)
    join_segments_kernel(RowStep step, SortedEntries sorted, int lanes, const float* heads, const float* tails) {
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const int64_t tile = (static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x) / lanes;
  const int64_t dim = step.args.tables.dim;
  const Columns columns = block_columns<kVec, kPasses>(dim);
  const int64_t border = (tile + 1) * kSegment;
  uint32_t row = 0;
  bool joins = false;
  if (border < sorted.rows.size) {
    row = sorted.rows[border - 1];
    joins = row < step.args.tables.n_rows && sorted.rows[border] == row &&
            (tile == 0 || sorted.rows[tile * kSegment - 1] != row);
  }
  RowPart<kVec, kPasses> sum;
  sum.clear();
  if (joins) {
    sum.add(tails + tile * dim + columns.first, 1.0f, nullptr, 0, columns.width, lane, lanes);
    for (int64_t t = tile + 1; t * kSegment < sorted.rows.size && sorted.rows[t * kSegment] == row; ++t) {
      sum.add(heads + t * dim + columns.first, 1.0f, nullptr, 0, columns.width, lane, lanes);
    }
  }
  step_row<T>(step, joins, row, sum, columns, lane, lanes);
}

template <class T, int kVec, int kPasses>
void update_rows(Context& context, const RowStep& step, const SortedEntries& sorted) {
  const int64_t dim = step.args.tables.dim;
  const int lanes = group_lanes(dim, kVec);
  const int64_t n_tiles = (sorted.rows.size + kSegment - 1) / kSegment;
  ScratchScope scratch(context);
  float* heads = scratch.take<float>(n_tiles * dim);
  float* tails = scratch.take<float>(n_tiles * dim);
  const unsigned grid_rows = blocks_for(dim, int64_t{kWarp} * kVec * kPasses);
  launch(segment_kernel<T, kVec, kPasses>, dim3(blocks_for(sorted.rows.size, kBlock / lanes), grid_rows), kBlock, 0,
         context, step, sorted, lanes, heads, tails);
  launch(join_segments_kernel<T, kVec, kPasses>, dim3(blocks_for(n_tiles, kBlock / lanes), grid_rows), kBlock, 0,
         context, step, sorted, lanes, heads, tails);
}

// The fewest passes that reach the row's end: registers for kVec * kPasses sums.
template <class T>
void update_rows_of_width(Context& context, const RowStep& step, const SortedEntries& sorted) {
  const int64_t dim = step.args.tables.dim;
  if (dim % 4 == 0 && aligned(step.args.grad.data, 16)) {
    if (dim <= 128) return update_rows<T, 4, 1>(context, step, sorted);
    if (dim <= 256) return update_rows<T, 4, 2>(context, step, sorted);
    if (dim > kWidestRow) return update_rows<T, 4, sliced_passes(4)>(context, step, sorted);
    return update_rows<T, 4, 8>(context, step, sorted);
  }
  if (dim <= 128) return update_rows<T, 1, 4>(context, step, sorted);
  if (dim > kWidestRow) return update_rows<T, 1, sliced_passes(1)>(context, step, sorted);
  update_rows<T, 1, 32>(context, step, sorted);
}

// What the kernels above need to know of bags named by entities, slot by slot: weights (may be null), and offsets of
// slots.
__global__ void describe_slots_kernel(TableUpdateArgs args, float* weights, int64_t* offsets) {
  const int64_t slot = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (slot >= n_slots(args.bags)) return;
  const int64_t b = slot / args.bags.max_bag, first = b * args.bags.max_bag;
  if (slot == first) offsets[b] = first;
  const BagRange range = bag_range(args.bags, b);
  if (weights) weights[slot] = range.begin + slot - first < range.end ? slot_weight(args, b, slot) : 0.0f;
}

// The same update, of bags without entities whose entries are the slots.
TableUpdateArgs of_slots(Context& context, ScratchScope& scratch, const TableUpdateArgs& args) {
  const int64_t n = n_slots(args.bags);
  const bool has_weights = args.bags.weights || args.pooling == Pooling::mean;
  const bool has_places = args.pooling == Pooling::max;
  TableUpdateArgs plain = args;
  plain.bags = {.ids = {nullptr, n}, .n_bags = args.bags.n_bags};
  if (args.pooling == Pooling::mean) plain.pooling = Pooling::sum;
  if (!has_weights && !has_places) return plain;
  float* weights = has_weights ? scratch.take<float>(n) : nullptr;
  int64_t* offsets = scratch.take<int64_t>(args.bags.n_bags + 1);
  launch(describe_slots_kernel, blocks_for(n, kBlock), kBlock, 0, context, args, weights, offsets);
  plain.bags.weights = weights;
  plain.bags.offsets = offsets;
  return plain;
}

}  // namespace

void table_update(Context& context, const TableUpdateArgs& args) {
  ScratchScope scratch(context);
  SortedEntries sorted = args.sorted;
  if (sorted.rows.empty()) {
    const EntriesByRow<uint32_t, int32_t> own = take_entries(scratch, n_slots(args.bags));
    table_sort(context, {args.tables, args.bags, args.fault, own});
    sorted = {own.rows, own.entries, own.bags};
  }
  const RowStep step(context, args.bags.entities ? of_slots(context, scratch, args) : args);
  with_element(args.tables.type, [&]<class T>(T) {
    if constexpr (!std::is_same_v<T, int8_t>) update_rows_of_width<T>(context, step, sorted);
  });
}

}  // namespace sheaf::embedding::cuda
