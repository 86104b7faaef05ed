// Compiled for AVX2 and FMA, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX2__) && defined(__FMA__)
#include "kernels/attention/attention_tile_kernel.hpp"
#include "kernels/core/lanes_avx2.hpp"

namespace sheaf::attention::cpu {

const TileKernel kAvx2Tile = make_tile_kernel<Avx2Lanes>("avx2");

}  // namespace sheaf::attention::cpu
#endif
