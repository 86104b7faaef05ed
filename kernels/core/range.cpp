#include "kernels/core/range.hpp"

#if !SHEAF_DEVICE_KERNELS  // else range_cuda.cu
namespace sheaf {

Range::Range(const char* /*name*/) {}
Range::~Range() {}

}  // namespace sheaf
#endif
