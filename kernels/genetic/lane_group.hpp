#pragma once
/// A lane group runs one local search: sixteen floats of a CPU's vector unit, or a warp. The code of the search is
/// written once, for any `Group`. The control flow is the same in all lanes of a group. All decisions rest on maxima,
/// which do not depend on the order of evaluation.
///
/// A Group offers:
/// - V, a float or a vector of them; load(p, j); store(p, j, v); times(a, b), never part of a fused multiply-add;
/// - lanes(stride, f): f(j) for the lanes' shares of 0 .. stride - 1, then a barrier;
/// - reduce(V score, V code): the highest score, and of equal scores the lowest code;
/// - members(mask, f): f(rank, i) for the members, each by one lane, then a barrier;
/// - leader(f): one lane runs f, then a barrier; sync(): a barrier;
/// - ids(j): the V of places j, j + 1 ...; of_mask(mask, j): V of 0 or 1; conflicts(view, i, j): V of 0 or 1;
/// - bits, lowest, leading_zeros of a word; draw(job, block, four): four random words.
///
/// The files that include the search are compiled for different processors. So all its functions are templates over the
/// Group, which has internal linkage: the linker never takes a function that another file compiled.

/// In a CUDA source, groups exist on the device only. Code that is used in several places stays a call there, and loops
/// over limits stay loops: with all of it inlined and unrolled, ptxas takes minutes.
#if defined(__CUDACC__)
#define SHEAF_LANES __device__ inline
#define SHEAF_LANES_CALL __device__ __noinline__
#define SHEAF_ROLLED _Pragma("unroll 1")
#else
#define SHEAF_LANES inline
#define SHEAF_LANES_CALL inline
#define SHEAF_ROLLED
#endif
