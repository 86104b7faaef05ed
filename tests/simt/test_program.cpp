/// The program itself: raw purchases, training, association, search, scores and evaluation, every step of it on the
/// executor.

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/common/paths.hpp"
#include "tests/common/process.hpp"
#include "tests/common/temp_folder.hpp"
#include "tests/simt/simt_test.hpp"

namespace simt::test {
namespace {

using nlohmann::json;

// The longest sums in float go over the 5,062 items: another order moves a figure by that many roundings at most.
constexpr double kBound = 5062 * 0x1p-24;

/// Fails where two results differ by more than the bound; text, counts and order must be equal.
void expect_same(const json& a, const json& b, const std::string& where) {
  ASSERT_EQ(a.type(), b.type()) << where;
  if (a.is_number_float()) {
    const auto x = a.get<double>(), y = b.get<double>();
    EXPECT_NEAR(x, y, kBound * std::max(std::fabs(x), std::fabs(y))) << where;
  } else if (a.is_structured()) {
    ASSERT_EQ(a.size(), b.size()) << where;
    for (auto left = a.items().begin(), right = b.items().begin(); left != a.items().end(); ++left, ++right) {
      ASSERT_EQ(left.key(), right.key()) << where;
      expect_same(left.value(), right.value(), where + "/" + left.key());
    }
  } else {
    EXPECT_EQ(a, b) << where;
  }
}

TEST(SimtProgramTest, TheDemoGivesWhatTheCpuGives) {
  const sheaf::test::TempFolder folder;
  const auto demo = [&](const std::string& device) {
    std::vector<std::string> arguments{"demo", "--device", device, "--out", "demo_" + device, "--json", "--quiet"};
    for (const char* setting : {"model.preference=factorization", "model.epochs=1", "model.dim=8", "search.anchors=4",
                                "search.candidates=8", "search.rounds=2"}) {
      arguments.insert(arguments.end(), {"--set", setting});
    }
    const auto finished = sheaf::test::Process(sheaf::test::program_path(), arguments, folder.path()).finish();
    EXPECT_EQ(finished.code, 0) << finished.err;
    json result = json::parse(finished.out);
    result.erase("out");
    return result;
  };
  const json of_cpu = demo("cpu"), of_simt = demo("simt");
  EXPECT_FALSE(of_cpu["bundles"].empty());
  EXPECT_FALSE(of_cpu["quality"]["ranking"].empty());
  expect_same(of_cpu, of_simt, "");
}

}  // namespace
}  // namespace simt::test
