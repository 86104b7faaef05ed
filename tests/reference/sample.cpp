#include "tests/reference/sample.hpp"

#include <cstddef>
#include <numeric>

namespace sheaf::ref {

AliasTable alias_table(const std::vector<double>& weights) {
  const size_t n = weights.size();
  const double mean = std::accumulate(weights.begin(), weights.end(), 0.0) / static_cast<double>(n);
  std::vector<double> share(n);
  std::vector<size_t> poor, rich;
  for (size_t i = 0; i < n; ++i) {
    share[i] = weights[i] / mean;
    (share[i] < 1.0 ? poor : rich).push_back(i);
  }
  AliasTable table{std::vector<float>(n, 1.0f), std::vector<int32_t>(n)};
  std::iota(table.item.begin(), table.item.end(), 0);
  while (!poor.empty() && !rich.empty()) {
    const size_t from = poor.back(), to = rich.back();
    poor.pop_back();
    table.threshold[from] = static_cast<float>(share[from]);
    table.item[from] = static_cast<int32_t>(to);
    share[to] -= 1.0 - share[from];
    if (share[to] < 1.0) {
      rich.pop_back();
      poor.push_back(to);
    }
  }
  return table;
}

std::vector<double> alias_probabilities(const AliasTable& table) {
  const size_t n = table.item.size();
  std::vector<double> probability(n);
  for (size_t i = 0; i < n; ++i) {
    const double kept = table.threshold[i];
    probability[i] += kept / static_cast<double>(n);
    probability[static_cast<size_t>(table.item[i])] += (1.0 - kept) / static_cast<double>(n);
  }
  return probability;
}

}  // namespace sheaf::ref
