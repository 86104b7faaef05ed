#pragma once
/// The terms of bundle problems by definition, in double precision.
/// A bound beside a value says how far float arithmetic may be from it.

#include <cstdint>
#include <vector>

namespace sheaf::ref {

/// The input of genetic::bundle_terms: either vectors [n_items, dim] or, with dim 0, a dense association [n_items,
/// n_items].
struct BundleInput {
  int64_t n_candidates = 0;
  std::vector<int32_t> candidates;  // [n_problems, n_candidates]
  std::vector<float> probability;   // as candidates
  int64_t dim = 0;
  std::vector<float> vectors, association;
  std::vector<float> item_price;
  std::vector<float> item_cost = {};  // or empty
  double scale = 1.0, weight_association = 1.0, weight_preference = 0.0, weight_revenue = 0.0;
};

/// Values and bounds.
struct BundleTerms {
  std::vector<double> linear, linear_bound;  // [n_problems, C]
  std::vector<double> pair, pair_bound;      // [n_problems, C, C]
};
BundleTerms bundle_terms(const BundleInput& input);

/// A number and its bound.
struct BoundedNumber {
  double value = 0.0;
  double error = 0.0;
};
/// max(0, cos(a, b)); 0 where a length is 0 or no number.
BoundedNumber positive_cosine(const float* a, const float* b, int64_t dim);

/// What genetic::joint_pairs reads; matrices of items are dense.
struct JointInput {
  int64_t n_candidates = 0;
  std::vector<int32_t> candidates;         // [n_problems, n_candidates]
  std::vector<float> probability, value;   // as candidates
  std::vector<float> counts, substitutes;  // [n_items, n_items]; a substitute is not 0
  std::vector<float> frequency;            // [n_items]
  std::vector<int32_t> item_category;      // [n_items]
  int64_t n_categories = 0, dim = 0;       // 0: no prior, no vectors
  std::vector<float> prior, vectors;
  double prior_strength = 5.0, prior_cosine = 0.0, exponent = 1.0, offset = 0.0;
  double weight = 1.0, substitute_factor = 1.0;
  std::vector<float> pair;  // [n_problems, n_candidates, n_candidates] before
};
/// `pair` after.
struct JointPairs {
  std::vector<double> pair, bound;
};
JointPairs joint_pairs(const JointInput& input);

}  // namespace sheaf::ref
