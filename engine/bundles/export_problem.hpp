#pragma once
/// The bundle problem of a user, of an anchor item or of an audience as data, built from the models. It is the same
/// problem that search_for_users and search_around_anchors solve. It serves the bound, branch and bound, a front, or a
/// file.

#include <cstdint>
#include <vector>

#include "engine/bundles/bundle_search.hpp"
#include "engine/optimize/pareto.hpp"

namespace sheaf {

struct ExportedProblem {
  BundleProblem problem;           // its terms are the search's float32 terms; `names` is empty
  std::vector<int32_t> items;      // [problem.n] what the candidates are
  std::vector<float> probability;  // [problem.n] as the search sees it
};

/// The problems of `users`, each from the items that score highest for the user.
std::vector<ExportedProblem> problems_of_users(Context& context, const Scorer& scorer, const SearchSpace& space,
                                               const SearchParams& params, const std::vector<int32_t>& users);

/// The problems around `anchors`; each anchor is a must-have. partners is [anchors.size(), n_partners] row-major, -1
/// for none.
std::vector<ExportedProblem> problems_around_anchors(Context& context, const SearchSpace& space,
                                                     const SearchParams& params, const std::vector<int32_t>& anchors,
                                                     const std::vector<int32_t>& partners,
                                                     const std::vector<float>& probability);

/// One bundle for an audience: a segment, or all users. `probability` [n_items] is their mean. The candidates are the
/// items with the highest `probability`.
ExportedProblem problem_of_audience(Context& context, const SearchSpace& space, const SearchParams& params,
                                    const std::vector<float>& probability);

/// The front of a problem whose terms were built with weight_association = weight_preference = 1 and
/// weight_revenue = 0. Objectives, all maximised:
/// - revenue: sum of P(i) price(i), the currency expected of one user;
/// - conversion: sum of P(i) and, over the ordered pairs, of P(i) A(i, j): purchases expected, and what they draw
///   along;
/// - diversity: different categories; left out if all candidates have one category;
/// - stock: units in stock of the bundle's items, which it helps to clear; infinity counts 0; left out without `stock`
///   [n_items].
/// References of the hypervolume are 0.
ParetoProblem shop_front(const ExportedProblem& built, const std::vector<float>& item_price,
                         const std::vector<double>& stock);

}  // namespace sheaf
