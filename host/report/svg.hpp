#pragma once
/// Charts as SVG text, drawn without any other library: fixed size, CSS classes for colours, the same bytes for the
/// same data.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sheaf::report {

/// Text with &, <, > and quotes made harmless for HTML and SVG.
std::string escape(const std::string& text);

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;  // points that are not finite are left out
};

/// Lines over a numeric axis, each series in the colour of its number.
std::string line_chart(const std::string& title, const std::string& x_label, const std::string& y_label,
                       const std::vector<Series>& series);

/// Two histograms over the same equal bins of [low, high], as shares of their own totals.
std::string histogram(const std::string& title, const std::string& x_label, double low, double high,
                      const std::vector<std::pair<std::string, std::vector<int64_t>>>& counts);

/// A square matrix with a name a row; colour runs from 0 to the largest value off the diagonal, which is left blank.
std::string heat_map(const std::string& title, const std::vector<std::string>& names,
                     const std::vector<double>& values);

/// Horizontal bars of shares in [0, 1].
std::string share_bars(const std::string& title, const std::vector<std::pair<std::string, double>>& shares);

}  // namespace sheaf::report
