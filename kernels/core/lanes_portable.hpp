#pragma once
/// Four floats without intrinsics, for the templates of exponential.hpp and tile_product.hpp on any processor.

#include <cstdint>
#include <cstring>

namespace sheaf {
namespace {

/// By the vectors of GCC and Clang, which become registers wherever there are some of 128 bits.
struct PortableLanes {
  static constexpr int kLanes = 4, kVectors = 2, kRows = 4;
  static constexpr float kShift = 0x1.8p+23f;  // a float this large keeps no fraction: its last bits are an integer
  using Floats = float __attribute__((vector_size(16)));
  using Integers = int32_t __attribute__((vector_size(16)));
  using Bits = uint32_t __attribute__((vector_size(16)));
  static Floats zero() { return Floats{}; }
  static Floats load(const float* from) {
    Floats x;
    std::memcpy(&x, from, sizeof(x));
    return x;
  }
  static void store(float* to, Floats x) { std::memcpy(to, &x, sizeof(x)); }
  static Floats broadcast(float x) { return Floats{x, x, x, x}; }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return a * b + c; }
  static Floats add(Floats a, Floats b) { return a + b; }
  static Floats subtract(Floats a, Floats b) { return a - b; }
  static Floats multiply(Floats a, Floats b) { return a * b; }
  static Floats maximum(Floats a, Floats b) { return a > b ? a : b; }
  static Floats first(Floats x, int n, Floats rest) { return Integers{0, 1, 2, 3} < n ? x : rest; }
  static Floats round(Floats x) { return (x + kShift) - kShift; }
  static Floats power(Floats n) { return cast<Floats>((cast<Bits>(n + kShift) + 127) << 23); }
  static Floats below(Floats x, Floats limit, Floats y) { return x < limit ? zero() : y; }
  static float largest(Floats x) {
    float most = x[0];
    for (int l = 1; l < kLanes; ++l) most = x[l] > most ? x[l] : most;
    return most;
  }
  static float sum(Floats x) { return x[0] + x[2] + (x[1] + x[3]); }
  static void transpose(Floats (&x)[kLanes]) {
    for (int i = 0; i < kLanes; ++i) {
      for (int j = 0; j < i; ++j) {
        const float moved = x[i][j];
        x[i][j] = x[j][i];
        x[j][i] = moved;
      }
    }
  }

 private:
  template <class To, class From>
  static To cast(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof(to));
    return to;
  }
};

}  // namespace
}  // namespace sheaf
