#include <algorithm>
#include <bit>

#include "kernels/core/parallel.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/core/sort.hpp"
#include "kernels/embedding/sparse_update.hpp"

namespace sheaf::embedding::cpu {

// Entries (n, e) are sorted by table row; each run of one row is summed in occurrence order and updated by one thread.
void sparse_update(Context& context, const SparseUpdateArgs& args) {
  constexpr int64_t kGrain = 64;
  const int64_t n_ids = args.ids.size;
  const int64_t dim = args.grad.cols;
  const CsrView& bags = args.bags;
  ScratchScope scratch(context);

  int64_t n_entries = 0;
  for (int64_t n = 0; n < n_ids; ++n) n_entries += bags.row_size(args.ids[n]);
  if (n_entries == 0) return;
  uint32_t* rows = scratch.take<uint32_t>(n_entries);
  uint32_t* entries = scratch.take<uint32_t>(n_entries);
  int32_t* entry_bag = scratch.take<int32_t>(n_entries);
  float* entry_weight = bags.values ? scratch.take<float>(n_entries) : nullptr;
  int64_t next = 0;
  for (int64_t n = 0; n < n_ids; ++n) {
    for (int64_t e = bags.row_offsets[args.ids[n]]; e < bags.row_offsets[args.ids[n] + 1]; ++e, ++next) {
      rows[next] = static_cast<uint32_t>(bags.columns[e]);
      entries[next] = static_cast<uint32_t>(next);
      entry_bag[next] = static_cast<int32_t>(n);
      if (entry_weight) entry_weight[next] = bags.values[e];
    }
  }
  uint32_t* sorted_rows = scratch.take<uint32_t>(n_entries);
  uint32_t* sorted_entries = scratch.take<uint32_t>(n_entries);
  const int key_bits = std::max(1, static_cast<int>(std::bit_width(static_cast<uint64_t>(args.table.rows - 1))));
  sheaf::sort_pairs(
      context,
      {{rows, n_entries}, {entries, n_entries}, key_bits, {sorted_rows, n_entries}, {sorted_entries, n_entries}});

  int64_t* run_start = scratch.take<int64_t>(n_entries + 1);
  int64_t n_runs = 0;
  for (int64_t i = 0; i < n_entries; ++i) {
    if (i == 0 || sorted_rows[i] != sorted_rows[i - 1]) run_start[n_runs++] = i;
  }
  run_start[n_runs] = n_entries;

  const AdamStep step(args.adam);
  float* sums = scratch.take<float>(dim * context.n_threads());
  parallel_for(context, n_runs, kGrain, [&](int64_t begin, int64_t end, int thread) {
    float* sum = sums + thread * dim;
    for (int64_t run = begin; run < end; ++run) {
      std::fill_n(sum, dim, 0.0f);
      for (int64_t i = run_start[run]; i < run_start[run + 1]; ++i) {
        const uint32_t entry = sorted_entries[i];
        axpy(entry_weight ? entry_weight[entry] : 1.0f, args.grad.row(entry_bag[entry]), sum, dim);
      }
      const auto row = static_cast<int64_t>(sorted_rows[run_start[run]]);
      float* parameter = args.table.row(row);
      float* moment1 = args.moment1.row(row);
      float* moment2 = args.moment2.row(row);
      for (int64_t c = 0; c < dim; ++c) step.apply(sum[c], parameter[c], moment1[c], moment2[c]);
    }
  });
}

}  // namespace sheaf::embedding::cpu
