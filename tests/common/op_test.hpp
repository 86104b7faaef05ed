#pragma once
/// One test body runs on every backend of this build. If the build has CUDA and the machine has no GPU, the test shows
/// as skipped. SHEAF_REQUIRE=cuda (a comma-separated list of backends) turns that skip into a failure: the program ends
/// with 4 before the first test. SHEAF_POISON=0 leaves memory as it is, for initcheck: poison counts as written.
///
///   class BagTest : public sheaf::test::OpTest {};
///   TEST_P(BagTest, AgreesWithOracle) { Context& ctx = context(); ... }
///   SHEAF_ON_EVERY_BACKEND(BagTest);

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <type_traits>
#include <vector>

#include "kernels/core/buffer.hpp"
#include "kernels/core/context.hpp"

namespace sheaf::test {

class OpTest : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override;
  void TearDown() override;
  /// Poisoned memory, two CPU threads.
  Context& context() { return *context_; }
  /// A fresh context on the same backend, for thread-count and run-twice comparisons.
  std::unique_ptr<Context> make_context(int n_threads) const;

 private:
  std::unique_ptr<Context> context_;
};

/// A device buffer with canary values before and after it. `expect_intact` fails if an op wrote outside. Floats start
/// as NaN: the canary is a tiny number as a float, so an op that adds to what it should replace would pass.
template <class T>
class Guarded {
 public:
  static constexpr int64_t kGuard = 64;
  Guarded(Context& context, int64_t size) : buffer_(context, size + 2 * kGuard), size_(size) {
    buffer_.fill_bytes(0xa5);
    if (std::is_floating_point_v<T> && size > 0) {
      context.fill_bytes(data(), 0xff, static_cast<size_t>(size) * sizeof(T));
    }
  }
  Guarded(Context& context, const std::vector<T>& values) : Guarded(context, static_cast<int64_t>(values.size())) {
    if (!values.empty()) context.copy_from_host(buffer_.data() + kGuard, values.data(), values.size() * sizeof(T));
  }
  T* data() { return buffer_.data() + kGuard; }
  int64_t size() const { return size_; }
  VectorView<T> view() { return {data(), size_}; }
  MatrixView<T> matrix(int64_t rows, int64_t cols) { return {data(), rows, cols}; }

  std::vector<T> to_host() const {
    std::vector<T> all = buffer_.to_host();
    return std::vector<T>(all.begin() + kGuard, all.end() - kGuard);
  }
  void expect_intact() const {
    const std::vector<T> all = buffer_.to_host();
    const auto* bytes = reinterpret_cast<const unsigned char*>(all.data());
    const size_t guard_bytes = kGuard * sizeof(T);
    const size_t end = all.size() * sizeof(T);
    for (size_t b = 0; b < guard_bytes; ++b) {
      ASSERT_EQ(bytes[b], 0xa5) << "written before the buffer, byte " << b;
      ASSERT_EQ(bytes[end - 1 - b], 0xa5) << "written after the buffer, byte " << b << " from the end";
    }
  }

 private:
  Buffer<T> buffer_;
  int64_t size_;
};

/// Values for tests: a fixed engine, so that a failure can be repeated.
inline std::vector<float> random_floats(int64_t n, uint32_t seed, float low = -1.0f, float high = 1.0f) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& value : values) value = uniform(engine);
  return values;
}

inline std::vector<int32_t> random_ints(int64_t n, uint32_t seed, int32_t low, int32_t high_inclusive) {
  std::mt19937 engine(seed);
  std::uniform_int_distribution<int32_t> uniform(low, high_inclusive);
  std::vector<int32_t> values(static_cast<size_t>(n));
  for (int32_t& value : values) value = uniform(engine);
  return values;
}

/// A CSR matrix on the host and on the device.
struct HostCsr {
  std::vector<int64_t> row_offsets{0};
  std::vector<int32_t> columns;
  std::vector<float> values;  // empty: pattern
  int64_t n_columns = 0;
  int64_t n_rows() const { return static_cast<int64_t>(row_offsets.size()) - 1; }
};

/// Unique ascending columns; each row has between 0 and max_per_row of them.
HostCsr random_csr(int64_t n_rows, int64_t n_columns, int64_t max_per_row, uint32_t seed, bool with_values);

class DeviceCsr {
 public:
  DeviceCsr(Context& context, const HostCsr& host);
  CsrView view() const;

 private:
  Buffer<int64_t> row_offsets_;
  Buffer<int32_t> columns_;
  Buffer<float> values_;
  int64_t n_rows_, n_columns_;
};

/// The backends that this build holds, whether or not the machine has their device.
std::vector<Backend> built_backends();
std::string backend_name(const ::testing::TestParamInfo<Backend>& info);

}  // namespace sheaf::test

#define SHEAF_ON_EVERY_BACKEND(Suite) \
  INSTANTIATE_TEST_SUITE_P(On, Suite, ::testing::ValuesIn(::sheaf::test::built_backends()), ::sheaf::test::backend_name)
