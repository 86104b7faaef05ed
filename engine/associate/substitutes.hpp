#pragma once
/// Which products replace each other, and which are used together, judged by what the same users put into one basket.
///
/// Expected. If user u's products fall into u's baskets at random, with a basket's probability in proportion to its
/// size, i and j are together in
///   e_ij = sum over users of n_ui n_uj f_u,   f_u = sum_b w_b^2 / (sum_b w_b)^2
/// baskets: n_ui = baskets of u with i, w_b = number of different categories in basket b. (With w_b = 1 it is n_ui
/// n_uj / n_u, and then every pair of a large trip looks like a complement.) Users who never buy one of the two do not
/// count.
///
/// Ratio. Observed baskets with both, o_ij, are Poisson with mean r_ij e_ij; r_ij has a Gamma prior of shape s and mean
/// m_ij. So
///   ratio = (o_ij + s) / (e_ij + s / m_ij),   lower and upper = the 5 and 95 % points of its posterior
/// (Wilson and Hilferty's cube, within 3 % of the exact points for s = 2). The prior's mean comes from other pairs, by
/// the same formula, in levels: 1; all pairs of the category; the pairs of the same two product types in it. For pairs
/// of two categories: 1; all pairs of these two. Each level leaves out what the next one counts.
///
/// Kinds. A substitute is a pair of one category
/// - whose upper end is below 1, and between which users switch: of the baskets that hold one of the two, ordered by
///   time, at least half as many neighbours differ as chance would give (products of two seasons are never near each
///   other in time, and do not replace each other); or
/// - of one product type whose pairs are substitutes as a whole (the upper end of the type's ratio is below 1), unless
///   the pair's own counts say that it is bought together (the lower end of (o + s) / (e + s) is above 1).
/// A complement is a pair in at least min_together baskets whose lower end is above 1. All else is neither.
///
/// Time: sums of squares of the baskets' sizes and of each user's products of one category. A pair of two categories
/// costs the buyers of the rarer item. A pair that may be a substitute costs the baskets of both items. Memory: the
/// pairs with evidence, no matrix of all items; where it is not free, a DeviceError says so before it is taken. One
/// thread, no atomics: the same input gives the same bytes.

#include <cstdint>
#include <span>
#include <vector>

#include "engine/data/csr.hpp"

namespace sheaf {

enum class PairKind : uint8_t { neither, substitute, complement };
const char* to_string(PairKind kind);  // "neither", "substitute", "complement"

/// What is known of two products. Baskets are numbers of baskets.
struct PairRelation {
  PairKind kind = PairKind::neither;
  int32_t together = 0;        // baskets with both: o
  float expected = 0;          // e
  float ratio = 1;             // how many times the expected baskets, shrunk
  float lower = 0, upper = 0;  // 5 and 95 % points of the ratio
  // Counted for pairs whose upper end is below 1, and for substitutes: neighbouring baskets of a user that differ,
  // among those with just one of the two items. If their order were by chance: sum over users of 2 a b / (a + b), for a
  // and b baskets.
  int32_t switches = 0;
  float expected_switches = 0;
  /// Substitute: the share of the expected baskets that is missing, 1 - min(ratio, 1). Complement: lower - 1. Neither:
  /// 0.
  float strength = 0;
};

/// The training baskets and the products.
struct RelationInput {
  const HostCsr& baskets;                // [n_baskets, n_items] pattern
  std::span<const int32_t> basket_user;  // [n_baskets] >= 0
  std::span<const int64_t> basket_time;  // [n_baskets] seconds; ties by the basket's number
  std::span<const int32_t> category;     // [n_items]; negative: unknown, such an item has no substitutes
  std::span<const int32_t> type = {};    // [n_items] product type, or empty; negative: unknown
};

struct RelationParams {
  double prior_within = 2.0;   // s of a pair of one category, of its types and of the category
  double prior_across = 10.0;  // s of a pair of two categories, and of all pairs of these two: such pairs differ less
  int64_t min_together = 3;    // baskets of a complement, and of a pair of two categories to be counted at all
};

class PairRelations {
 public:
  /// The relation of any two different items, in either order. Without users in common it is what their types and
  /// category say.
  PairRelation find(int32_t i, int32_t j) const;
  PairKind kind(int32_t i, int32_t j) const { return find(i, j).kind; }
  int64_t n_items() const { return static_cast<int64_t>(category_.size()); }

  /// Items j that have users in common with i and a category in common, or that are together with i in min_together
  /// baskets; ascending. Without those that are neither and of which one has no known category.
  std::span<const int32_t> partners(int32_t i) const { return rows_.row(i); }
  /// Pairs of `partners` of a kind, both ways, values = strength: [n_items, n_items].
  HostCsr of_kind(PairKind kind) const;
  HostCsr substitutes() const { return of_kind(PairKind::substitute); }
  HostCsr complements() const { return of_kind(PairKind::complement); }

 private:
  friend class RelationBuilder;

  /// Sums over pairs, to learn the means of the priors.
  struct Pool {
    double together = 0, expected = 0;
  };
  struct TypePool {
    int64_t key = 0;  // of two types of one category
    Pool pool;
  };

  int64_t type_key(int32_t i, int32_t j) const;
  Pool type_pool(int32_t i, int32_t j) const;
  void judge_within(int32_t i, int32_t j, PairRelation& pair) const;  // except switches
  void judge_across(const Pool& categories, PairRelation& pair) const;

  RelationParams params_;
  std::vector<int32_t> category_, type_;  // [n_items]
  std::vector<Pool> category_pools_;      // [n_categories]
  std::vector<TypePool> type_pools_;      // by key
  HostCsr rows_;                          // [n_items, n_items] pattern, both ways
  std::vector<int32_t> pair_of_;          // [nnz] index into pairs_
  std::vector<PairRelation> pairs_;       // each pair once
};

/// UsageError for lengths that do not fit or a negative user.
PairRelations relate_pairs(const RelationInput& input, const RelationParams& params = {});

}  // namespace sheaf
