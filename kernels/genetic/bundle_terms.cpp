#include "kernels/genetic/bundle_terms.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::genetic {

void bundle_terms(Context& context, const BundleTermsArgs& args) {
  constexpr const char* kOp = "genetic::bundle_terms";
  const int64_t n = args.candidates.rows, c = args.candidates.cols, n_items = args.item_price.size;
  check_argument(c >= 1 && c <= kMaxCandidates, kOp, "1 to 256 candidates a problem, got " + std::to_string(c));
  const auto is_shape = [&](const auto& matrix) { return matrix.rows == n && matrix.cols == c; };
  check_argument(is_shape(args.probability) && is_shape(args.linear) && is_shape(args.price) &&
                     is_shape(args.category) && is_shape(args.flags) && args.pair.size == n * c * c,
                 kOp, "probability and the outputs must have the shape of candidates, pair [n_problems, C, C]");
  check_argument(args.item_category.size == n_items && args.item_flags.size == n_items, kOp,
                 "item_category and item_flags must be [n_items]");
  check_argument(args.item_cost.empty() || args.item_cost.size == n_items, kOp, "item_cost must be [n_items] or empty");
  check_argument(args.vectors.empty() ? args.association.n_rows == n_items && args.association.n_columns == n_items
                                      : args.vectors.rows == n_items,
                 kOp, "either vectors [n_items, dim] or association [n_items, n_items] is needed");
  check_argument(!args.vectors.empty() || args.association.nnz == 0 || args.association.values, kOp,
                 "association needs values");
  if (n > 0) SHEAF_DISPATCH(context, bundle_terms, args);
}

OpCost bundle_terms_cost(const BundleTermsArgs& args) {
  const int64_t n = args.candidates.rows, c = args.candidates.cols, dim = args.vectors.cols;
  return {.bytes = static_cast<int64_t>(sizeof(float)) * n * c * (c + 5 + dim) + n * c, .flops = n * c * c * (dim + 4)};
}

}  // namespace sheaf::genetic
