#include "kernels/sparse/als_system.hpp"

#include "kernels/core/lanes_portable.hpp"
#include "kernels/sparse/als_system_kernel.hpp"

namespace sheaf::sparse::cpu {

const AlsSystemLoops kPortableAlsSystem = make_als_system<PortableLanes>("portable");

int32_t usable_als_systems(const AlsSystemLoops** loops, int32_t capacity) {
  int32_t n = 0;
  const auto add = [&](bool usable, const AlsSystemLoops& one) {
    if (usable && n < capacity) loops[n++] = &one;
  };
#if defined(__x86_64__)
  __builtin_cpu_init();
  add(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"), kAvx512AlsSystem);
  add(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), kAvx2AlsSystem);
#endif
  add(true, kPortableAlsSystem);
  return n;
}

const AlsSystemLoops& als_system_loops() {
  const AlsSystemLoops* loops[1];
  usable_als_systems(loops, 1);
  return *loops[0];
}

}  // namespace sheaf::sparse::cpu
