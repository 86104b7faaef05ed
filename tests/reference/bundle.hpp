#pragma once
/// The value of a bundle and the best bundle by definition, in double precision, over whole items.

#include <cstdint>
#include <limits>
#include <vector>

namespace sheaf::ref {

struct BundleWorld {
  std::vector<double> probability;               // [n_items] P
  std::vector<std::vector<double>> association;  // [n_items][n_items] A
  std::vector<double> price;
  std::vector<int32_t> category;
  double weight_association = 1, weight_preference = 0, weight_revenue = 0;
  int64_t min_size = 2, max_size = 4, min_categories = 0;
  double budget = std::numeric_limits<double>::infinity();
  std::vector<int32_t> must_have, forbidden;
};

/// F(S) = weight_association * sum over i != j of P(i) A(i, j) + sum over i of P(i) (weight_preference + weight_revenue
/// * price(i)).
double bundle_value(const BundleWorld& world, const std::vector<int32_t>& items);
bool bundle_feasible(const BundleWorld& world, const std::vector<int32_t>& items);

/// The largest value of a feasible set, by trying all; -infinity where there is none. At most 20 items.
double best_bundle_value(const BundleWorld& world);

}  // namespace sheaf::ref
