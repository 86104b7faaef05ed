#include "engine/optimize/hypervolume.hpp"

#include <algorithm>
#include <cstddef>

namespace sheaf {
namespace {

using Point = std::vector<double>;
using Points = std::vector<Point>;

bool covers(const Point& a, const Point& b) {
  return std::equal(a.begin(), a.end(), b.begin(), [](double x, double y) { return x >= y; });
}

/// Points that no other covers, each once.
Points not_covered(const Points& points) {
  Points kept;
  for (const Point& point : points) {
    if (std::ranges::any_of(kept, [&](const Point& other) { return covers(other, point); })) continue;
    std::erase_if(kept, [&](const Point& other) { return covers(point, other); });
    kept.push_back(point);
  }
  return kept;
}

double box(const Point& point) {
  double volume = 1.0;
  for (const double side : point) volume *= side;
  return volume;
}

/// Two objectives, none covered: stairs.
double area(const Points& points) {
  double total = 0.0, height = 0.0;
  for (const Point& point : points) {  // the first objective descends, so the second ascends
    total += point[0] * (point[1] - height);
    height = point[1];
  }
  return total;
}

/// Above the origin. Each point adds what those behind it do not cover of its box.
double volume(Points points) {
  points = not_covered(points);
  std::ranges::sort(points, std::ranges::greater{});
  if (!points.empty() && points[0].size() == 2) return area(points);
  double total = 0.0;
  for (size_t k = 0; k < points.size(); ++k) {
    Points shared(points.begin() + static_cast<std::ptrdiff_t>(k) + 1, points.end());
    for (Point& other : shared) {
      std::ranges::transform(other, points[k], other.begin(), [](double a, double b) { return std::min(a, b); });
    }
    total += box(points[k]) - (shared.empty() ? 0.0 : volume(std::move(shared)));
  }
  return total;
}

}  // namespace

double hypervolume(const std::vector<std::vector<double>>& points, const std::vector<double>& reference) {
  Points above;
  for (const Point& point : points) {
    Point side(point);
    for (size_t m = 0; m < side.size(); ++m) side[m] -= reference[m];
    if (std::ranges::all_of(side, [](double x) { return x > 0.0; })) above.push_back(std::move(side));
  }
  return volume(std::move(above));
}

bool dominates(const std::vector<double>& a, const std::vector<double>& b) { return covers(a, b) && a != b; }

}  // namespace sheaf
