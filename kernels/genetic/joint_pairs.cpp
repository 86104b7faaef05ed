#include "kernels/genetic/joint_pairs.hpp"

#include <cmath>

#include "kernels/core/check.hpp"

namespace sheaf::genetic {
namespace {

constexpr float kMaxOffset = 80.0f;  // its exponential and that of its negative are normal floats

}  // namespace

void joint_pairs(Context& context, const JointPairsArgs& args) {
  constexpr const char* kOp = "genetic::joint_pairs";
  const int64_t n = args.candidates.rows, c = args.candidates.cols, n_items = args.frequency.size;
  check_argument(c >= 1 && c <= kMaxCandidates, kOp, "1 to 256 candidates a problem, got " + std::to_string(c));
  const auto is_shape = [&](const auto& matrix) { return matrix.rows == n && matrix.cols == c; };
  check_argument(is_shape(args.probability) && is_shape(args.value) && args.pair.size == n * c * c, kOp,
                 "probability and value must have the shape of candidates, pair [n_problems, C, C]");
  check_argument(args.item_category.size == n_items, kOp, "item_category must have the size of frequency, [n_items]");
  const auto is_square_or_empty = [&](const CsrView& matrix) {
    return matrix.nnz == 0 || (matrix.n_rows == n_items && matrix.n_columns == n_items);
  };
  check_argument(is_square_or_empty(args.counts) && is_square_or_empty(args.substitutes), kOp,
                 "counts and substitutes must be [n_items, n_items] or empty");
  check_argument(args.counts.nnz == 0 || args.counts.values, kOp, "counts needs values");
  check_argument(args.prior.empty() || args.prior.rows == args.prior.cols, kOp,
                 "prior must be [n_categories, n_categories] or empty");
  check_argument(args.vectors.empty() || args.vectors.rows == n_items, kOp, "vectors must be [n_items, dim] or empty");
  check_argument(args.prior_strength > 0.0f && std::isfinite(args.prior_strength), kOp,
                 "prior_strength must be above 0 and finite, got " + std::to_string(args.prior_strength));
  check_argument(std::abs(args.offset) <= kMaxOffset, kOp,
                 "offset must be between -80 and 80, got " + std::to_string(args.offset));
  check_argument(std::isfinite(args.prior_cosine) && std::isfinite(args.exponent) && std::isfinite(args.weight) &&
                     std::isfinite(args.substitute_factor),
                 kOp, "prior_cosine, exponent, weight and substitute_factor must be finite");
  if (n > 0) SHEAF_DISPATCH(context, joint_pairs, args);
}

OpCost joint_pairs_cost(const JointPairsArgs& args) {
  const int64_t n = args.candidates.rows, c = args.candidates.cols;
  const int64_t dim = args.prior_cosine != 0.0f ? args.vectors.cols : 0;
  return {.bytes = static_cast<int64_t>(sizeof(float)) * n * c * (2 * c + 5 + dim),
          .flops = n * (c * (c - 1) / 2) * (2 * dim + 35)};
}

}  // namespace sheaf::genetic
