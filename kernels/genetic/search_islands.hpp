#pragma once
/// Islands of the search, the same on all backends: their draws, which island takes sets from which and when, the best
/// of all. See search.hpp.

#include <cstdint>

#include "kernels/core/philox.hpp"
#include "kernels/genetic/search.hpp"
#include "kernels/genetic/search_pool.hpp"

namespace sheaf::genetic {

inline constexpr int32_t kMaxIslands = 1 << 16;
inline constexpr int32_t kMaxMigrants = kMaxLocalSearches / 4;

/// The first island has the same draws as a search without islands.
SHEAF_HD inline uint64_t island_seed(uint64_t seed, int32_t island) {
  if (island == 0) return seed;
  const Random4 words = random4({seed, Purpose::search_init, 0}, static_cast<uint64_t>(island), 0);
  return static_cast<uint64_t>(words.v[1]) << 32 | words.v[0];
}

/// Sets that an island takes at a time.
SHEAF_HD inline int32_t n_migrants(int32_t pool_size) { return pool_size < 4 ? 1 : pool_size / 4; }

SHEAF_HD inline int32_t island_before(int32_t island, int32_t islands) {
  return island == 0 ? islands - 1 : island - 1;
}

/// Whether sets migrate before this round, counted over all calls.
SHEAF_HD inline bool migrates_before(const SearchParams& params, int32_t step) {
  return params.islands > 1 && params.migrate_every > 0 && step > 0 && step % params.migrate_every == 0;
}

/// The first set of an island's pool that is worse than `last`; the pool's length if there is none. Of two equal sets
/// neither is worse, so a set that was taken from another island is passed over.
SHEAF_HD inline int32_t first_worse(const SearchSet* pool, int32_t pool_size, const SearchSet& last) {
  int32_t c = 0;
  while (c < pool_size && compare_sets(last, pool[c]) <= 0) ++c;
  return c;
}

}  // namespace sheaf::genetic
