#include "kernels/association/cosine_scan.hpp"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/association/cosine_scan_kernel.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::association::cpu {
namespace {

// Four floats without intrinsics, for any processor.
struct Portable {
  struct Floats {
    float lane[4];
  };
  using Units = Floats;
  static constexpr int kLanes = 4, kVectors = 2, kRows = 4;
  static Floats zero() { return {}; }
  static Units load(const uint32_t* units) {
    Units loaded;
    std::memcpy(&loaded, units, sizeof(loaded));
    return loaded;
  }
  static Units broadcast(const uint32_t* unit) { return broadcast_float(__builtin_bit_cast(float, *unit)); }
  static Floats multiply_add(const Units& row, const Units& column, Floats sums) {
    for (int l = 0; l < kLanes; ++l) sums.lane[l] = std::fma(row.lane[l], column.lane[l], sums.lane[l]);
    return sums;
  }
  static Floats load_floats(const float* values) { return {{values[0], values[1], values[2], values[3]}}; }
  static Floats broadcast_float(float value) { return {{value, value, value, value}}; }
  static Floats minimum(Floats a, const Floats& b) {
    for (int l = 0; l < kLanes; ++l) a.lane[l] = b.lane[l] < a.lane[l] ? b.lane[l] : a.lane[l];
    return a;
  }
  static uint32_t reaches(const Floats& a, const Floats& limit) {
    uint32_t mask = 0;
    for (int l = 0; l < kLanes; ++l) mask |= uint32_t{a.lane[l] >= limit.lane[l]} << l;
    return mask;
  }
  static void store(float* values, const Floats& a) { std::memcpy(values, &a, sizeof(a)); }
};

constexpr int kWidth = Portable::kLanes * Portable::kVectors;

}  // namespace

const ScanKernel kPortableScan{
    "portable",           kWidth,        Portable::kRows, true, float_units, pack_floats<kWidth>,
    scan_panel<Portable>, keep_products, no_residuals};

int32_t usable_scan_kernels(const ScanKernel** kernels, int32_t capacity) {
  int32_t n = 0;
  const auto add = [&](bool usable, const ScanKernel& kernel) {
    if (usable && n < capacity) kernels[n++] = &kernel;
  };
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool has_avx512 = __builtin_cpu_supports("avx512f");
  add(has_avx512 && __builtin_cpu_supports("avx512bf16"), kBf16Scan);
  add(has_avx512, kAvx512Scan);
  add(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), kAvx2Scan);
#endif
  add(true, kPortableScan);
  return n;
}

const ScanKernel& scan_kernel() {
  const ScanKernel* kernels[4];
  const int32_t n = usable_scan_kernels(kernels, 4);
  const char* wanted = std::getenv("SHEAF_SCAN");
  if (wanted == nullptr || *wanted == '\0') return *kernels[0];
  std::string usable;
  for (int32_t i = 0; i < n; ++i) {
    if (std::strcmp(kernels[i]->name, wanted) == 0) return *kernels[i];
    usable += std::string(i > 0 ? ", " : "") + kernels[i]->name;
  }
  throw UsageError("SHEAF_SCAN=" + std::string(wanted) + " is not an instruction set of this machine",
                   "use one of " + usable);
}

}  // namespace sheaf::association::cpu
