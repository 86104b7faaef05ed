#pragma once
/// Bundles that people made, or baskets to complete, from a CSV file: one line for each item, columns `bundle` and
/// `item` (ids of the prepared set), and for baskets to complete optionally `user`. Lines of one bundle need not stand
/// together. An item that a bundle names twice counts once.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/data/csr.hpp"
#include "host/data/prepared.hpp"
#include "host/data/unknown_ids.hpp"
#include "kernels/core/context.hpp"

namespace sheaf::data {

struct GivenBundles {
  std::vector<std::string> names;           // as the file has them, in the order in which they first come
  std::vector<std::vector<int32_t>> items;  // ascending, known items only
  std::vector<int32_t> users;               // one a bundle, or empty: the file names none
  int64_t n_items = 0;                      // different items that the file names
  int64_t n_unknown = 0;                    // of those, how many the prepared set does not have
  std::string first_unknown;                // "'x' (line 7)", or empty

  /// [bundles, items], a pattern, of those with at least `min_size` known items.
  HostCsr matrix(int64_t n_items, size_t min_size) const;
};

/// Bundles to learn from. Unknown items are counted and left out. DataError with file and line for a missing column, an
/// empty field, a row of a wrong width, a bundle of one item, and a file without a bundle of two known items.
GivenBundles read_given_bundles(const std::filesystem::path& path, const Prepared& prepared, const Context& context);

/// Baskets to complete: one item is enough. Lines with an unknown item or user are left out, or refused, by `ids`.
/// DataError as above, also for a bundle of two users and a file without a known item.
GivenBundles read_partial_bundles(const std::filesystem::path& path, const Context& context, IdLookup& ids);

}  // namespace sheaf::data
