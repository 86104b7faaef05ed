/// Launches that no device makes: each limit with the largest launch within it and the smallest beyond it.

#include "kernels/core/context.hpp"
#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/error.hpp"
#include "tests/simt/executor/launch_limits.hpp"
#include "tests/simt/executor/program_image.hpp"
#include "tests/simt/simt_test.hpp"

namespace simt::test {
namespace {

constexpr size_t kKiB = 1024;

void expect_refused(const std::string& fault, const std::vector<std::string>& words) {
  EXPECT_FALSE(fault.empty());
  for (const std::string& word : words) EXPECT_NE(fault.find(word), fault.npos) << "no '" << word << "' in: " << fault;
}

/// Three kernels of each size, for what one is allowed stays.
template <int kNumber, size_t kBytes>
__global__ void static_kernel(int* out) {
  __shared__ unsigned char bytes[kBytes];
  bytes[threadIdx.x] = 1;
  *out = bytes[threadIdx.x];
}

template <class Kernel>
std::string fault_with(Kernel* kernel, size_t dynamic_bytes) {
  int out = 0;
  return fault_of([&] { run(kernel, 1u, 1, dynamic_bytes, &out); });
}

TEST(SimtLimits, StaticSharedMemoryIsKnown) {
  EXPECT_EQ(needs_of(reinterpret_cast<const void*>(static_kernel<0, 3088>)).static_shared, 3088u);
  cudaFuncAttributes attributes{};
  ASSERT_EQ(cudaFuncGetAttributes(&attributes, static_kernel<0, 3088>), cudaSuccess);
  EXPECT_EQ(attributes.sharedSizeBytes, 3088u);
  EXPECT_EQ(attributes.maxDynamicSharedSizeBytes, static_cast<int>(48 * kKiB - 3088));
}

TEST(SimtLimits, StaticAndDynamicSharedMemoryAreAtMost48KiBTogether) {
  EXPECT_EQ(fault_with(static_kernel<1, 3088>, 48 * kKiB - 3088), "");
  expect_refused(fault_with(static_kernel<1, 3088>, 48 * kKiB - 3087),
                 {"static_kernel<1", "3088 bytes of static", "cudaFuncAttributeMaxDynamicSharedMemorySize"});
  expect_refused(fault_with(static_kernel<1, 3088>, 48 * kKiB), {"only 46064"});
}

TEST(SimtLimits, AnAttributeAllowsAsMuchAsItSays) {
  const auto kernel = static_kernel<2, 1024>;
  ASSERT_EQ(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 64 * kKiB), cudaSuccess);
  EXPECT_EQ(fault_with(kernel, 64 * kKiB), "");
  expect_refused(fault_with(kernel, 64 * kKiB + 1), {"only 65536"});
  EXPECT_NE(fault_with(static_kernel<3, 1024>, 64 * kKiB), "") << "another kernel";
}

TEST(SimtLimits, NoBlockHasMoreThan227KiB) {
  const auto kernel = static_kernel<4, 1024>;
  EXPECT_EQ(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 * kKiB),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  ASSERT_EQ(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 226 * kKiB), cudaSuccess);
  EXPECT_EQ(fault_with(kernel, 226 * kKiB), "");
  expect_refused(fault_with(kernel, 227 * kKiB), {"1024 bytes of static", "more than a block may have"});
}

TEST(SimtLimits, StaticSharedMemoryIsAtMost48KiB) {
  EXPECT_EQ(fault_with(static_kernel<5, 48 * kKiB>, 0), "");
  expect_refused(fault_with(static_kernel<5, 48 * kKiB + 16>, 0), {"more than a block may have"});
}

// The launch that could not be: 48 KiB of dynamic shared memory beside some static.
TEST(SimtLimits, LaunchAllowsWhatAKernelNeeds) {
  sheaf::Context context(sheaf::resolve_device("simt"));
  int out = 0;
  sheaf::launch(static_kernel<6, 3088>, 1, 1, 48 * kKiB, context, &out);
  EXPECT_EQ(out, 1);
  sheaf::launch(static_kernel<6, 3088>, 1, 1, 100 * kKiB, context, &out);
  sheaf::launch(static_kernel<6, 3088>, 1, 1, 60 * kKiB, context, &out);
  EXPECT_EQ(allowed_dynamic_shared(reinterpret_cast<const void*>(static_kernel<6, 3088>), 0), 100 * kKiB)
      << "what was allowed once is taken back";
  EXPECT_THROW(sheaf::launch(static_kernel<6, 3088>, 1, 1, 225 * kKiB, context, &out), sheaf::DeviceError);
  cudaGetLastError();
}

__global__ void idle_kernel() {}

TEST(SimtLimits, GridsAndBlocks) {
  const auto fault = [](dim3 grid, dim3 block) { return fault_of([=] { run(idle_kernel, grid, block, 0); }); };
  EXPECT_EQ(fault(1, 1024), "");
  EXPECT_EQ(fault(1, dim3(1, 1, 64)), "");
  EXPECT_EQ(fault(dim3(2, 65535), 1), "");
  EXPECT_EQ(fault(dim3(1, 1, 65535), 1), "");
  expect_refused(fault(0, 32), {"idle_kernel", "grid of (0, 1, 1)"});
  expect_refused(fault(0x80000000u, 1), {"grid of (2147483648, 1, 1)"});
  expect_refused(fault(dim3(1, 65536), 1), {"grid of (1, 65536, 1)"});
  expect_refused(fault(dim3(1, 1, 65536), 1), {"grid of (1, 1, 65536)"});
  expect_refused(fault(1, 0), {"blocks of (0, 1, 1)"});
  expect_refused(fault(1, 1025), {"blocks of (1025, 1, 1)"});
  expect_refused(fault(1, dim3(32, 33)), {"blocks of (32, 33, 1)"});
  expect_refused(fault(1, dim3(1, 1, 65)), {"blocks of (1, 1, 65)"});
}

TEST(SimtLimits, BlocksForKnowsTheWidestGrid) {
  EXPECT_EQ(sheaf::blocks_for(int64_t{0x7fffffff} * 256, 256), 0x7fffffffu);
  EXPECT_THROW(sheaf::blocks_for(int64_t{0x7fffffff} * 256 + 1, 256), sheaf::DeviceError);
  EXPECT_THROW(sheaf::blocks_for(int64_t{1} << 40, 256), sheaf::DeviceError) << "2^32 blocks must not become none";
}

struct Wide {
  unsigned char bytes[4088];
};
__global__ void wide_kernel(Wide wide, int* out) { *out = wide.bytes[0]; }
__global__ void wider_kernel(int, Wide wide, int* out) { *out = wide.bytes[0]; }

TEST(SimtLimits, ParametersAreAtMostFourKiB) {
  static_assert(parameter_bytes<char, int64_t, char>() == 17);
  int out = 1;
  EXPECT_EQ(fault_of([&] { run(wide_kernel, 1u, 1, 0, Wide{}, &out); }), "");
  expect_refused(fault_of([&] { run(wider_kernel, 1u, 1, 0, 0, Wide{}, &out); }),
                 {"wider_kernel", "4104 bytes of parameters"});
  sheaf::Context context(sheaf::resolve_device("simt"));
  EXPECT_THROW(sheaf::launch(wider_kernel, 1, 1, 0, context, 0, Wide{}, &out), Fault);
}

// --- Registers, of the kernels in kernels/registers.json -------------------------------------------------------------

TEST(SimtLimits, RegistersOfABlockFitTheMultiprocessor) {
  const auto refused = [](unsigned threads, int registers) {
    return refusal({.grid = 1, .block = threads}, {.registers = registers}, 0);
  };
  EXPECT_EQ(refused(256, 255), "");
  EXPECT_EQ(refused(1024, 64), "");
  EXPECT_EQ(refused(1024, 0), "") << "of a kernel that is not in the table";
  expect_refused(refused(1024, 65), {"1024 threads of 65 registers"});
  expect_refused(refused(257, 255), {"257 threads"});
  expect_refused(refused(512, 129), {"512 threads of 129 registers"});
}

TEST(SimtLimits, TheTableIsReadByName) {
  constexpr const char* kTable =
      "    \"a.cu\": {\n      \"row_kernel<1, n::F<2>>\": {\n"
      "        \"80\": {\"registers\": 40, \"shared\": 16, \"stack\": 0},\n"
      "        \"90a\": {\"registers\": 33, \"shared\": 3088, \"stack\": 0}\n      },\n"
      "      \"row_kernel<2, n::F<2>>\": {\n        \"80\": {\"registers\": 99, \"shared\": 5}\n      }\n    },\n"
      "    \"b.cu\": {\n      \"row_kernel<1, n::F<2>>\": {\n        \"80\": {\"registers\": 41, \"shared\": 1}\n      "
      "}\n";
  const KernelNeeds needs = needs_in_table(kTable, "row_kernel<1, n::F<2>>");
  EXPECT_EQ(needs.registers, 41);
  EXPECT_EQ(needs.static_shared, 3088u);
  EXPECT_EQ(needs_in_table(kTable, "row_kernel").registers, 0);
  EXPECT_EQ(own_name("void n::(anonymous namespace)::row_kernel<1, n::F<2> >"), "row_kernel<1, n::F<2> >");
  EXPECT_EQ(own_name("row_kernel<(n::T)0, 64>"), "row_kernel<(n::T)0, 64>");
  EXPECT_EQ(needs_in_table(kRegisterTable, "cosine_filter_kernel<true>").static_shared, 3088u);
}

}  // namespace
}  // namespace simt::test
