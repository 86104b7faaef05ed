#pragma once
/// One bundle problem of a data set, and for whom it is: to solve with a bound, to find its front, or to write to a
/// file.

#include <optional>

#include "engine/bundles/export_problem.hpp"
#include "host/app/session.hpp"

namespace sheaf::app {

/// Whom the bundle is for.
struct Audience {
  std::vector<int32_t> users;  // one: the user's own problem; several: one problem for them together; none: for all
  int32_t anchor = -1;         // an item that the bundle is built around; -1: none
};

struct SingleProblem {
  ExportedProblem built;
  std::vector<int32_t>
      start;  // of search.warm_start, the best feasible bundle that is a set of its candidates; or empty
};

/// The problem that `search` solves for the audience, candidates named, at full price.
/// UsageError for an anchor that is forbidden.
SingleProblem build_problem(const Session& session, const Audience& audience);

/// The front of it: revenue at full price, conversion, diversity, and stock to clear where search.item_facts has stock.
ParetoProblem build_front(const Session& session, const Audience& audience);

/// An upper bound of each bundle's value over all feasible sets of its candidates, with any of the discounts to choose
/// from. It is their optimum where branch and bound ends within its nodes, and -infinity where nothing is feasible.
/// Subjects are items with `around_anchors`, else users.
std::vector<double> bounds_of(const Session& session, const std::vector<Bundle>& bundles, bool around_anchors);

}  // namespace sheaf::app
