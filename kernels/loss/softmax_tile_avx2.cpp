// Compiled for AVX2 and FMA, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX2__) && defined(__FMA__)
#include "kernels/core/lanes_avx2.hpp"
#include "kernels/loss/softmax_tile_kernel.hpp"

namespace sheaf::loss::cpu {

const SoftmaxTile kAvx2Softmax = make_softmax_tile<Avx2Lanes>("avx2");

}  // namespace sheaf::loss::cpu
#endif
