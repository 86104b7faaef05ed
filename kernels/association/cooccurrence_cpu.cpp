#include <algorithm>

#include "kernels/association/cooccurrence.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf::association::cpu {
namespace {

constexpr int64_t kGrain = 16;

// Counts item i's partners into `count` (zero before and after) and calls finish(touched partners, how many).
template <class Finish>
void count_row(const CooccurrenceArgs& args, int64_t i, int32_t* count, int32_t* touched, Finish&& finish) {
  int64_t n_touched = 0;
  for (int64_t e = args.item_baskets.row_offsets[i]; e < args.item_baskets.row_offsets[i + 1]; ++e) {
    const int32_t basket = args.item_baskets.columns[e];
    for (int64_t m = args.baskets.row_offsets[basket]; m < args.baskets.row_offsets[basket + 1]; ++m) {
      const int32_t j = args.baskets.columns[m];
      if (j != i && count[j]++ == 0) touched[n_touched++] = j;
    }
  }
  finish(touched, n_touched);
  for (int64_t t = 0; t < n_touched; ++t) count[touched[t]] = 0;
}

// One zeroed counter array and one list a thread.
struct Workspace {
  Workspace(ScratchScope& scratch, const Context& context, int64_t n_items)
      : n(n_items),
        counts(scratch.take<int32_t>(n_items * context.n_threads())),
        lists(scratch.take<int32_t>(n_items * context.n_threads())) {
    std::fill_n(counts, n_items * context.n_threads(), 0);
  }
  int64_t n;
  int32_t* counts;
  int32_t* lists;
};

}  // namespace

void cooccurrence_sizes(Context& context, const CooccurrenceArgs& args, VectorView<int64_t> row_sizes) {
  ScratchScope scratch(context);
  const Workspace work(scratch, context, row_sizes.size);
  parallel_for(context, row_sizes.size, kGrain, [&](int64_t begin, int64_t end, int thread) {
    int32_t* count = work.counts + thread * work.n;
    for (int64_t i = begin; i < end; ++i) {
      count_row(args, i, count, work.lists + thread * work.n, [&](const int32_t* touched, int64_t n_touched) {
        row_sizes[i] =
            std::count_if(touched, touched + n_touched, [&](int32_t j) { return count[j] >= args.min_count; });
      });
    }
  });
}

void cooccurrence(Context& context, const CooccurrenceArgs& args, VectorView<const int64_t> row_offsets,
                  VectorView<int32_t> neighbours, VectorView<int32_t> counts) {
  const int64_t n_items = row_offsets.size - 1;
  ScratchScope scratch(context);
  const Workspace work(scratch, context, n_items);
  parallel_for(context, n_items, kGrain, [&](int64_t begin, int64_t end, int thread) {
    int32_t* count = work.counts + thread * work.n;
    for (int64_t i = begin; i < end; ++i) {
      count_row(args, i, count, work.lists + thread * work.n, [&](int32_t* touched, int64_t n_touched) {
        std::sort(touched, touched + n_touched);
        int64_t to = row_offsets[i];
        for (int64_t t = 0; t < n_touched; ++t) {
          if (count[touched[t]] < args.min_count) continue;
          neighbours[to] = touched[t];
          counts[to++] = count[touched[t]];
        }
      });
    }
  });
}

}  // namespace sheaf::association::cpu
