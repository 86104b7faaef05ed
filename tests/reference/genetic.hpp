#pragma once
/// The terms of bundle problems by definition, in double precision.

#include <cstdint>
#include <vector>

namespace sheaf::ref {

/// What genetic::bundle_terms reads. Either vectors [n_items, dim] or, with dim 0, a dense association [n_items, n_items].
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

/// Values, and beside each how far float arithmetic may be from it.
struct BundleTerms {
  std::vector<double> linear, linear_bound;  // [n_problems, C]
  std::vector<double> pair, pair_bound;      // [n_problems, C, C]
};
BundleTerms bundle_terms(const BundleInput& input);

}  // namespace sheaf::ref
