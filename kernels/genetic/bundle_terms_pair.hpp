#pragma once
/// The arithmetic of genetic::bundle_terms that the backends share.

#include <cmath>

#include "kernels/genetic/bundle_terms.hpp"

namespace sheaf::genetic {

/// Place of (row, column) among the entries of a matrix with ascending columns; -1 where there is none.
SHEAF_HD inline int64_t csr_place(const CsrView& matrix, int32_t row, int32_t column) {
  int64_t first = matrix.row_offsets[row], size = matrix.row_offsets[row + 1] - first;
  if (size == 0) return -1;
  // The last entry that is not above `column`, without a branch that would be mispredicted every other time.
  while (size > 1) {
    const int64_t half = size / 2;
    first = matrix.columns[first + half] <= column ? first + half : first;
    size -= half;
  }
  return matrix.columns[first] == column ? first : -1;
}

/// Entry (row, column); 0 where there is none.
SHEAF_HD inline float csr_entry(const CsrView& matrix, int32_t row, int32_t column) {
  const int64_t place = csr_place(matrix, row, column);
  return place < 0 ? 0.0f : matrix.values[place];
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

/// max(0, cos) of two vectors by their inner product; 0 where an inverse length is 0.
SHEAF_HD inline float positive_cosine(float product, float inverse_i, float inverse_j) {
  if (inverse_i == 0.0f || inverse_j == 0.0f) return 0.0f;
  // One inverse after the other: for two very short vectors the product of the inverses would overflow.
  return fmaxf(0.0f, fminf(1.0f, product * inverse_i * inverse_j));
}

/// The same for rows i and j of `vectors`.
SHEAF_HD inline float positive_cosine(const MatrixView<const float>& vectors, int32_t i, int32_t j, float inverse_i,
                                      float inverse_j) {
  if (inverse_i == 0.0f || inverse_j == 0.0f) return 0.0f;
  return positive_cosine(inner_product(vectors.row(i), vectors.row(j), vectors.cols), inverse_i, inverse_j);
}

/// pair[a, b] of a problem; `inverse` holds the candidates' inverse lengths.
SHEAF_HD inline float pair_term(const BundleTermsArgs& args, int64_t p, int64_t a, int64_t b, const float* inverse) {
  const int32_t i = args.candidates(p, a), j = args.candidates(p, b);
  if (i < 0 || j < 0 || a == b) return 0.0f;
  const float association = args.vectors.empty()
                                ? fmaxf(csr_entry(args.association, i, j), csr_entry(args.association, j, i))
                                : positive_cosine(args.vectors, i, j, inverse[a], inverse[b]);
  return args.weight_association * (args.probability(p, a) + args.probability(p, b)) * (args.scale * association);
}

/// All terms of one candidate except its pairs.
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
