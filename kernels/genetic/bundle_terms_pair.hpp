#pragma once
/// The arithmetic of genetic::bundle_terms that the backends share.

#include <cmath>

#include "kernels/genetic/bundle_terms.hpp"

namespace sheaf::genetic {

/// Entry (row, column) of a matrix with ascending columns; 0 where there is none.
SHEAF_HD inline float csr_entry(const CsrView& matrix, int32_t row, int32_t column) {
  int64_t low = matrix.row_offsets[row], high = matrix.row_offsets[row + 1];
  const int64_t end = high;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (matrix.columns[middle] < column) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < end && matrix.columns[low] == column ? matrix.values[low] : 0.0f;
}

/// 1 / |v|, or 0 for a vector of zero length or with a value that is no number.
SHEAF_HD inline float inverse_length(const float* vector, int64_t dim) {
  float sum = 0.0f;
  for (int64_t c = 0; c < dim; ++c) sum += vector[c] * vector[c];
  return sum > 0.0f && sum <= 3.0e38f ? 1.0f / sqrtf(sum) : 0.0f;
}

SHEAF_HD inline float inner_product(const float* a, const float* b, int64_t dim) {
  float sum = 0.0f;
  for (int64_t c = 0; c < dim; ++c) sum += a[c] * b[c];
  return sum;
}

/// pair[a, b] of a problem; `inverse` holds the candidates' inverse lengths.
SHEAF_HD inline float pair_term(const BundleTermsArgs& args, int64_t p, int64_t a, int64_t b, const float* inverse) {
  const int32_t i = args.candidates(p, a), j = args.candidates(p, b);
  if (i < 0 || j < 0 || a == b) return 0.0f;
  float association;
  if (args.vectors.empty()) {
    association = fmaxf(csr_entry(args.association, i, j), csr_entry(args.association, j, i));
  } else {
    if (inverse[a] == 0.0f || inverse[b] == 0.0f) return 0.0f;
    // One inverse after the other: of two very short vectors their product would overflow.
    const float cosine =
        inner_product(args.vectors.row(i), args.vectors.row(j), args.vectors.cols) * inverse[a] * inverse[b];
    association = fmaxf(0.0f, fminf(1.0f, cosine));
  }
  return args.weight_association * (args.probability(p, a) + args.probability(p, b)) * (args.scale * association);
}

/// Everything of one candidate but its pairs.
SHEAF_HD inline void write_candidate(const BundleTermsArgs& args, int64_t p, int64_t a) {
  const int32_t i = args.candidates(p, a);
  const bool there = i >= 0;
  const float price = there ? args.item_price[i] : 0.0f;
  const float cost = there && !args.item_cost.empty() ? args.item_cost[i] : 0.0f;
  args.linear(p, a) =
      there ? args.probability(p, a) * (args.weight_preference + args.weight_revenue * price) - cost : 0.0f;
  args.price(p, a) = price;
  args.category(p, a) = there ? args.item_category[i] : 0;
  uint8_t flags = there ? args.item_flags[i] : static_cast<uint8_t>(kForbidden);
  if (there && a == 0 && args.first_is_must_have) flags = static_cast<uint8_t>(flags | kMustHave);
  args.flags(p, a) = flags;
}

}  // namespace sheaf::genetic
