#include "engine/bundles/export_problem.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "engine/bundles/candidates.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

constexpr size_t kProblemsAtOnce = 256;  // problems on the device at a time

/// The shortest decimal number that reads as the float, as a double: 2.99 for 2.99f. So sums of prices meet a budget as
/// they do on paper.
double decimal(float x) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, x).ptr;
  double value = 0.0;
  std::from_chars(text, end, value);
  return value;
}

void keep_apart(const SearchSpace& space, const SearchParams& params, ExportedProblem& one) {
  for (size_t a = 0; a < one.items.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      if (space.may_be_together(params, one.items[a], one.items[b])) continue;
      one.problem.forbidden_pairs.emplace_back(static_cast<int32_t>(b), static_cast<int32_t>(a));
    }
  }
}

/// Rows of the candidates as problems; places without an item are left out.
void append_problems(Context& context, const SearchSpace& space, const SearchParams& params,
                     const Candidates& candidates, bool anchored, std::vector<ExportedProblem>& built) {
  const ProblemTerms terms(context, space, params, candidates, anchored);
  const ProblemLimits limits(space, params, candidates);
  const std::vector<float> linear = terms.linear.to_host(), pair = terms.pair.to_host();
  const std::vector<int32_t> category = terms.category.to_host();
  const std::vector<uint8_t> flags = terms.flags.to_host();
  const auto width = static_cast<size_t>(candidates.width), n_limits = limits.names.size();
  const auto is_budget = [&](size_t l) { return limits.names[l] == ProblemLimits::kBudget; };
  for (size_t p = 0; p < static_cast<size_t>(candidates.n); ++p) {
    ExportedProblem one;
    std::vector<size_t> places;
    for (size_t place = 0; place < width; ++place) {
      if (candidates.items[p * width + place] >= 0) places.push_back(place);
    }
    BundleProblem& problem = one.problem;
    problem.n = std::ssize(places);
    problem.min_size = params.min_size;
    problem.max_size = params.max_size;
    problem.min_categories = params.min_categories;
    for (const std::string_view name : limits.names) problem.limits.push_back({.name = std::string(name)});
    for (size_t l = 0; l < n_limits; ++l) {
      problem.limits[l].upper = is_budget(l) ? params.budget : limits.upper[p * n_limits + l];
    }
    for (const size_t place : places) {
      const size_t at = p * width + place;
      const auto self = static_cast<int32_t>(one.items.size());
      one.items.push_back(candidates.items[at]);
      one.probability.push_back(candidates.probability[at]);
      problem.linear.push_back(static_cast<double>(linear[at]));
      problem.category.push_back(category[at]);
      if ((flags[at] & genetic::kMustHave) != 0) problem.must_have.push_back(self);
      if ((flags[at] & genetic::kForbidden) != 0) problem.forbidden.push_back(self);
      for (const size_t other : places) problem.pair.push_back(static_cast<double>(pair[at * width + other]));
      for (size_t l = 0; l < n_limits; ++l) {
        const float weight = limits.weight[(p * n_limits + l) * width + place];
        problem.limits[l].weights.push_back(is_budget(l) ? decimal(weight) : static_cast<double>(weight));
      }
    }
    if (space.keeps_apart(params)) keep_apart(space, params, one);
    built.push_back(std::move(one));
  }
}

}  // namespace

std::vector<ExportedProblem> problems_of_users(Context& context, const Scorer& scorer, const SearchSpace& space,
                                               const SearchParams& params, const std::vector<int32_t>& users) {
  const UserCandidates candidates(context, scorer, space, params, users);
  std::vector<ExportedProblem> built;
  for (size_t first = 0; first < users.size(); first += kProblemsAtOnce) {
    check_interrupt("the building of problems");
    append_problems(context, space, params, candidates.batch(first, std::min(users.size(), first + kProblemsAtOnce)),
                    false, built);
  }
  return built;
}

std::vector<ExportedProblem> problems_around_anchors(Context& context, const SearchSpace& space,
                                                     const SearchParams& params, const std::vector<int32_t>& anchors,
                                                     const std::vector<int32_t>& partners,
                                                     const std::vector<float>& probability) {
  std::vector<ExportedProblem> built;
  const size_t n_partners = anchors.empty() ? 0 : partners.size() / anchors.size();
  for (size_t first = 0; first < anchors.size(); first += kProblemsAtOnce) {
    check_interrupt("the building of problems");
    const size_t count = std::min(anchors.size() - first, kProblemsAtOnce);
    append_problems(context, space, params,
                    anchor_candidates(space, params, std::span(anchors).subspan(first, count),
                                      std::span(partners).subspan(first * n_partners, count * n_partners), probability),
                    true, built);
  }
  return built;
}

ExportedProblem problem_of_audience(Context& context, const SearchSpace& space, const SearchParams& params,
                                    const std::vector<float>& probability) {
  std::vector<ExportedProblem> built;
  append_problems(context, space, params, audience_candidates(space, params, probability), false, built);
  return std::move(built.front());
}

ParetoProblem shop_front(const ExportedProblem& built, const std::vector<float>& item_price,
                         const std::vector<double>& stock) {
  ParetoProblem front;
  front.rules = built.problem;
  Objective revenue, conversion, clearance;
  revenue.name = "revenue";
  conversion.name = "conversion";
  conversion.linear = std::move(front.rules.linear);
  conversion.pair = std::move(front.rules.pair);
  front.rules.linear.clear();
  front.rules.pair.clear();
  clearance.name = "stock";
  for (size_t c = 0; c < built.items.size(); ++c) {
    const auto item = static_cast<size_t>(built.items[c]);
    revenue.linear.push_back(static_cast<double>(built.probability[c]) * static_cast<double>(item_price[item]));
    if (!stock.empty()) clearance.linear.push_back(std::isfinite(stock[item]) ? stock[item] : 0.0);
  }
  front.objectives.push_back(std::move(revenue));
  front.objectives.push_back(std::move(conversion));
  if (std::set(front.rules.category.begin(), front.rules.category.end()).size() > 1) {
    front.objectives.push_back({.name = "diversity", .linear = {}, .pair = {}, .category_value = 1.0});
  }
  if (!stock.empty()) front.objectives.push_back(std::move(clearance));
  return front;
}

}  // namespace sheaf
