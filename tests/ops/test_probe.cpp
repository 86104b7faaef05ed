#include <cmath>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/core/probe.hpp"
#include "kernels/core/stopwatch.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/sums.hpp"

namespace sheaf {
namespace {

class ProbeTest : public test::OpTest {};

TEST_P(ProbeTest, CopyCopies) {
  for (const int64_t n : {0, 1, 31, 33, 5000}) {
    const std::vector<float> values = test::random_floats(n, 1);
    const Buffer<float> in(context(), values);
    test::Guarded<float> out(context(), n);
    probe_copy(context(), {in.view(), out.view()});
    out.expect_intact();
    EXPECT_EQ(out.to_host(), values);
  }
}

TEST_P(ProbeTest, GatherSumsTheRightRows) {
  for (const int64_t dim : {4, 8, 12, 64, 128, 512}) {
    const std::vector<float> table = test::random_floats(37 * dim, 2);
    const std::vector<int32_t> ids = test::random_ints(131, 3, 0, 36);
    const Buffer<float> device_table(context(), table);
    const Buffer<int32_t> device_ids(context(), ids);
    test::Guarded<float> sums(context(), 131);
    probe_gather(context(), {device_table.matrix(37, dim), device_ids.view(), sums.view()});
    sums.expect_intact();
    const std::vector<float> got = sums.to_host();
    ref::Sums expected(131);
    for (int64_t i = 0; i < 131; ++i) {
      for (int64_t c = 0; c < dim; ++c)
        expected.add(i, table[static_cast<size_t>(ids[static_cast<size_t>(i)] * dim + c)]);
    }
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected.value[i], expected.bound(i)) << "dim " << dim;
  }
}

TEST_P(ProbeTest, MultiplyAddsAllHappen) {
  // From x = c at the start to 1 + (c - 1) / 2^steps, exactly while the bits last: chains c = 0 .. kProbeChains - 1.
  constexpr int64_t kSteps = 10;
  Buffer<float> start = Buffer<float>::zeros(context(), 3 * kProbeLanes);
  probe_fma(context(), {kSteps, start.view()});
  double expected = 0.0;
  for (int64_t c = 0; c < kProbeChains; ++c) expected += 1.0 + std::ldexp(static_cast<double>(c - 1), -kSteps);
  for (const float sum : start.to_host()) EXPECT_EQ(sum, expected);
}

TEST_P(ProbeTest, RefusesWrongArguments) {
  Buffer<float> floats(context(), 64);
  const Buffer<int32_t> ids(context(), std::vector<int32_t>{0, 1});
  EXPECT_THROW(probe_copy(context(), {{floats.data(), 3}, {floats.data() + 8, 4}}), UsageError);
  EXPECT_THROW(probe_gather(context(), {{floats.data(), 4, 6}, ids.view(), {floats.data() + 32, 2}}), UsageError);
  EXPECT_THROW(probe_gather(context(), {{floats.data(), 4, 8}, ids.view(), {floats.data() + 32, 3}}), UsageError);
  EXPECT_THROW(probe_fma(context(), {1, {floats.data(), 7}}), UsageError);
}

TEST_P(ProbeTest, StopwatchMovesForward) {
  Stopwatch watch(context());
  Buffer<float> out = Buffer<float>::zeros(context(), kProbeLanes);
  watch.start();
  probe_fma(context(), {100, out.view()});
  const double first = watch.stop();
  EXPECT_GE(first, 0.0);
  EXPECT_LT(first, 600.0);
  watch.start();
  EXPECT_GE(watch.stop(), 0.0);
}

SHEAF_ON_EVERY_BACKEND(ProbeTest);

}  // namespace
}  // namespace sheaf
