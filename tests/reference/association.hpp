#pragma once
/// Association by definition, in double precision.

#include <cstdint>
#include <map>
#include <vector>

#include "kernels/association/measure.hpp"
#include "tests/common/op_test.hpp"

namespace sheaf::ref {

test::HostCsr transpose(const test::HostCsr& matrix);

/// Of each item, its companions and in how many baskets they meet.
std::vector<std::map<int32_t, int32_t>> cooccurrence(const test::HostCsr& baskets, int32_t min_count);

/// A measure of the pair (i, j) as its definition says it, from the shares of baskets with i, with j and with both.
double measure(association::Measure measure, int64_t c_ij, int64_t c_i, int64_t c_j, int64_t n);

/// NaN when a row has zero length or holds a value that is not finite.
double cosine(const float* a, const float* b, int64_t dim);

}  // namespace sheaf::ref
