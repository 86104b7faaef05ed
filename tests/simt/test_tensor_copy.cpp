/// Tensor copies and mbarriers on the executor: right use, and each misuse that it must find.

#include <algorithm>

#include "tests/simt/simt_test.hpp"

namespace simt::test {
namespace {

constexpr unsigned kBoxRows = 16, kBoxBytes = kBoxRows * kBoxRowBytes, kThreads = 64;

/// Element i of 64 columns and any number of rows is i.
struct Source {
  explicit Source(uint64_t n_rows) : data(n_rows * 64 + 8) {
    for (size_t i = 0; i < n_rows * 64; ++i) begin()[i] = static_cast<uint16_t>(i);
  }
  uint16_t* begin() { return data.data() + (-reinterpret_cast<uintptr_t>(data.data()) & 15u) / 2; }
  TensorMap map() {
    const uint64_t n_rows = (data.size() - 8) / 64;
    return tensor_map(begin(), 2, {64, 1, n_rows}, {128, 128}, {64, 1, kBoxRows});
  }
  std::vector<uint16_t> data;
};

template <class Kernel, class... Arguments>
void expect_everywhere(const std::vector<std::string>& words, Kernel* kernel, Arguments... arguments) {
  for (const std::string& name : all_orders()) {
    const ScopedOrder order(name);
    const std::string fault = fault_of([&] { run(kernel, 1u, kThreads, 2 * kBoxBytes, arguments...); });
    for (const std::string& word : words) {
      EXPECT_NE(fault.find(word), std::string::npos) << name << " lacks '" << word << "': " << fault;
    }
    EXPECT_EQ(fault.empty(), words.empty()) << name << ": " << fault;
  }
}

/// Thread 0 initialises the barriers, all wait for it.
__device__ void begin_barriers(uint64_t* barriers, int n) {
  if (threadIdx.x == 0) {
    for (int b = 0; b < n; ++b) mbarrier_init(&barriers[b]);
  }
  __syncthreads();
}

// Every box is added up by all threads while the next one is under way.
__global__ void sum_boxes_kernel(TensorMap map, int n_boxes, unsigned* sums) {
  __shared__ uint64_t barriers[2];
  begin_barriers(barriers, 2);
  const auto begin = [&](int box) {
    if (threadIdx.x > 0 || box >= n_boxes) return;
    mbarrier_expect(&barriers[box % 2], kBoxBytes);
    tensor_copy(dynamic_shared() + box % 2 * kBoxBytes, map, 0, 0, box * static_cast<int>(kBoxRows),
                &barriers[box % 2]);
  };
  begin(0);
  unsigned sum = 0;
  for (int box = 0; box < n_boxes; ++box) {
    begin(box + 1);
    mbarrier_wait(&barriers[box % 2], static_cast<unsigned>(box / 2 % 2));
    for (unsigned row = 0; row < kBoxRows; ++row) {
      const unsigned byte = threadIdx.x * 2 ^ row % 8 * 16;
      sum += *reinterpret_cast<const uint16_t*>(dynamic_shared() + box % 2 * kBoxBytes + row * kBoxRowBytes + byte);
    }
    __syncthreads();
  }
  sums[blockIdx.x * kThreads + threadIdx.x] = sum;
}

TEST(SimtTensorCopy, BoxesComeInTurnsAndBeyondTheTensorAreZeros) {
  Source source(5 * kBoxRows - 3);
  const TensorMap map = source.map();
  for (const std::string& name : all_orders()) {
    const ScopedOrder order(name);
    std::vector<unsigned> sums(3 * kThreads);
    run(sum_boxes_kernel, 3u, kThreads, 2 * kBoxBytes, map, 6, sums.data());
    for (unsigned t = 0; t < sums.size(); ++t) {
      unsigned expected = 0;
      for (unsigned row = 0; row < 5 * kBoxRows - 3; ++row) expected += row * 64 + t % kThreads;
      ASSERT_EQ(sums[t], expected) << name << " thread " << t;
    }
  }
}

__global__ void read_before_wait_kernel(TensorMap map, uint16_t* early, uint16_t* late) {
  __shared__ uint64_t barrier;
  begin_barriers(&barrier, 1);
  auto* tile = reinterpret_cast<uint16_t*>(dynamic_shared());
  tile[threadIdx.x] = 7;
  __syncthreads();
  if (threadIdx.x == 3) {
    mbarrier_expect(&barrier, kBoxBytes);
    tensor_copy(tile, map, 0, 0, 0, &barrier);
  }
  __syncthreads();
  early[threadIdx.x] = tile[threadIdx.x];
  __syncthreads();
  mbarrier_wait(&barrier, 0);
  late[threadIdx.x] = tile[threadIdx.x];
  mbarrier_wait(&barrier, 0);  // of a phase that is over: no wait
  mbarrier_wait(&barrier, 1);  // nor for the one before the first
}

TEST(SimtTensorCopy, ABoxIsPoisonBeforeTheWait) {
  Source source(kBoxRows);
  std::vector<uint16_t> early(kThreads), late(kThreads);
  expect_everywhere({"waits for ever at the mbarrier", "0 of 1 arrivals"}, read_before_wait_kernel, source.map(),
                    early.data(), late.data());
  for (unsigned t = 0; t < kThreads; ++t) {
    EXPECT_EQ(early[t], 0xffff) << t;
    EXPECT_EQ(late[t], t) << t;
  }
}

// --- Misuse ----------------------------------------------------------------------------------------------------------

/// What thread 0 does with a barrier; then all threads wait.
struct Steps {
  bool initialise = true, initialise_twice = false;
  unsigned announced = kBoxBytes;
  unsigned n_arrivals = 1;
  bool arrives_last = false;
  unsigned n_boxes = 1;
  unsigned offset = 0;    // of the first box
  unsigned distance = 0;  // between boxes
  int waiting = 64;       // threads that wait, the others go to the block barrier
};

__global__ void steps_kernel(TensorMap map, Steps steps) {
  __shared__ uint64_t barrier;
  if (threadIdx.x == 0 && steps.initialise) mbarrier_init(&barrier);
  if (threadIdx.x == 0 && steps.initialise_twice) mbarrier_init(&barrier);
  __syncthreads();
  if (threadIdx.x == 0) {
    const auto arrive = [&] {
      for (unsigned i = 0; i < steps.n_arrivals; ++i) mbarrier_expect(&barrier, steps.announced);
    };
    if (!steps.arrives_last) arrive();
    for (unsigned i = 0; i < steps.n_boxes; ++i) {
      tensor_copy(dynamic_shared() + steps.offset + i * steps.distance, map, 0, 0, 0, &barrier);
    }
    if (steps.arrives_last) arrive();
  }
  if (static_cast<int>(threadIdx.x) < steps.waiting) mbarrier_wait(&barrier, 0);
  __syncthreads();
}

TEST(SimtTensorCopy, FindsEachMisuse) {
  Source source(kBoxRows);
  const auto expect = [&](const std::vector<std::string>& words, const Steps& steps) {
    expect_everywhere(words, steps_kernel, source.map(), steps);
  };
  expect({}, {});
  expect({}, {.announced = 2 * kBoxBytes, .n_boxes = 2, .distance = kBoxBytes});
  expect({}, {.arrives_last = true});
  expect({}, {.waiting = 1});
  expect({"steps_kernel", "an mbarrier that is not initialised", "test_tensor_copy.cpp"}, {.initialise = false});
  expect({"initialises an mbarrier for the second time"}, {.initialise_twice = true});
  expect({"waits for ever at the mbarrier", "2048 of 4096 bytes"}, {.announced = 2 * kBoxBytes});
  expect({"waits for ever at the mbarrier", "2048 of 4096 bytes"}, {.announced = 2 * kBoxBytes, .waiting = 1});
  expect({"4096 of 2048 bytes"}, {.n_boxes = 2, .distance = kBoxBytes});
  expect({"waits for ever at the mbarrier", "0 of 1 arrivals"}, {.n_arrivals = 0});
  expect({"arrives at an mbarrier again"}, {.n_arrivals = 2});
  expect({"more bytes than an mbarrier counts"}, {.announced = 1u << 20});
  for (const unsigned offset : {16u, 128u, 512u}) {
    expect({"not aligned to 1024 bytes"}, {.offset = offset});
  }
  expect({"where another one is under way"}, {.announced = 2 * kBoxBytes, .n_boxes = 2, .distance = 1024});
}

// Thread 0 does not wait for the others before it arms the next phase.
__global__ void run_ahead_kernel(TensorMap map) {
  __shared__ uint64_t barrier;
  begin_barriers(&barrier, 1);
  for (unsigned phase = 0; phase < 2; ++phase) {
    if (threadIdx.x == 0) {
      mbarrier_expect(&barrier, kBoxBytes);
      tensor_copy(dynamic_shared(), map, 0, 0, 0, &barrier);
    }
    mbarrier_wait(&barrier, phase);
  }
}

TEST(SimtTensorCopy, FindsAThreadThatMissesAPhase) {
  Source source(kBoxRows);
  for (const std::string name : {"forward", "reverse"}) {
    const ScopedOrder order(name);
    const std::string fault = fault_of([&] { run(run_ahead_kernel, 1u, kThreads, kBoxBytes, source.map()); });
    EXPECT_NE(fault.find("mbarrier"), std::string::npos) << name << ": " << fault;
  }
}

TEST(SimtTensorCopy, RefusesMapsThatTheDriverRefuses) {
  alignas(16) static unsigned char data[64] = {};
  const auto refused = [](const unsigned char* from, const uint64_t(&sizes)[3], const uint64_t(&strides)[2],
                          const uint32_t(&box)[3]) {
    return fault_of([&] { (void)tensor_map(from, 2, sizes, strides, box); });
  };
  EXPECT_EQ(refused(data, {8, 2, 5}, {16, 48}, {64, 1, 64}), "");
  EXPECT_NE(refused(data + 8, {8, 2, 5}, {16, 48}, {64, 1, 64}).find("address"), std::string::npos);
  EXPECT_NE(refused(data, {8, 0, 5}, {16, 48}, {64, 1, 64}).find("size"), std::string::npos);
  EXPECT_NE(refused(data, {8, 2, (uint64_t{1} << 32) + 1}, {16, 48}, {64, 1, 64}).find("size"), std::string::npos);
  EXPECT_NE(refused(data, {8, 2, 5}, {24, 48}, {64, 1, 64}).find("multiple of 16"), std::string::npos);
  EXPECT_NE(refused(data, {8, 2, 5}, {16, uint64_t{1} << 40}, {64, 1, 64}).find("below 2^40"), std::string::npos);
  EXPECT_NE(refused(data, {8, 2, 5}, {32, 48}, {64, 1, 64}).find("dimension before"), std::string::npos);
  EXPECT_NE(refused(data, {16, 2, 5}, {16, 48}, {64, 1, 64}).find("dimension before"), std::string::npos);
  EXPECT_NE(refused(data, {8, 2, 5}, {16, 48}, {64, 1, 257}).find("256 elements"), std::string::npos);
  EXPECT_NE(refused(data, {8, 2, 5}, {16, 48}, {32, 1, 64}).find("128 bytes"), std::string::npos);
}

}  // namespace
}  // namespace simt::test
