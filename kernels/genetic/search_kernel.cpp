#include "kernels/genetic/search_kernel.hpp"

#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/core/error.hpp"
#include "kernels/core/philox.hpp"

namespace sheaf::genetic::cpu {

int32_t usable_search_kernels(const SearchKernel** kernels, int32_t capacity) {
  int32_t n = 0;
  const auto add = [&](bool usable, const SearchKernel& kernel) {
    if (usable && n < capacity) kernels[n++] = &kernel;
  };
#if defined(__x86_64__)
  __builtin_cpu_init();
  add(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
          __builtin_cpu_supports("avx512bw"),
      kAvx512Search);
  add(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), kAvx2Search);
#endif
  add(true, kPortableSearch);
  return n;
}

const SearchKernel& search_kernel() {
  const SearchKernel* kernels[3];
  const int32_t n = usable_search_kernels(kernels, 3);
  const char* wanted = std::getenv("SHEAF_SEARCH");
  if (wanted == nullptr || *wanted == '\0') return *kernels[0];
  std::string usable;
  for (int32_t i = 0; i < n; ++i) {
    if (std::strcmp(kernels[i]->name, wanted) == 0) return *kernels[i];
    usable += std::string(i > 0 ? ", " : "") + kernels[i]->name;
  }
  throw UsageError("SHEAF_SEARCH=" + std::string(wanted) + " is not an instruction set of this machine",
                   "use one of " + usable);
}

void draw_four(const LocalSearchJob& job, uint32_t block, uint32_t* four) {
  const RandomKey key{job.params.seed, Purpose::search_select, static_cast<uint32_t>(job.round)};
  const auto row = static_cast<uint64_t>(job.problem_id) & ((uint64_t{1} << 56) - 1);
  const Random4 words = random4(key, row, static_cast<uint32_t>(job.number) << 24 | block);
  for (int32_t w = 0; w < 4; ++w) four[w] = words.v[w];
}

}  // namespace sheaf::genetic::cpu
