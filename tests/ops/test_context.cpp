#include <atomic>
#include <new>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/memory.hpp"
#include "kernels/core/parallel.hpp"
#include "tests/common/op_test.hpp"

namespace sheaf {
namespace {

class ContextTest : public test::OpTest {};

TEST_P(ContextTest, RoundTripsMemory) {
  std::vector<int32_t> values(1000);
  std::iota(values.begin(), values.end(), -500);
  const Buffer<int32_t> buffer(context(), values);
  EXPECT_EQ(buffer.to_host(), values);
  EXPECT_EQ(Buffer<int32_t>::zeros(context(), 5).to_host(), std::vector<int32_t>(5, 0));
}

TEST_P(ContextTest, ScratchIsReusedAfterItsScope) {
  float* first = nullptr;
  {
    ScratchScope scope(context());
    first = scope.take<float>(1000);
    ScratchScope inner(context());
    EXPECT_NE(inner.take<float>(10), first);
    EXPECT_NE(inner.take<double>(int64_t{1} << 20), nullptr);  // larger than a chunk
  }
  ScratchScope scope(context());
  EXPECT_EQ(scope.take<float>(1000), first);
}

SHEAF_ON_EVERY_BACKEND(ContextTest);

TEST(ParallelFor, VisitsEveryElementOnce) {
  for (const int threads : {1, 2, 3}) {
    const Context context({}, {.n_threads = threads});
    for (const int64_t n : {0, 1, 31, 32, 33, 1000}) {
      std::vector<std::atomic<int>> visits(static_cast<size_t>(n));
      parallel_for(context, n, 32, [&](int64_t begin, int64_t end, int thread) {
        EXPECT_LT(thread, threads);
        for (int64_t i = begin; i < end; ++i) visits[static_cast<size_t>(i)]++;
      });
      for (const auto& v : visits) EXPECT_EQ(v.load(), 1);
    }
  }
}

TEST(ParallelFor, AfterAnInterruptNoChunkBegins) {
  for (const int threads : {1, 3}) {
    const Context context({}, {.n_threads = threads});
    std::atomic<int> begun{0};
    const auto work = [&](int64_t, int64_t) {
      if (++begun == 5) request_interrupt();
    };
    EXPECT_THROW(parallel_for(context, 1000, 1, work), Interrupted);
    clear_interrupt();
    EXPECT_GE(begun, 5);
    EXPECT_LE(begun, 5 + threads);
  }
}

TEST(ParallelFor, WhatABodyThrowsComesOut) {
  for (const int threads : {1, 3}) {
    const Context context({}, {.n_threads = threads});
    std::atomic<int> begun{0};
    const auto work = [&](int64_t begin, int64_t) {
      ++begun;
      if (begin >= 5) throw std::bad_alloc();
    };
    EXPECT_THROW(parallel_for(context, 1000, 1, work), std::bad_alloc);
    EXPECT_LE(begun, 5 + 2 * threads);
    begun = 0;
    parallel_for(context, 4, 1, work);  // nothing of it is left
    EXPECT_EQ(begun, 4);
  }
}

TEST(Memory, WhatDoesNotFitIsRefusedBeforeItIsTaken) {
  EXPECT_GT(free_memory(), 0);
  EXPECT_NO_THROW(require_memory("this needs", 1, "mend"));
  try {
    require_memory("the counts of 7 pairs need", int64_t{1} << 60, "raise associate.min_count");
    FAIL();
  } catch (const DeviceError& error) {
    EXPECT_EQ(std::string(error.what()).find("the counts of 7 pairs need 1073741824.0 GiB of memory, and "), 0u)
        << error.what();
    EXPECT_EQ(error.hint(), "raise associate.min_count");
  }
  EXPECT_TRUE(can_map(4096));
  EXPECT_FALSE(can_map(size_t{1} << 62));
}

TEST(Device, NamesThatAreWrongSaySo) {
  EXPECT_EQ(resolve_device("cpu"), (Device{Backend::cpu, 0}));
  EXPECT_THROW(resolve_device("gpu"), UsageError);
  EXPECT_THROW(resolve_device("cuda:-1"), UsageError);
  EXPECT_THROW(resolve_device("cuda:x"), UsageError);
  EXPECT_THROW(resolve_device("cuda:1000"), DeviceError);
}

TEST(Interrupt, IsSeenOnce) {
  clear_interrupt();
  EXPECT_NO_THROW(check_interrupt("test"));
  request_interrupt();
  EXPECT_THROW(check_interrupt("test"), Interrupted);
  clear_interrupt();
  EXPECT_NO_THROW(check_interrupt("test"));
}

TEST(Interrupt, NamesTheLastPhase) {
  check_interrupt("training");
  interrupt_after(1);
  EXPECT_NO_THROW(check_interrupt());
  try {
    check_interrupt();
    FAIL();
  } catch (const Interrupted& error) {
    EXPECT_STREQ(error.what(), "interrupted during training");
  }
  clear_interrupt();
}

}  // namespace
}  // namespace sheaf
