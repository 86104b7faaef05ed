// Compiled for AVX2 and FMA, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX2__) && defined(__FMA__)
#include "kernels/core/lanes_avx2.hpp"
#include "kernels/sparse/als_system_kernel.hpp"

namespace sheaf::sparse::cpu {

const AlsSystemLoops kAvx2AlsSystem = make_als_system<Avx2Lanes>("avx2");

}  // namespace sheaf::sparse::cpu
#endif
