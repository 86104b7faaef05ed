#pragma once
/// The measure of a front: how much of the space of objectives it dominates.

#include <vector>

namespace sheaf {

/// The volume of the union of the boxes between `reference` and each point, objectives maximised. A point that is not
/// above the reference in every objective adds nothing. Exact up to double's rounding: While, Bradstreet, Barone, "A
/// fast way of calculating exact hypervolumes", IEEE TEC 16(1), 2012, with a sweep for two objectives.
double hypervolume(const std::vector<std::vector<double>>& points, const std::vector<double>& reference);

/// At least as good in all, better in one; maximised.
bool dominates(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace sheaf
