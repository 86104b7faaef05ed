// Compiled for AVX-512, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include "kernels/core/lanes_avx512.hpp"
#include "kernels/sparse/als_system_kernel.hpp"

namespace sheaf::sparse::cpu {

const AlsSystemLoops kAvx512AlsSystem = make_als_system<Avx512Lanes>("avx512");

}  // namespace sheaf::sparse::cpu
#endif
