#include "engine/bundles/text_vectors.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "kernels/core/error.hpp"

namespace sheaf {

HostCsr tf_idf(const HostCsr& counts) {
  const auto n = static_cast<double>(counts.n_rows());
  std::vector<double> idf(static_cast<size_t>(counts.n_columns), 0.0);
  for (const int32_t word : counts.columns) idf[static_cast<size_t>(word)] += 1.0;
  for (double& value : idf) value = 1.0 + std::log((1.0 + n) / (1.0 + value));

  HostCsr weights = counts;
  std::vector<double> row;
  for (int64_t i = 0; i < counts.n_rows(); ++i) {
    const auto first = static_cast<size_t>(counts.row_offsets[static_cast<size_t>(i)]);
    const auto last = static_cast<size_t>(counts.row_offsets[static_cast<size_t>(i) + 1]);
    row.clear();
    double squares = 0.0;
    for (size_t e = first; e < last; ++e) {
      const auto tf = static_cast<double>(counts.values[e]);
      if (!(tf >= 1.0) || !std::isfinite(tf)) {
        throw UsageError("item " + std::to_string(i) + " has a word count of " + std::to_string(tf),
                         "word counts are at least 1");
      }
      const double weight = (1.0 + std::log(tf)) * idf[static_cast<size_t>(counts.columns[e])];
      row.push_back(weight);
      squares += weight * weight;
    }
    for (size_t e = first; e < last; ++e) weights.values[e] = static_cast<float>(row[e - first] / std::sqrt(squares));
  }
  return weights;
}

}  // namespace sheaf
