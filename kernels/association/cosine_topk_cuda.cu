#include <algorithm>

#include "kernels/association/cosine_filter.cuh"
#include "kernels/association/cosine_topk.hpp"

namespace sheaf::association::cuda {
namespace {

constexpr int kCosineTopkBlock = 128;
constexpr int64_t kMaxSplits = 8;

/// The value of an fp16 that is neither infinite nor NaN.
__device__ float half_value(uint32_t bits) {
  const auto exponent = static_cast<int>(bits >> 10 & 31);
  const auto digits = static_cast<float>(bits & 1023);
  const float value = exponent == 0 ? ldexpf(digits, -24) : ldexpf(digits + 1024.0f, exponent - 25);
  return (bits & 0x8000) != 0 ? -value : value;
}

struct UnitOutputs {
  float* floats;
  uint32_t* halves;
  float* residuals;
  int64_t float_stride, half_stride;
  int* largest_residual;
};

// One warp a row; rows without direction (zero length, NaN or infinity) become zeros.
__global__ void unit_rows_kernel(MatrixView<const float> vectors, UnitOutputs out) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kCosineTopkBlock + threadIdx.x) / kWarp;
  if (i >= vectors.rows) return;
  const int lane = threadIdx.x % kWarp;
  double squares = 0;
  for (int64_t c = lane; c < vectors.cols; c += kWarp) {
    const double x = vectors(i, c);
    squares += x * x;
  }
  squares = warp_sum(squares);
  const bool has_direction = squares > 0 && squares < static_cast<double>(INFINITY);
  const double inverse = has_direction ? 1.0 / sqrt(squares) : 0.0;
  const auto unit = [&](int64_t c) {
    return has_direction && c < vectors.cols ? static_cast<float>(static_cast<double>(vectors(i, c)) * inverse) : 0.0f;
  };
  double rest = 0;
  for (int64_t c = 2 * lane; c < out.half_stride; c += 2 * kWarp) {
    const float low = unit(c), high = unit(c + 1);
    const uint32_t pair = pack_halves<MmaType::f16>(low, high);
    out.halves[(i * out.half_stride + c) / 2] = pair;
    const double low_rest = static_cast<double>(low) - static_cast<double>(half_value(pair & 0xffff));
    const double high_rest = static_cast<double>(high) - static_cast<double>(half_value(pair >> 16));
    rest += low_rest * low_rest + high_rest * high_rest;
    if (c < out.float_stride) {
      out.floats[i * out.float_stride + c] = low;
      out.floats[i * out.float_stride + c + 1] = high;
    }
  }
  rest = warp_sum(rest);
  if (lane != 0) return;
  const float residual = static_cast<float>(sqrt(rest)) * (1.0f + 0x1.0p-20f);
  out.residuals[i] = has_direction ? residual : -1.0f;
  if (has_direction) atomicMax(out.largest_residual, __float_as_int(residual));
}

// One warp a query: the lists of all splits into one.
__global__ void merge_lists_kernel(CosineTopkArgs args, MatrixView<const int32_t> ids, MatrixView<const float> scores,
                                   int64_t n_splits) {
  __shared__ uint64_t keys[kCosineTopkBlock / kWarp][kMaxSorted];
  const int64_t query = (static_cast<int64_t>(blockIdx.x) * kCosineTopkBlock + threadIdx.x) / kWarp;
  if (query >= args.neighbours.rows) return;
  uint64_t* own = keys[threadIdx.x / kWarp];
  const auto k = static_cast<int>(args.neighbours.cols);
  for (int64_t split = 0; split < n_splits; ++split) {
    const int64_t list = split * args.neighbours.rows + query;
    read_list(args.neighbours.row(query), args.scores.row(query), k, own);
    read_list(ids.row(list), scores.row(list), k, own + k);
    write_best(own, 2 * k, k, args.neighbours.row(query), args.scores.row(query));
    __syncwarp();
  }
}

Units make_units(Context& context, ScratchScope& scratch, MatrixView<const float> vectors, Filter& filter) {
  const int64_t n = vectors.rows;
  int* largest = scratch.take<int>(1);
  context.fill_bytes(largest, 0, sizeof(int));
  const UnitOutputs out{.floats = scratch.take<float>(n * filter.float_stride),
                        .halves = scratch.take<uint32_t>(n * filter.half_stride / 2),
                        .residuals = scratch.take<float>(n),
                        .float_stride = filter.float_stride,
                        .half_stride = filter.half_stride,
                        .largest_residual = largest};
  launch(unit_rows_kernel, blocks_for(n, kCosineTopkBlock / kWarp), kCosineTopkBlock, 0, context, vectors, out);
  filter.largest_residual = largest;
  return {out.floats, out.halves, out.residuals, n};
}

int64_t device_attribute(cudaDeviceAttr attribute, const Context& context) {
  int value = 0;
  cuda_check(cudaDeviceGetAttribute(&value, attribute, context.device().ordinal), "cudaDeviceGetAttribute");
  return value;
}

/// The fewest parts of the items that keep the processors busy to the end.
int64_t choose_splits(int64_t n_row_blocks, int64_t n_tiles, int64_t n_processors) {
  int64_t best = 1;
  double best_share = 0;
  for (int64_t splits = 1; splits <= std::min(std::max(kMaxSplits, n_processors / n_row_blocks), n_tiles); ++splits) {
    const int64_t parts = n_row_blocks * splits;
    const int64_t rounds = (parts + n_processors - 1) / n_processors;
    const double share = static_cast<double>(parts) / static_cast<double>(rounds * n_processors);
    if (share > best_share + 0.05) {
      best = splits;
      best_share = share;
    }
  }
  return best;
}

}  // namespace

void cosine_topk(Context& context, const CosineTopkArgs& args) {
  const int64_t n_queries = args.queries.rows, k = args.neighbours.cols, dim = args.vectors.cols;
  if (!args.merge) {
    context.fill_bytes(args.neighbours.data, 0xff, static_cast<size_t>(args.neighbours.size()) * sizeof(int32_t));
    context.fill_bytes(args.scores.data, 0, static_cast<size_t>(args.scores.size()) * sizeof(float));
  }
  if (args.vectors.rows == 0) return;
  ScratchScope scratch(context);
  Filter filter{};
  filter.args = args;
  filter.float_stride = (dim + 3) / 4 * 4;
  filter.half_stride = (dim + kChunk - 1) / kChunk * kChunk;
  const bool is_own = args.queries.data == args.vectors.data && n_queries == args.vectors.rows;
  if (!is_own) filter.queries = make_units(context, scratch, args.queries, filter);
  filter.items = make_units(context, scratch, args.vectors, filter);
  if (is_own) filter.queries = filter.items;
  // Each addition of a tensor core may lose a unit of the largest term's last place, each float one half of that.
  filter.rounding = static_cast<float>(dim + 8) * 0x1.0p-22f;
  filter.least = product_bound(std::max(args.min_score, 0.0f), args.scale);

  const int64_t n_processors = device_attribute(cudaDevAttrMultiProcessorCount, context);
  const int64_t n_tiles = (args.vectors.rows + kTileColumns - 1) / kTileColumns;
  filter.n_row_blocks = (n_queries + kTileRows - 1) / kTileRows;
  filter.n_splits = choose_splits(filter.n_row_blocks, n_tiles, n_processors);
  filter.ids = args.neighbours;
  filter.scores = args.scores;
  if (filter.n_splits > 1) {
    const int64_t n_lists = filter.n_splits * n_queries;
    filter.ids = {scratch.take<int32_t>(n_lists * k), n_lists, k};
    filter.scores = {scratch.take<float>(n_lists * k), n_lists, k};
    context.fill_bytes(filter.ids.data, 0xff, static_cast<size_t>(n_lists * k) * sizeof(int32_t));
  }
  const int64_t n_blocks = std::min(filter.n_row_blocks * filter.n_splits, n_processors);
  filter.pending = scratch.take<int32_t>(n_blocks * kTileRows * kPending);

  const auto most_shared = static_cast<size_t>(device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, context));
  constexpr size_t kStaticShared = 4096;  // at least FilterBlock::Shared
  const bool rows_stay = filter_shared_bytes(filter.half_stride, true) + kStaticShared <= most_shared;
  launch(rows_stay ? cosine_filter_kernel<true> : cosine_filter_kernel<false>, static_cast<unsigned>(n_blocks),
         kFilterThreads, filter_shared_bytes(filter.half_stride, rows_stay), context, filter);
  if (filter.n_splits > 1) {
    launch(merge_lists_kernel, blocks_for(n_queries, kCosineTopkBlock / kWarp), kCosineTopkBlock, 0, context, args,
           MatrixView<const int32_t>(filter.ids), MatrixView<const float>(filter.scores), filter.n_splits);
  }
}

}  // namespace sheaf::association::cuda
