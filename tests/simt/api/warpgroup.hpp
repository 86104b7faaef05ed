#pragma once
/// wgmma on the executor, by the wrappers of kernels/core/cuda/wgmma.cuh. Each of the group's warps multiplies its own
/// 16 rows when the product is waited for; until then the results are NaN. The matrix descriptor finds operands in
/// shared memory, by the PTX manual's canonical layouts of the 128-byte swizzle. A product without the fence before it
/// is a Fault.

#include <cstdint>

#include "tests/simt/executor/executor.hpp"

namespace simt {

void warpgroup_fence();
void warpgroup_commit();
void warpgroup_wait(unsigned n_groups, const Where& where = Where::current());
/// A [64, 16] by B [16, 64].
void warpgroup_multiply(bool bf16, bool rows_of_b, float (&d)[8][4], const uint32_t (&a)[4], uint64_t b,
                        bool accumulate, const Where& where = Where::current());
/// Both in shared memory, their rows being k.
void warpgroup_multiply(bool bf16, float (&d)[8][4], uint64_t a, uint64_t b, bool accumulate,
                        const Where& where = Where::current());

}  // namespace simt
