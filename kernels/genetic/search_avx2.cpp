// Compiled for AVX2, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX2__)
#include "kernels/genetic/search_vector.hpp"

namespace sheaf::genetic::cpu {

const SearchKernel kAvx2Search{"avx2", run<VectorLanes>};

}  // namespace sheaf::genetic::cpu
#endif
