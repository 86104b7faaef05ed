// Compiled for AVX-512, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include "kernels/core/lanes_avx512.hpp"
#include "kernels/loss/softmax_tile_kernel.hpp"

namespace sheaf::loss::cpu {

const SoftmaxTile kAvx512Softmax = make_softmax_tile<Avx512Lanes>("avx512");

}  // namespace sheaf::loss::cpu
#endif
