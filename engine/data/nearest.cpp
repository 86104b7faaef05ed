#include "engine/data/nearest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

namespace sheaf::text {

int64_t edit_distance(std::string_view a, std::string_view b) {
  constexpr size_t kMost = 256;  // a longer text is no slip of a name, and the time grows with both lengths
  a = a.substr(0, kMost);
  b = b.substr(0, kMost);
  std::vector<int64_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), int64_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    int64_t diagonal = row[0];
    row[0] = static_cast<int64_t>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int64_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string nearest(std::string_view name, std::span<const std::string> candidates) {
  const auto best =
      std::ranges::min_element(candidates, {}, [&](const std::string& c) { return edit_distance(name, c); });
  return best == candidates.end() ? std::string() : *best;
}

std::string join(std::span<const std::string> names) { return fmt::format("{}", fmt::join(names, ", ")); }

}  // namespace sheaf::text
