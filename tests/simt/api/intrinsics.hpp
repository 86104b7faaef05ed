#pragma once
/// CUDA's qualifiers and device functions for kernels that run on the executor.

#include <atomic>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tests/simt/api/collectives.hpp"
#include "tests/simt/executor/program_image.hpp"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

// One OS thread runs a block, so its thread_local variables belong to the block. The tag in their names tells the
// executor which ones to poison; host code may have others.
#define __shared__ [[gnu::abi_tag(SIMT_SHARED_TAG)]] static thread_local

// --- Barriers --------------------------------------------------------------------------------------------------------

inline void __syncthreads(simt::Where where = simt::Where::current()) { simt::block_barrier(false, where); }
inline int __syncthreads_count(int predicate, simt::Where where = simt::Where::current()) {
  return simt::block_barrier(predicate != 0, where);
}
inline int __syncthreads_and(int predicate, simt::Where where = simt::Where::current()) {
  return simt::block_barrier(predicate == 0, where) == 0;
}
inline int __syncthreads_or(int predicate, simt::Where where = simt::Where::current()) {
  return simt::block_barrier(predicate != 0, where) != 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, simt::Where where = simt::Where::current()) {
  simt::warp_exchange(simt::kSyncWarp, mask, nullptr, where);
}

// --- Votes -----------------------------------------------------------------------------------------------------------

inline unsigned __ballot_sync(unsigned mask, int predicate, simt::Where where = simt::Where::current()) {
  return static_cast<unsigned>(simt::exchange(simt::kVote, mask, predicate != 0, 0, where));
}
inline int __any_sync(unsigned mask, int predicate, simt::Where where = simt::Where::current()) {
  return simt::exchange(simt::kVote, mask, predicate != 0, 0, where) != 0;
}
inline int __all_sync(unsigned mask, int predicate, simt::Where where = simt::Where::current()) {
  return simt::exchange(simt::kVote, mask, predicate == 0, 0, where) == 0;
}
/// The lanes that run together are this one: always a possible answer, and the one that shows who relies on more.
inline unsigned __activemask() { return 1u << simt::lane(); }

// --- Shuffles --------------------------------------------------------------------------------------------------------

namespace simt::detail {

/// Short types go as int, by the unary plus below: CUDA's overloads take them so.
template <class T>
concept Exchangeable = std::is_arithmetic_v<T> &&(sizeof(T) <= 8);

template <class T>
uint64_t to_bits(T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}

template <class T>
T from_bits(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

template <class T>
T shuffle(unsigned mask, T value, unsigned source, int width, const Where& where) {
  if (width < 1 || width > warpSize || !std::has_single_bit(static_cast<unsigned>(width))) {
    fail("the width of a shuffle must be a power of two up to 32", where);
  }
  if (!(mask >> source & 1u)) {
    fail("reads lane " + std::to_string(source) + ", which is not in the mask of the shuffle", where);
  }
  return from_bits<T>(exchange(kShuffle, mask, to_bits(value), source, where));
}

/// First lane of the segment of `width` lanes that the running lane belongs to.
inline unsigned segment_start(int width) { return lane() & ~static_cast<unsigned>(width - 1); }

}  // namespace simt::detail

template <simt::detail::Exchangeable T>
auto __shfl_sync(unsigned mask, T value, int source, int width = warpSize, simt::Where where = simt::Where::current()) {
  const unsigned in_segment = static_cast<unsigned>(source) & static_cast<unsigned>(width - 1);
  return simt::detail::shuffle(mask, +value, simt::detail::segment_start(width) + in_segment, width, where);
}

template <simt::detail::Exchangeable T>
auto __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                    simt::Where where = simt::Where::current()) {
  const unsigned lane = simt::lane();
  const bool inside = lane - simt::detail::segment_start(width) >= delta;
  return simt::detail::shuffle(mask, +value, inside ? lane - delta : lane, width, where);
}

template <simt::detail::Exchangeable T>
auto __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                      simt::Where where = simt::Where::current()) {
  const unsigned lane = simt::lane();
  const unsigned end = simt::detail::segment_start(width) + static_cast<unsigned>(width);
  return simt::detail::shuffle(mask, +value, delta < end - lane ? lane + delta : lane, width, where);
}

template <simt::detail::Exchangeable T>
auto __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize,
                     simt::Where where = simt::Where::current()) {
  const unsigned lane = simt::lane();
  const unsigned source = lane ^ static_cast<unsigned>(lane_mask);
  const unsigned end = simt::detail::segment_start(width) + static_cast<unsigned>(width);
  return simt::detail::shuffle(mask, +value, source < end ? source : lane, width, where);
}

// --- Matches and reductions of a warp --------------------------------------------------------------------------------

template <simt::detail::Exchangeable T>
unsigned __match_any_sync(unsigned mask, T value, simt::Where where = simt::Where::current()) {
  return static_cast<unsigned>(simt::exchange(simt::kMatch, mask, simt::detail::to_bits(value), 0, where));
}

template <simt::detail::Exchangeable T>
unsigned __match_all_sync(unsigned mask, T value, int* predicate, simt::Where where = simt::Where::current()) {
  *predicate = __match_any_sync(mask, value, where) == mask;
  return *predicate ? mask : 0u;
}

namespace simt::detail {
template <class T>
concept Word = std::same_as<T, int> || std::same_as<T, unsigned>;

template <Word T>
T reduce(Reduction for_signed, Reduction for_unsigned, unsigned mask, T value, const Where& where) {
  const auto reduction = static_cast<unsigned>(std::is_signed_v<T> ? for_signed : for_unsigned);
  return from_bits<T>(exchange(kReduce, mask, to_bits(value), reduction, where));
}
}  // namespace simt::detail

template <simt::detail::Word T>
T __reduce_add_sync(unsigned mask, T value, simt::Where where = simt::Where::current()) {
  return simt::detail::reduce(simt::Reduction::add, simt::Reduction::add, mask, value, where);
}
template <simt::detail::Word T>
T __reduce_min_sync(unsigned mask, T value, simt::Where where = simt::Where::current()) {
  return simt::detail::reduce(simt::Reduction::min_signed, simt::Reduction::min_unsigned, mask, value, where);
}
template <simt::detail::Word T>
T __reduce_max_sync(unsigned mask, T value, simt::Where where = simt::Where::current()) {
  return simt::detail::reduce(simt::Reduction::max_signed, simt::Reduction::max_unsigned, mask, value, where);
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value, simt::Where where = simt::Where::current()) {
  return simt::detail::reduce(simt::Reduction::conjunction, simt::Reduction::conjunction, mask, value, where);
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value, simt::Where where = simt::Where::current()) {
  return simt::detail::reduce(simt::Reduction::disjunction, simt::Reduction::disjunction, mask, value, where);
}
inline unsigned __reduce_xor_sync(unsigned mask, unsigned value, simt::Where where = simt::Where::current()) {
  return simt::detail::reduce(simt::Reduction::exclusive_or, simt::Reduction::exclusive_or, mask, value, where);
}

// --- Atomics: one OS thread runs all and would need none, but ThreadSanitizer must see them as such ------------------

namespace simt::detail {

template <class T>
concept Atomic = std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, unsigned long long>;
template <class T>
concept AtomicNumber = Atomic<T> || std::same_as<T, float> || std::same_as<T, double>;
template <class T>
concept AtomicOrdered = Atomic<T> || std::same_as<T, long long>;
/// Keeps the value's type out of deduction, as CUDA's overloads do.
template <class T>
using Same = std::type_identity_t<T>;

template <class T, class Update>
T update(T* address, const Update& new_value) {
  preempt();
  const std::atomic_ref<T> place(*address);
  T old = place.load();
  while (!place.compare_exchange_weak(old, new_value(old))) {
  }
  return old;
}

}  // namespace simt::detail

template <simt::detail::AtomicNumber T>
T atomicAdd(T* address, simt::detail::Same<T> value) {
  return simt::detail::update(address, [=](T old) { return static_cast<T>(old + value); });
}
template <class T>
requires(std::same_as<T, int> || std::same_as<T, unsigned>) T atomicSub(T* address, simt::detail::Same<T> value) {
  return simt::detail::update(address, [=](T old) { return static_cast<T>(old - value); });
}
template <simt::detail::AtomicOrdered T>
T atomicMin(T* address, simt::detail::Same<T> value) {
  return simt::detail::update(address, [=](T old) { return value < old ? value : old; });
}
template <simt::detail::AtomicOrdered T>
T atomicMax(T* address, simt::detail::Same<T> value) {
  return simt::detail::update(address, [=](T old) { return old < value ? value : old; });
}
template <class T>
requires(simt::detail::Atomic<T> || std::same_as<T, float>) T atomicExch(T* address, simt::detail::Same<T> value) {
  return simt::detail::update(address, [=](T) { return value; });
}
template <class T>
requires(simt::detail::Atomic<T> || std::same_as<T, unsigned short>) T
    atomicCAS(T* address, simt::detail::Same<T> expected, simt::detail::Same<T> desired) {
  return simt::detail::update(address, [=](T old) { return old == expected ? desired : old; });
}
template <simt::detail::Atomic T>
T atomicAnd(T* address, simt::detail::Same<T> value) {
  return simt::detail::update(address, [=](T old) { return old & value; });
}
template <simt::detail::Atomic T>
T atomicOr(T* address, simt::detail::Same<T> value) {
  return simt::detail::update(address, [=](T old) { return old | value; });
}
template <simt::detail::Atomic T>
T atomicXor(T* address, simt::detail::Same<T> value) {
  return simt::detail::update(address, [=](T old) { return old ^ value; });
}

// --- Memory ----------------------------------------------------------------------------------------------------------

inline void __threadfence() { simt::preempt(); }
inline void __threadfence_block() { simt::preempt(); }
inline void __nanosleep(unsigned) { simt::yield(); }
[[noreturn]] inline void __trap(simt::Where where = simt::Where::current()) { simt::fail("__trap", where); }

template <class T>
T __ldg(const T* address) {
  return *address;
}
template <class T>
T __ldcg(const T* address) {
  return *address;
}
template <class T>
T __ldcs(const T* address) {
  return *address;
}
template <class T>
void __stcg(T* address, std::type_identity_t<T> value) {
  *address = value;
}
template <class T>
void __stcs(T* address, std::type_identity_t<T> value) {
  *address = value;
}

// --- Bits ------------------------------------------------------------------------------------------------------------

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int bit = 0; bit < 32; ++bit) reversed |= (x >> bit & 1u) << (31 - bit);
  return reversed;
}
inline unsigned long long __brevll(unsigned long long x) {
  return static_cast<unsigned long long>(__brev(static_cast<unsigned>(x))) << 32 |
         __brev(static_cast<unsigned>(x >> 32));
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((uint64_t{a} * b) >> 32); }
inline int __mulhi(int a, int b) { return static_cast<int>((int64_t{a} * b) >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<unsigned long long>((static_cast<Wide>(a) * b) >> 64);
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>(((uint64_t{high} << 32 | low) << (shift & 31u)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((uint64_t{high} << 32 | low) >> (shift & 31u));
}
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }

// --- Arithmetic: the executor's sources are compiled without contraction, so plain operations round once -------------

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double a) { return sqrt(a); }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline int __float2int_rn(float x) { return static_cast<int>(nearbyintf(x)); }
inline int __float2int_rd(float x) { return static_cast<int>(floorf(x)); }
inline int __float2int_rz(float x) { return static_cast<int>(x); }
inline unsigned __float2uint_rz(float x) { return static_cast<unsigned>(x); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline float __double2float_rn(double x) { return static_cast<float>(x); }
// The C library declares some of these names for itself, hence macros. The device's are less exact.
#define __expf(x) expf(x)
#define __exp10f(x) exp10f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __log10f(x) log10f(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __tanf(x) tanf(x)

template <class T>
requires std::is_integral_v<T>
constexpr T min(T a, T b) { return b < a ? b : a; }
template <class T>
requires std::is_integral_v<T>
constexpr T max(T a, T b) { return a < b ? b : a; }
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
