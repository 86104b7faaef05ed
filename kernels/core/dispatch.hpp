#pragma once
/// SHEAF_DISPATCH(context, op, args...) calls cpu::op or cuda::op of the op's own namespace, inside an NVTX range with
/// the op's name. The executor of the tests runs the CUDA sources, so Backend::simt also calls cuda::op.
/// Only <op>.cpp has it: kernels/CMakeLists.txt tells these files alone whether device kernels are built.

#include "kernels/core/context.hpp"
#include "kernels/core/range.hpp"

/// Declares an op's two implementations beside its contract.
#define SHEAF_BACKENDS(op, Args)                        \
  namespace cpu {                                       \
  void op(::sheaf::Context& context, const Args& args); \
  }                                                     \
  namespace cuda {                                      \
  void op(::sheaf::Context& context, const Args& args); \
  }                                                     \
  static_assert(true, "a semicolon follows")

#if defined(SHEAF_DEVICE_KERNELS) && SHEAF_DEVICE_KERNELS
#define SHEAF_DISPATCH(context, op, ...) \
  do {                                   \
    const ::sheaf::Range op_range(#op);  \
    if ((context).on_cpu()) {            \
      cpu::op(context, __VA_ARGS__);     \
    } else {                             \
      cuda::op(context, __VA_ARGS__);    \
    }                                    \
  } while (false)
#elif defined(SHEAF_DEVICE_KERNELS)
#define SHEAF_DISPATCH(context, op, ...) cpu::op(context, __VA_ARGS__)
#endif
