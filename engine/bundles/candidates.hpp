#pragma once
/// The candidates of bundle problems, from the models, and their terms on the device: the common part of
/// search_for_users, search_around_anchors and the problems of export_problem.hpp.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/bundles/bundle_search.hpp"

namespace sheaf {

/// Candidates of some problems, with the subjects' chances of them.
struct Candidates {
  int64_t n = 0, width = 0;
  bool of_users = false;           // each problem is one user's, with the user's own chances
  std::vector<int32_t> items;      // [n, width], -1 for none
  std::vector<float> probability;  // [n, width], lifted by the discount
  std::vector<float> value;        // [n, width] of the joint objective, or empty

  std::span<const int32_t> row(int64_t p) const {
    return std::span(items).subspan(static_cast<size_t>(p * width), static_cast<size_t>(width));
  }
};

/// Of users: the items with the highest score for each user. Must-haves and the items of known bundles take the last
/// places.
/// With the joint objective, five eighths of the places (three where fresh_value asks for new items) go to the user's
/// own items with the highest P times value. One eighth goes to partners, by counted baskets, of the most likely of
/// them, which the user has not bought. The rest goes to the model's best that are new to the user. P is then a chance
/// for one basket, of BasketChances: of own items, and of the score for new ones.
class UserCandidates {
 public:
  UserCandidates(Context& context, const Scorer& scorer, const SearchSpace& space, const SearchParams& params,
                 const std::vector<int32_t>& users);
  /// Of users[first, last).
  Candidates batch(size_t first, size_t last) const;

 private:
  void mix_in_own_items();
  void set_basket_chances(const std::vector<int32_t>& users, Candidates& candidates) const;

  Context& context_;
  const SearchSpace& space_;
  const SearchParams& params_;
  const std::vector<int32_t>& users_;
  const Scorer& scorer_;
  Queries queries_;
  int64_t width_;
  std::vector<int32_t> top_;
};

/// Of anchors: the anchor first, then its partners; partners is [anchors.size(), n_partners]. `probability` [n_items].
Candidates anchor_candidates(const SearchSpace& space, const SearchParams& params, std::span<const int32_t> anchors,
                             std::span<const int32_t> partners, const std::vector<float>& probability);

/// Of one problem for many users: the items with the highest `probability` [n_items], ties by number, and the
/// must-haves.
Candidates audience_candidates(const SearchSpace& space, const SearchParams& params,
                               const std::vector<float>& probability);

/// linear, pair and the rest of the problems (kernels/genetic/bundle_terms.hpp and joint_pairs.hpp), on the device.
struct ProblemTerms {
  ProblemTerms(Context& context, const SearchSpace& space, const SearchParams& params, const Candidates& candidates,
               bool first_is_must_have);

  Buffer<float> linear, pair, price;
  Buffer<int32_t> category;
  Buffer<uint8_t> flags;
  Buffer<uint32_t> conflict;  // pairs that are never in one bundle, or empty
};

/// Weighted limits of the problems: the budget, and the margin floor.
struct ProblemLimits {
  ProblemLimits(const SearchSpace& space, const SearchParams& params, const Candidates& candidates);

  static constexpr std::string_view kBudget = "budget", kMargin = "margin";
  std::vector<std::string_view> names;
  std::vector<float> weight;  // [problems, names, width]
  std::vector<double> upper;  // [problems, names]
};

}  // namespace sheaf
