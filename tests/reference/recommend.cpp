#include "tests/reference/recommend.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sheaf::ref {

std::vector<int32_t> best_columns(const std::vector<double>& scores, const std::vector<bool>& may, int64_t k) {
  std::vector<int32_t> columns;
  for (size_t c = 0; c < scores.size(); ++c) {
    if (may[c]) columns.push_back(static_cast<int32_t>(c));
  }
  std::stable_sort(columns.begin(), columns.end(), [&](int32_t a, int32_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  columns.resize(std::min(columns.size(), static_cast<size_t>(k)));
  return columns;
}

double gini(const std::vector<int64_t>& counts) {
  double differences = 0, total = 0;
  for (const int64_t a : counts) {
    total += static_cast<double>(a);
    for (const int64_t b : counts) differences += static_cast<double>(std::abs(a - b));
  }
  return total > 0 ? differences / (2 * static_cast<double>(counts.size()) * total) : 0;
}

Dense item_similarity(const Dense& counts, int64_t neighbours, double shrink) {
  const size_t n_items = counts.front().size();
  const auto product = [&](size_t i, size_t j) {
    double sum = 0;
    for (const auto& user : counts) sum += std::log1p(user[i]) * std::log1p(user[j]);
    return sum;
  };
  Dense similarity(n_items, std::vector<double>(n_items, 0));
  for (size_t i = 0; i < n_items; ++i) {
    std::vector<double> row(n_items, 0);
    std::vector<bool> positive(n_items, false);
    for (size_t j = 0; j < n_items; ++j) {
      const double both = product(i, j);
      if (j == i || both <= 0) continue;
      row[j] = both / (std::sqrt(product(i, i)) * std::sqrt(product(j, j)) + shrink);
      positive[j] = true;
    }
    for (const int32_t j : best_columns(row, positive, neighbours)) {
      similarity[i][static_cast<size_t>(j)] = row[static_cast<size_t>(j)];
    }
  }
  return similarity;
}

Dense knn_scores(const Dense& history, const Dense& similarity) {
  Dense scores;
  for (const auto& user : history) {
    scores.emplace_back();
    for (const auto& row : similarity)
      scores.back().push_back(std::inner_product(row.begin(), row.end(), user.begin(), 0.0));
  }
  return scores;
}

}  // namespace sheaf::ref
