#include <algorithm>
#include <bit>

#include "kernels/association/cooccurrence.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf::association::cpu {
namespace {

constexpr int64_t kGrain = 16;
constexpr int64_t kWord = 64;           // items of a word of bits
constexpr int64_t kWordsAPartner = 16;  // with fewer partners than a word in 16, a sort is faster than the bits

// Of one thread. Counters and bits are zero between two rows.
struct Counters {
  int32_t* counts;    // [n_items]
  int32_t* partners;  // [n_items + 1], in the order in which they were met
  uint64_t* bits;     // [n_words]
};

class Workspace {
 public:
  Workspace(ScratchScope& scratch, const Context& context, int64_t n_items)
      : n_items_(n_items),
        n_words_((n_items + kWord - 1) / kWord),
        counts_(scratch.take<int32_t>(n_items * context.n_threads())),
        partners_(scratch.take<int32_t>((n_items + 1) * context.n_threads())),
        bits_(scratch.take<uint64_t>(n_words_ * context.n_threads())) {
    std::fill_n(counts_, n_items * context.n_threads(), 0);
    std::fill_n(bits_, n_words_ * context.n_threads(), uint64_t{0});
  }
  Counters of_thread(int thread) const {
    return {counts_ + thread * n_items_, partners_ + thread * (n_items_ + 1), bits_ + thread * n_words_};
  }
  int64_t n_words() const { return n_words_; }

 private:
  int64_t n_items_, n_words_;
  int32_t* counts_;
  int32_t* partners_;
  uint64_t* bits_;
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

// Counts item i's partners, calls use(how many they are) and makes the counters zero again. Without a branch: whether
// an item is new cannot be foretold.
template <class Use>
void count_row(const CooccurrenceArgs& args, int64_t i, const Counters& counters, Use&& use) {
  const int64_t begin = args.item_baskets.row_offsets[i], end = args.item_baskets.row_offsets[i + 1];
  const int32_t* __restrict items = args.baskets.columns;
  int32_t* __restrict counts = counters.counts;
  int32_t* __restrict partners = counters.partners;
  int64_t n = 0;
  for (int64_t e = begin; e < end; ++e) {
    prefetch_basket(args, e, end);
    const int32_t basket = args.item_baskets.columns[e];
    const int64_t last = args.baskets.row_offsets[basket + 1];
    for (int64_t m = args.baskets.row_offsets[basket]; m < last; ++m) {
      const int32_t j = items[m];
      const int32_t before = counts[j];
      counts[j] = before + 1;
      partners[n] = j;
      n += before == 0;
    }
  }
  counts[i] = 0;  // it is no partner of its own: a count of 0 is below every min_count
  use(n);
  for (int64_t t = 0; t < n; ++t) counts[partners[t]] = 0;
}

// Calls use(partner) in ascending order for those of the n that were counted often enough.
template <class Use>
void for_each_frequent(const Counters& counters, int64_t n, int64_t n_words, int32_t min_count, Use&& use) {
  int32_t* partners = counters.partners;
  if (n * kWordsAPartner < n_words) {
    std::sort(partners, partners + n);
    for (int64_t t = 0; t < n; ++t) {
      if (counters.counts[partners[t]] >= min_count) use(partners[t]);
    }
    return;
  }
  for (int64_t t = 0; t < n; ++t) {
    const int32_t j = partners[t];
    counters.bits[j / kWord] |= static_cast<uint64_t>(counters.counts[j] >= min_count) << (j % kWord);
  }
  for (int64_t w = 0; w < n_words; ++w) {
    if (counters.bits[w] == 0) continue;
    for (uint64_t bits = counters.bits[w]; bits != 0; bits &= bits - 1) {
      use(static_cast<int32_t>(w * kWord) + std::countr_zero(bits));
    }
    counters.bits[w] = 0;
  }
}

}  // namespace

void cooccurrence_sizes(Context& context, const CooccurrenceArgs& args, VectorView<int64_t> row_sizes) {
  ScratchScope scratch(context);
  const Workspace work(scratch, context, row_sizes.size);
  parallel_for(context, row_sizes.size, kGrain, [&](int64_t begin, int64_t end, int thread) {
    const Counters counters = work.of_thread(thread);
    for (int64_t i = begin; i < end; ++i) {
      int64_t n = 0;
      count_row(args, i, counters, [&](int64_t n_partners) {
        for (int64_t t = 0; t < n_partners; ++t) n += counters.counts[counters.partners[t]] >= args.min_count;
      });
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
      count_row(args, i, counters, [&](int64_t n_partners) {
        for_each_frequent(counters, n_partners, work.n_words(), args.min_count, [&](int32_t j) {
          neighbours[to] = j;
          counts[to++] = counters.counts[j];
        });
      });
    }
  });
}

}  // namespace sheaf::association::cpu
