#include "kernels/core/product_scan.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/core/error.hpp"
#include "kernels/core/product_scan_kernel.hpp"

namespace sheaf {
namespace {

// Four floats without intrinsics, for any processor.
struct PortableFloats {
  struct Floats {
    float lane[4];
  };
};

struct Portable : FloatProducts<PortableFloats> {
  using Units = Floats;
  static constexpr int kLanes = 4, kVectors = 2, kRows = 4;
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
  static Floats limit(float row_threshold, const Terms&) { return broadcast_float(row_threshold); }
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

int32_t usable_scan_kernels(const ScanKernel** kernels, int32_t capacity, bool may_be_bytes) {
  int32_t n = 0;
  const auto add = [&](bool usable, const ScanKernel& kernel) {
    if (usable && n < capacity) kernels[n++] = &kernel;
  };
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool has_avx512 = __builtin_cpu_supports("avx512f");
  add(may_be_bytes && has_avx512 && __builtin_cpu_supports("avx512vnni"), kVnniScan);
  add(has_avx512 && __builtin_cpu_supports("avx512bf16"), kBf16Scan);
  add(has_avx512, kAvx512Scan);
  add(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), kAvx2Scan);
#endif
  add(true, kPortableScan);
  return n;
}

const ScanKernel& scan_kernel(bool may_be_bytes) {
  const ScanKernel* kernels[kMostScanKernels];
  const int32_t n = usable_scan_kernels(kernels, kMostScanKernels, true);
  const auto automatic = [&]() -> const ScanKernel& {
    return may_be_bytes || kernels[0]->pack_bytes == nullptr ? *kernels[0] : *kernels[1];
  };
  if (!scan_kernel_is_named()) return automatic();
  const char* wanted = std::getenv("SHEAF_SCAN");
  std::string usable;
  for (int32_t i = 0; i < n; ++i) {
    if (std::strcmp(kernels[i]->name, wanted) == 0) {
      return may_be_bytes || kernels[i]->pack_bytes == nullptr ? *kernels[i] : automatic();
    }
    usable += std::string(i > 0 ? ", " : "") + kernels[i]->name;
  }
  throw UsageError("SHEAF_SCAN=" + std::string(wanted) + " is not an instruction set of this machine",
                   "use one of " + usable);
}

const ScanKernel& exact_scan_kernel() {
  const ScanKernel* kernels[kMostScanKernels];
  const int32_t n = usable_scan_kernels(kernels, kMostScanKernels);
  return **std::find_if(kernels, kernels + n, [](const ScanKernel* kernel) { return kernel->is_exact; });
}

bool scan_kernel_is_named() {
  const char* wanted = std::getenv("SHEAF_SCAN");
  return wanted != nullptr && *wanted != '\0';
}

float nearly_kth_best(const float* values, int64_t n, int64_t k, float low, float high) {
  for (int step = 0; step < 12; ++step) {
    const float middle = 0.5f * (low + high);
    int32_t count = 0;
    for (int64_t i = 0; i < n; ++i) count += values[i] >= middle;
    (count >= k ? low : high) = middle;
  }
  return low;
}

}  // namespace sheaf
