// Compiled for AVX-512, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include "kernels/attention/attention_tile_kernel.hpp"
#include "kernels/core/lanes_avx512.hpp"

namespace sheaf::attention::cpu {

const TileKernel kAvx512Tile = make_tile_kernel<Avx512Lanes>("avx512");

}  // namespace sheaf::attention::cpu
#endif
