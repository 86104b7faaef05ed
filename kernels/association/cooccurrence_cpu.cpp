#include <algorithm>
#include <bit>

#include "kernels/association/cooccurrence.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf::association::cpu {
namespace {

constexpr int64_t kGrain = 16;
constexpr int64_t kBlock = 64;  // counters that are looked at together

// A thread's counters, and one byte a block of them that tells whether any was counted. All are zero between two rows.
// So a row's partners come out in ascending order without a sort, and blocks that were not counted cost one byte each.
struct Counters {
  int32_t* counts;  // [n_blocks * kBlock]
  uint8_t* used;    // [n_blocks]
  int64_t n_blocks;
};

class Workspace {
 public:
  Workspace(ScratchScope& scratch, const Context& context, int64_t n_items)
      : n_blocks_((n_items + kBlock - 1) / kBlock),
        counts_(scratch.take<int32_t>(n_blocks_ * kBlock * context.n_threads())),
        used_(scratch.take<uint8_t>(n_blocks_ * context.n_threads())) {
    std::fill_n(counts_, n_blocks_ * kBlock * context.n_threads(), 0);
    std::fill_n(used_, n_blocks_ * context.n_threads(), uint8_t{0});
  }
  Counters of_thread(int thread) const {
    return {counts_ + thread * n_blocks_ * kBlock, used_ + thread * n_blocks_, n_blocks_};
  }

 private:
  int64_t n_blocks_;
  int32_t* counts_;
  uint8_t* used_;
};

// Baskets lie anywhere; they are asked for ahead, first their offsets, then their items.
inline void prefetch_basket(const CooccurrenceArgs& args, int64_t e, int64_t end) {
  constexpr int64_t kOffsetsAhead = 24, kItemsAhead = 8;
  const int32_t* baskets = args.item_baskets.columns;
  if (e + kOffsetsAhead < end) __builtin_prefetch(args.baskets.row_offsets + baskets[e + kOffsetsAhead]);
  if (e + kItemsAhead < end) {
    __builtin_prefetch(args.baskets.columns + args.baskets.row_offsets[baskets[e + kItemsAhead]]);
  }
}

// Counts item i's partners, calls use(first item, counters of a block) for the blocks that hold some, in ascending
// order, and makes the counters zero again.
template <class Use>
void count_row(const CooccurrenceArgs& args, int64_t i, const Counters& counters, Use&& use) {
  const int64_t begin = args.item_baskets.row_offsets[i], end = args.item_baskets.row_offsets[i + 1];
  if (begin == end) return;
  const int32_t* __restrict items = args.baskets.columns;
  int32_t* __restrict counts = counters.counts;
  uint8_t* __restrict used = counters.used;
  for (int64_t e = begin; e < end; ++e) {
    prefetch_basket(args, e, end);
    const int32_t basket = args.item_baskets.columns[e];
    const int64_t last = args.baskets.row_offsets[basket + 1];
    for (int64_t m = args.baskets.row_offsets[basket]; m < last; ++m) {
      const int32_t j = items[m];
      ++counts[j];
      used[j / kBlock] = 1;
    }
  }
  counts[i] = 0;  // it is no partner of its own
  for (int64_t block = 0; block < counters.n_blocks; ++block) {
    if (!used[block]) continue;
    used[block] = 0;
    int32_t* of_block = counts + block * kBlock;
    use(block * kBlock, of_block);
    std::fill_n(of_block, kBlock, 0);
  }
}

// Bit c: counter c of a block is at least min_count. The loop is vectorised; the product moves the lowest bits of eight
// bytes into one.
inline uint64_t frequent(const int32_t* counts, int32_t min_count) {
  constexpr uint64_t kGather = 0x0102040810204080;
  uint8_t is_frequent[kBlock];
#pragma omp simd
  for (int64_t c = 0; c < kBlock; ++c) is_frequent[c] = static_cast<uint8_t>(counts[c] >= min_count);
  uint64_t bits = 0;
  for (int64_t w = 0; w < kBlock / 8; ++w) {
    uint64_t eight = 0;
    for (int64_t c = 0; c < 8; ++c) eight |= uint64_t{is_frequent[8 * w + c]} << (8 * c);
    bits |= (eight * kGather >> 56) << (8 * w);
  }
  return bits;
}

}  // namespace

void cooccurrence_sizes(Context& context, const CooccurrenceArgs& args, VectorView<int64_t> row_sizes) {
  ScratchScope scratch(context);
  const Workspace work(scratch, context, row_sizes.size);
  parallel_for(context, row_sizes.size, kGrain, [&](int64_t begin, int64_t end, int thread) {
    const Counters counters = work.of_thread(thread);
    for (int64_t i = begin; i < end; ++i) {
      int64_t n = 0;
      count_row(args, i, counters,
                [&](int64_t, const int32_t* counts) { n += std::popcount(frequent(counts, args.min_count)); });
      row_sizes[i] = n;
    }
  });
}

void cooccurrence(Context& context, const CooccurrenceArgs& args, VectorView<const int64_t> row_offsets,
                  VectorView<int32_t> neighbours, VectorView<int32_t> counts) {
  const int64_t n_items = row_offsets.size - 1;
  ScratchScope scratch(context);
  const Workspace work(scratch, context, n_items);
  parallel_for(context, n_items, kGrain, [&](int64_t begin, int64_t end, int thread) {
    const Counters counters = work.of_thread(thread);
    for (int64_t i = begin; i < end; ++i) {
      int64_t to = row_offsets[i];
      count_row(args, i, counters, [&](int64_t first, const int32_t* of_block) {
        for (uint64_t bits = frequent(of_block, args.min_count); bits != 0; bits &= bits - 1) {
          const int c = std::countr_zero(bits);
          neighbours[to] = static_cast<int32_t>(first) + c;
          counts[to++] = of_block[c];
        }
      });
    }
  });
}

}  // namespace sheaf::association::cpu
