#include "tests/common/op_test.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "kernels/core/device.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::test {
namespace {

constexpr uint64_t kSeed = 20170101;

bool required(Backend backend) {
  const char* text = std::getenv("SHEAF_REQUIRE");
  if (!text) return false;
  const std::string list = "," + std::string(text) + ",";
  return list.find("," + std::string(to_string(backend)) + ",") != std::string::npos;
}

bool poisons() {
  const char* text = std::getenv("SHEAF_POISON");
  return !text || std::string(text) != "0";
}

// Without the device that SHEAF_REQUIRE names nothing can pass: one message and the exit code of the program for it.
class RequiredDevices : public ::testing::Environment {
 public:
  void SetUp() override {
    for (const Backend backend : {Backend::cpu, Backend::simt, Backend::cuda}) {
      if (!required(backend)) continue;
      try {
        resolve_device(to_string(backend));
      } catch (const DeviceError& error) {
        std::fprintf(stderr, "SHEAF_REQUIRE names %s: %s\n", to_string(backend), error.what());
        std::exit(static_cast<int>(error.code()));
      }
    }
  }
};
[[maybe_unused]] const auto* const required_devices = ::testing::AddGlobalTestEnvironment(new RequiredDevices);

}  // namespace

void OpTest::SetUp() {
  try {
    context_ = make_context(2);
  } catch (const DeviceError& error) {
    if (required(GetParam())) FAIL() << error.what();
    GTEST_SKIP() << error.what();
  }
}

void OpTest::TearDown() {
  if (context_) context_->synchronize();
}

std::unique_ptr<Context> OpTest::make_context(int n_threads) const {
  const Device device = resolve_device(to_string(GetParam()));
  return std::make_unique<Context>(device,
                                   ContextOptions{.seed = kSeed, .n_threads = n_threads, .poison_memory = poisons()});
}

HostCsr random_csr(int64_t n_rows, int64_t n_columns, int64_t max_per_row, uint32_t seed, bool with_values) {
  std::mt19937 engine(seed);
  std::uniform_int_distribution<int64_t> length(0, std::min(max_per_row, n_columns));
  std::uniform_real_distribution<float> value(0.1f, 2.0f);
  HostCsr csr;
  csr.n_columns = n_columns;
  for (int64_t row = 0; row < n_rows; ++row) {
    std::set<int32_t> chosen;
    const auto wanted = static_cast<size_t>(length(engine));
    std::uniform_int_distribution<int32_t> column(0, static_cast<int32_t>(n_columns) - 1);
    while (chosen.size() < wanted) chosen.insert(column(engine));
    for (const int32_t c : chosen) {
      csr.columns.push_back(c);
      if (with_values) csr.values.push_back(value(engine));
    }
    csr.row_offsets.push_back(static_cast<int64_t>(csr.columns.size()));
  }
  return csr;
}

DeviceCsr::DeviceCsr(Context& context, const HostCsr& host)
    : row_offsets_(context, host.row_offsets),
      columns_(context, host.columns),
      values_(context, host.values),
      n_rows_(host.n_rows()),
      n_columns_(host.n_columns) {}

CsrView DeviceCsr::view() const {
  return {row_offsets_.data(), columns_.data(), values_.empty() ? nullptr : values_.data(), n_rows_,
          n_columns_,          columns_.size()};
}

std::vector<Backend> built_backends() {
  std::vector<Backend> backends;
  for (const Backend backend : {Backend::cpu, Backend::simt, Backend::cuda}) {
    // What SHEAF_REQUIRE names is listed in any case, so that its absence shows.
    if (built_with(backend) || required(backend)) backends.push_back(backend);
  }
  return backends;
}

std::string backend_name(const ::testing::TestParamInfo<Backend>& info) { return to_string(info.param); }

}  // namespace sheaf::test
