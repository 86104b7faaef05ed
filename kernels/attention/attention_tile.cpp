#include "kernels/attention/attention_tile.hpp"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/attention/attention_tile_kernel.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::attention::cpu {
namespace {

// Four floats without intrinsics, for any processor.
struct PortableLanes {
  static constexpr int kLanes = 4, kVectors = 2, kRows = 4;
  struct Floats {
    float lane[kLanes];
  };
  template <class Of>
  static Floats each(const Of& of) {
    Floats result;
    for (int l = 0; l < kLanes; ++l) result.lane[l] = of(l);
    return result;
  }
  static Floats zero() { return {}; }
  static Floats load(const float* from) {
    Floats x;
    std::memcpy(&x, from, sizeof(x));
    return x;
  }
  static void store(float* to, const Floats& x) { std::memcpy(to, &x, sizeof(x)); }
  static Floats broadcast(float x) { return {{x, x, x, x}}; }
  static Floats multiply_add(const Floats& a, const Floats& b, const Floats& c) {
    return each([&](int l) { return a.lane[l] * b.lane[l] + c.lane[l]; });
  }
  static Floats add(const Floats& a, const Floats& b) {
    return each([&](int l) { return a.lane[l] + b.lane[l]; });
  }
  static Floats subtract(const Floats& a, const Floats& b) {
    return each([&](int l) { return a.lane[l] - b.lane[l]; });
  }
  static Floats multiply(const Floats& a, const Floats& b) {
    return each([&](int l) { return a.lane[l] * b.lane[l]; });
  }
  static Floats maximum(const Floats& a, const Floats& b) {
    return each([&](int l) { return a.lane[l] > b.lane[l] ? a.lane[l] : b.lane[l]; });
  }
  static Floats first(const Floats& x, int n, const Floats& rest) {
    return each([&](int l) { return l < n ? x.lane[l] : rest.lane[l]; });
  }
  static Floats round(const Floats& x) {
    return each([&](int l) { return std::nearbyint(x.lane[l]); });
  }
  static Floats power(const Floats& n) {
    return each([&](int l) { return std::ldexp(1.0f, std::isnan(n.lane[l]) ? 0 : static_cast<int>(n.lane[l])); });
  }
  static Floats below(const Floats& x, const Floats& limit, const Floats& y) {
    return each([&](int l) { return x.lane[l] < limit.lane[l] ? 0.0f : y.lane[l]; });
  }
  static float largest(const Floats& x) {
    float most = x.lane[0];
    for (int l = 1; l < kLanes; ++l) most = x.lane[l] > most ? x.lane[l] : most;
    return most;
  }
  static float sum(const Floats& x) { return x.lane[0] + x.lane[2] + (x.lane[1] + x.lane[3]); }
  static void transpose(Floats (&x)[kLanes]) {
    for (int i = 0; i < kLanes; ++i) {
      for (int j = 0; j < i; ++j) {
        const float moved = x[i].lane[j];
        x[i].lane[j] = x[j].lane[i];
        x[j].lane[i] = moved;
      }
    }
  }
};

}  // namespace

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
