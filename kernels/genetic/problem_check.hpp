#pragma once
/// Host-side checks that every op on problems shares.

#include "kernels/genetic/problem.hpp"

namespace sheaf::genetic {

/// Throws UsageError in the name of `op`.
void check_problems(const Problems& problems, const char* op);

/// Bytes of all arrays of the batch.
int64_t problem_bytes(const Problems& problems);

}  // namespace sheaf::genetic
