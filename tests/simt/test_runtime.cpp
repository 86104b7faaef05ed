/// The runtime API as the engine uses it: streams, events, memory, and graphs that run what a stream has captured.

#include <numeric>
#include <thread>

#include "kernels/core/buffer.hpp"
#include "kernels/core/context.hpp"
#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/error.hpp"
#include "kernels/core/scan.hpp"
#include "kernels/core/stopwatch.hpp"
#include "tests/simt/simt_test.hpp"

namespace simt::test {
namespace {

using sheaf::Buffer;
using sheaf::Context;

__global__ void add_kernel(int64_t* values, int n, int64_t term) {
  const auto i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) values[i] += term;
}

class SimtRuntimeTest : public ::testing::Test {
 protected:
  static constexpr int kSize = 40;
  void add(int64_t term) { sheaf::launch(add_kernel, 2, 32, 0, context_, values_.data(), kSize, term); }
  cudaStream_t stream() const { return sheaf::cuda_stream(context_); }
  void begin() const { ASSERT_EQ(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeGlobal), cudaSuccess); }

  Context context_{sheaf::resolve_device("simt")};
  Buffer<int64_t> values_{context_, std::vector<int64_t>(kSize, 1)};
};

TEST_F(SimtRuntimeTest, AGraphRunsWhatWasCapturedAsOftenAsItIsLaunched) {
  Buffer<int64_t> sums(context_, kSize + 1);
  begin();
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  ASSERT_EQ(cudaStreamIsCapturing(stream(), &status), cudaSuccess);
  EXPECT_EQ(status, cudaStreamCaptureStatusActive);
  context_.fill_bytes(values_.data() + 1, 0, sizeof(int64_t));
  add(2);
  sheaf::exclusive_scan(context_, {values_.view(), sums.view()});
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamEndCapture(stream(), &graph), cudaSuccess);
  EXPECT_EQ(values_.to_host(), std::vector<int64_t>(kSize, 1)) << "a captured kernel has run";
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);

  std::vector<int64_t> expected(kSize, 1);
  for (int launches = 1; launches <= 3; ++launches) {
    ASSERT_EQ(cudaGraphLaunch(executable, stream()), cudaSuccess);
    context_.synchronize();
    expected.assign(kSize, 1 + 2 * launches);
    expected[1] = 2;  // cleared by each launch
    EXPECT_EQ(values_.to_host(), expected) << launches;
    EXPECT_EQ(sums.to_host().back(), std::accumulate(expected.begin(), expected.end(), int64_t{0}));
  }
  add(1);
  EXPECT_EQ(values_.to_host()[0], 8) << "after the capture the stream runs at once";
  ASSERT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
}

TEST_F(SimtRuntimeTest, OtherStreamsRunWhileOneCaptures) {
  Context other(sheaf::resolve_device("simt"));
  begin();
  sheaf::launch(add_kernel, 2, 32, 0, other, values_.data(), kSize, 5);
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamEndCapture(stream(), &graph), cudaSuccess);
  EXPECT_EQ(values_.to_host(), std::vector<int64_t>(kSize, 6));
  cudaGraphDestroy(graph);
}

TEST_F(SimtRuntimeTest, WhatNoCaptureMaySeeSpoilsIt) {
  void* memory = nullptr;
  int64_t value = 0;
  const std::vector<std::function<cudaError_t()>> forbidden{
      [&] { return cudaStreamSynchronize(stream()); }, [&] { return cudaDeviceSynchronize(); },
      [&] { return cudaMalloc(&memory, 8); },
      [&] { return cudaMemcpy(&value, values_.data(), sizeof(value), cudaMemcpyDeviceToHost); }};
  for (size_t i = 0; i < forbidden.size(); ++i) {
    begin();
    EXPECT_EQ(forbidden[i](), cudaErrorStreamCaptureUnsupported) << i;
    EXPECT_EQ(cudaGetLastError(), cudaErrorStreamCaptureUnsupported);
    add(1);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream(), &graph), cudaErrorStreamCaptureInvalidated) << i;
    EXPECT_EQ(graph, nullptr);
    cudaGetLastError();
  }
  EXPECT_EQ(values_.to_host(), std::vector<int64_t>(kSize, 1));
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream(), &graph), cudaErrorIllegalState) << "nothing captures";
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal), cudaErrorStreamCaptureUnsupported);
  cudaGetLastError();
}

// As the training loop would: its waits are DeviceErrors while a step is being captured.
TEST_F(SimtRuntimeTest, TheContextSaysWhatACaptureForbids) {
  begin();
  EXPECT_THROW(context_.synchronize(), sheaf::DeviceError);
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(stream(), &graph);
  cudaGetLastError();
  context_.synchronize();
}

TEST_F(SimtRuntimeTest, EventsMeasure) {
  cudaEvent_t start = nullptr, stop = nullptr;
  ASSERT_EQ(cudaEventCreate(&start), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&stop), cudaSuccess);
  cudaEventRecord(start, stream());
  add(1);
  cudaEventRecord(stop, stream());
  float milliseconds = -1;
  ASSERT_EQ(cudaEventElapsedTime(&milliseconds, start, stop), cudaSuccess);
  EXPECT_GT(milliseconds, 0);
  cudaEventDestroy(start);
  cudaEventDestroy(stop);
}

// --- Two devices -----------------------------------------------------------------------------------------------------

int device_of(const void* memory) {
  cudaPointerAttributes attributes{-1};
  EXPECT_EQ(cudaPointerGetAttributes(&attributes, memory), cudaSuccess);
  return attributes.device;
}

int current_device() {
  int ordinal = -1;
  EXPECT_EQ(cudaGetDevice(&ordinal), cudaSuccess);
  return ordinal;
}

constexpr sheaf::Device kFirst{sheaf::Backend::simt, 0}, kSecond{sheaf::Backend::simt, 1};

TEST(SimtDevices, ListingThemLeavesTheCurrentOne) {
  Context context(kFirst);
  for (const bool measure : {false, true}) {
    const std::vector<sheaf::DeviceInfo> devices = sheaf::list_devices(measure);
    ASSERT_EQ(devices.size(), 3u) << "the CPU and two devices";
    EXPECT_EQ(devices[2].device, kSecond);
    EXPECT_EQ(current_device(), 0);
    EXPECT_EQ(device_of(Buffer<float>(context, 8).data()), 0);
  }
}

// Memory, scratch, kernels, events and waits go to the context's device, whichever is current.
TEST(SimtDevices, AContextKeepsToItsOwn) {
  Context first(kFirst), second(kSecond);
  for (const int current : {0, 1}) {
    ASSERT_EQ(cudaSetDevice(current), cudaSuccess);
    for (Context* context : {&first, &second}) {
      const int own = context->device().ordinal;
      Buffer<int64_t> values(*context, std::vector<int64_t>(40, 1)), sums(*context, 41);
      EXPECT_EQ(device_of(values.data()), own);
      values.fill_bytes(0);
      sheaf::launch(add_kernel, 2, 32, 0, *context, values.data(), 40, 3);
      sheaf::exclusive_scan(*context, {values.view(), sums.view()});
      EXPECT_EQ(sums.to_host().back(), 120);
      sheaf::ScratchScope scratch(*context);
      EXPECT_EQ(device_of(scratch.take<float>(int64_t{1} << (24 + current))), own);  // a chunk of its own
      Context beside(context->device());
      ASSERT_EQ(cudaSetDevice(current), cudaSuccess);  // a new context's device is current
      context->wait_for(beside);
      sheaf::Stopwatch watch(*context);
      watch.start();
      EXPECT_GE(watch.stop(), 0.0);
      EXPECT_EQ(current_device(), current);
    }
  }
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
}

// A thread begins with the first device.
TEST(SimtDevices, AContextMayGoToAnotherThread) {
  Context second(kSecond);
  int device = -1;
  std::thread([&] { device = device_of(Buffer<float>(second, 8).data()); }).join();
  EXPECT_EQ(device, 1);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
}

TEST(SimtDevices, AStreamOfAnotherDeviceTakesNoKernel) {
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_NE(fault_of([&] { launching_device(stream); }).find("stream of device 0"), std::string::npos);
  cudaEvent_t event = nullptr;
  ASSERT_EQ(cudaEventCreate(&event), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(event, stream), cudaErrorInvalidResourceHandle);
  cudaGetLastError();
  cudaEventDestroy(event);
  cudaStreamDestroy(stream);
  EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
  cudaGetLastError();
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
}

}  // namespace
}  // namespace simt::test
