// Compiled for AVX-512, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX512F__)
#include "kernels/genetic/search_vector.hpp"

namespace sheaf::genetic::cpu {

const SearchKernel kAvx512Search{"avx512", run<VectorLanes>};

}  // namespace sheaf::genetic::cpu
#endif
