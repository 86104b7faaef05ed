#include <limits>

#include "kernels/core/scan.hpp"
#include "kernels/core/sort.hpp"
#include "kernels/metrics/binary_terms.hpp"

namespace sheaf::metrics::cpu {

void binary(Context& context, const BinaryArgs& args) {
  const int64_t n = args.probabilities.size;
  ScratchScope scratch(context);
  const VectorView<uint32_t> keys{scratch.take<uint32_t>(n), n};
  const VectorView<uint32_t> order{scratch.take<uint32_t>(n), n};
  const VectorView<uint32_t> sorted_keys{scratch.take<uint32_t>(n), n};
  const VectorView<uint32_t> sorted_order{scratch.take<uint32_t>(n), n};
  const VectorView<int64_t> is_negative{scratch.take<int64_t>(n), n};
  const VectorView<int64_t> negatives_before{scratch.take<int64_t>(n + 1), n + 1};

  BinaryTerms sum;
  for (int64_t i = 0; i < n; ++i) {
    const BinaryTerms terms = binary_terms(args.probabilities[i], args.labels[i] != 0);
    sum.correct += terms.correct;
    sum.log_loss += terms.log_loss;
    sum.squared_error += terms.squared_error;
    keys[i] = sort_key(args.probabilities[i]);
    order[i] = static_cast<uint32_t>(i);
  }
  sheaf::sort_pairs(context, {keys, order, 32, sorted_keys, sorted_order});
  for (int64_t i = 0; i < n; ++i) is_negative[i] = args.labels[sorted_order[i]] ? 0 : 1;
  sheaf::exclusive_scan(context, {is_negative, negatives_before});
  double pairs_in_order = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (!is_negative[i]) pairs_in_order += auc_term(sorted_keys.data, negatives_before.data, n, i);
  }
  const auto n_negative = static_cast<double>(negatives_before[n]);
  const double n_pairs = n_negative * (static_cast<double>(n) - n_negative);
  args.out[kAccuracy] = sum.correct / static_cast<double>(n);
  args.out[kLogLoss] = sum.log_loss / static_cast<double>(n);
  args.out[kBrier] = sum.squared_error / static_cast<double>(n);
  // A NaN probability has made the sums NaN; the ranks would hide it.
  const bool defined = n_pairs > 0 && sum.correct == sum.correct;
  args.out[kAuc] = defined ? pairs_in_order / n_pairs : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace sheaf::metrics::cpu
