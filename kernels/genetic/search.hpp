#pragma once
/// Searches the best set of each bundle problem. A population of local searches improves sets side by side and
/// exchanges them in a pool, round by round. All rounds of a call run on the device; nothing returns to the host in
/// between.
///
/// A round of one local search: build a set, improve it by single adds, drops and swaps, give the best to the pool. The
/// pool keeps the best `local_searches` different sets. All moves are judged on h = linear + pair x, kept up to date:
/// the gain of swapping i for j is h[j] - h[i] - pair[i, j], one read. Constraints are penalised, with factors that
/// grow while one is broken and shrink while it holds. So a search moves to and fro across the border of the feasible
/// sets.
///   greedy      the set grows by gain over weight, with noise except in search 0; then the best move while it improves
///   genetic     children of two sets of the pool (tournament): what both hold, filled from their union by gain;
///               mutated, repaired by the best moves, then improved like greedy
///   anneal      parallel tempering: search c keeps its set at temperature c; a move is a random row of swaps
///               (or adds, or drops), and in it a random one of those whose loss is below the temperature times an
///               exponential draw; neighbours exchange sets
///   relaxed     gradient ascent on the relaxed choice x in [0, 1]^n with prices on the constraints, rounding by x,
///               repair, best moves
///   portfolio   starts of greedy and relaxed, children like genetic; improved by tabu search, every fourth one by
///               annealing
/// Draws are keyed by (seed, island, problem_ids[p], round, number of the local search). So a problem's result depends
/// neither on its batch nor on the number of threads. Islands: with `islands` above 1, each problem has that many
/// populations of `local_searches`, each with its own pool and draws (on a device each is a block). Before every round
/// whose number is a multiple of `migrate_every`, an island takes the best quarter of the pool (at least one set) of
/// the island before it, in a ring, into its own pool. All pools are read as they were after the round before.
/// Annealing takes the best of these sets for its coldest search, where it is better. At the end `pool` gets the best
/// `local_searches` different sets of all islands.
/// change the last bits between backends.
/// No move is chosen because of a NaN term. Infinite weights are not supported.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/genetic/problem.hpp"

namespace sheaf::genetic {

enum class Strategy : int32_t { portfolio, genetic, anneal, greedy, relaxed };

struct SearchParams {
  Strategy strategy = Strategy::portfolio;
  int32_t local_searches = 16;  // 1 .. 32
  int32_t rounds = 8;           // at least 1
  int32_t iterations = 64;      // moves of a local search in a round, at least 1
  int32_t first_round = 0;    // rounds made by earlier calls; above 0, `pool` (or `island_pools`) holds what they left
  int32_t islands = 1;        // 1 .. 65536 of each problem
  int32_t migrate_every = 2;  // rounds; 0: never
  uint64_t seed = 0;
};

struct SearchArgs {
  SearchProblems problems;
  SearchParams params;
  VectorView<const int64_t> problem_ids;  // [n_problems] keys of the random draws
  MatrixView<SearchSet> pool;             // [n_problems, local_searches] best first; read when first_round > 0
  VectorView<int64_t> evaluations;        // [n_problems] moves judged, added to what is there
  MatrixView<float> history;              // [n_problems, rounds] best feasible value so far (-inf: none), or empty
  /// [n_problems, islands * local_searches] the islands' own pools, or empty. Read in place of `pool` when
  /// first_round > 0: the islands continue as in one call. Without it all islands continue from `pool`, with their own
  /// draws.
  MatrixView<SearchSet> island_pools = {};
};

/// pool[p, 0] is the best: feasible before infeasible, then by value or violation, then by the smaller mask. Values are
/// summed again from the set (ascending ids), so they have no accumulated error.
void search(Context& context, const SearchArgs& args);
OpCost search_cost(const SearchArgs& args);

SHEAF_BACKENDS(search, SearchArgs);

}  // namespace sheaf::genetic
