#pragma once
/// Sets of items with the highest utility over all transactions: high-utility itemsets (Liu, Liao, Choudhary, 2005).

#include <cstdint>
#include <vector>

#include "engine/data/csr.hpp"
#include "kernels/core/context.hpp"
#include "kernels/genetic/search.hpp"

namespace sheaf {

/// What each item was worth in each transaction. In double precision: whole numbers up to 2^53 are exact.
struct UtilityTransactions {
  HostCsr rows;                     // [n_transactions, n_items] a pattern
  std::vector<double> utilities{};  // [rows.nnz()]
};

/// utility(S) = sum over the transactions t that hold all of S of the sum over i in S of utilities[t, i], in double
/// precision.
struct UtilitySet {
  std::vector<int32_t> items;  // ascending
  double utility = 0.0;
  int64_t n_transactions = 0;
};

struct UtilityParams {
  int64_t count = 20;                  // sets in the answer
  int64_t min_size = 2, max_size = 4;  // 1 .. 16
  int64_t candidates = 64;             // partners of an item that are searched beside it, 2 .. 255
  genetic::SearchParams search{.local_searches = 16, .rounds = 2, .iterations = 16};
};

/// The best `count` sets found, by utility, then items; sets that no transaction holds are left out.
///
/// The utility is no sum of pair terms. But among the transactions of one item a, that of {a, j, k} is:
/// pair[j, k] = utility({a, j, k}). So around each item there is a bundle problem for each size from 3 on. It is exact
/// for size 3; above, it is the sum of the triples. genetic::search solves these problems in batches. Pairs, and all
/// sets of the pools, are measured by definition. Then so is everything one add, drop or swap away from the best
/// `count`, until none of it joins them. That does not prove that they are the best.
/// An interrupt ends it within a transaction (Interrupted).
/// UsageError for negative or infinite values and for parameters out of range.
std::vector<UtilitySet> high_utility_sets(Context& context, const UtilityTransactions& transactions,
                                          const UtilityParams& params);

}  // namespace sheaf
