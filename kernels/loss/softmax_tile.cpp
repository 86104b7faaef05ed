#include "kernels/loss/softmax_tile.hpp"

#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/core/error.hpp"
#include "kernels/core/lanes_portable.hpp"
#include "kernels/loss/softmax_tile_kernel.hpp"

namespace sheaf::loss::cpu {

const SoftmaxTile kPortableSoftmax = make_softmax_tile<PortableLanes>("portable");

int32_t usable_softmax_tiles(const SoftmaxTile** tiles, int32_t capacity) {
  int32_t n = 0;
  const auto add = [&](bool usable, const SoftmaxTile& tile) {
    if (usable && n < capacity) tiles[n++] = &tile;
  };
#if defined(__x86_64__)
  __builtin_cpu_init();
  add(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"), kAvx512Softmax);
  add(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), kAvx2Softmax);
#endif
  add(true, kPortableSoftmax);
  return n;
}

const SoftmaxTile& softmax_tile() {
  const SoftmaxTile* tiles[3];
  const int32_t n = usable_softmax_tiles(tiles, 3);
  const char* wanted = std::getenv("SHEAF_SOFTMAX");
  if (wanted == nullptr || *wanted == '\0') return *tiles[0];
  std::string usable;
  for (int32_t i = 0; i < n; ++i) {
    if (std::strcmp(tiles[i]->name, wanted) == 0) return *tiles[i];
    usable += std::string(i > 0 ? ", " : "") + tiles[i]->name;
  }
  throw UsageError("SHEAF_SOFTMAX=" + std::string(wanted) + " is not an instruction set of this machine",
                   "use one of " + usable);
}

}  // namespace sheaf::loss::cpu
