#pragma once
/// Association by definition, in double precision.

#include <cstdint>
#include <map>
#include <vector>

#include "tests/common/op_test.hpp"

namespace sheaf::ref {

test::HostCsr transpose(const test::HostCsr& matrix);

/// Of each item, its companions and in how many baskets they meet.
std::vector<std::map<int32_t, int32_t>> cooccurrence(const test::HostCsr& baskets, int32_t min_count);

/// NaN when a row has zero length or holds a value that is not finite.
double cosine(const float* a, const float* b, int64_t dim);

}  // namespace sheaf::ref
