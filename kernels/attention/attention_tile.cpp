#include "kernels/attention/attention_tile.hpp"

#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/attention/attention_tile_kernel.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/lanes_portable.hpp"

namespace sheaf::attention::cpu {
const TileKernel kPortableTile = make_tile_kernel<PortableLanes>("portable");

int32_t usable_tile_kernels(const TileKernel** kernels, int32_t capacity) {
  int32_t n = 0;
  const auto add = [&](bool usable, const TileKernel& kernel) {
    if (usable && n < capacity) kernels[n++] = &kernel;
  };
#if defined(__x86_64__)
  __builtin_cpu_init();
  add(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"), kAvx512Tile);
  add(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), kAvx2Tile);
#endif
  add(true, kPortableTile);
  return n;
}

const TileKernel& tile_kernel() {
  const TileKernel* kernels[3];
  const int32_t n = usable_tile_kernels(kernels, 3);
  const char* wanted = std::getenv("SHEAF_ATTENTION");
  if (wanted == nullptr || *wanted == '\0') return *kernels[0];
  std::string usable;
  for (int32_t i = 0; i < n; ++i) {
    if (std::strcmp(kernels[i]->name, wanted) == 0) return *kernels[i];
    usable += std::string(i > 0 ? ", " : "") + kernels[i]->name;
  }
  throw UsageError("SHEAF_ATTENTION=" + std::string(wanted) + " is not an instruction set of this machine",
                   "use one of " + usable);
}

}  // namespace sheaf::attention::cpu
