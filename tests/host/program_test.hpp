#pragma once
/// A shop's purchases and the program run on them as a person starts it, in a folder with a space in its name.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "kernels/core/philox.hpp"
#include "tests/common/paths.hpp"
#include "tests/common/process.hpp"
#include "tests/common/temp_folder.hpp"

namespace sheaf {

namespace fs = std::filesystem;
using test::Finished;
using test::write_bytes;

#if defined(__SANITIZE_ADDRESS__) || defined(SHEAF_TSAN)
inline constexpr bool kUnderSanitizer = true;
#else
inline constexpr bool kUnderSanitizer = false;
#endif

inline bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

inline constexpr const char* kImportToml = R"([source]
name = "Corner shop"
currency = "EUR"
[columns]
user = "customer"
basket = "receipt"
item = "product"
timestamp = "time"
quantity = "pieces"
price = "price"
item_name = "name"
category = "aisle"
[timestamp]
format = "%s"
[clean]
min_item_users = 2
[split]
kind = "temporal"
validation_days = 14
test_days = 14
)";

/// 60 customers with two tastes, 40 products in 8 aisles, 120 days.
inline std::string corner_shop() {
  std::string csv = "customer,receipt,product,time,pieces,price,name,aisle\n";
  const RandomKey key{7, Purpose::test, 0};
  uint32_t draw = 0;
  const auto next = [&](uint32_t n) { return bounded(random_u32(key, 0, draw++), n); };
  for (uint32_t receipt = 0; receipt < 700; ++receipt) {
    const uint32_t customer = next(60), time = 1000000 + receipt * 14811, n_items = 2 + next(5);
    for (uint32_t line = 0; line < n_items; ++line) {
      const uint32_t product = next(3) == 0 ? next(40) : (customer % 2) * 20 + next(20) * next(20) / 20;
      csv += "c" + std::to_string(customer) + ",r" + std::to_string(receipt) + ",p" + std::to_string(product) + "," +
             std::to_string(time) + ",1," + std::to_string(1 + product % 9) + ".50,\"Product, no. " +
             std::to_string(product) + "\",aisle " + std::to_string(product % 8) + "\n";
    }
  }
  return csv;
}

class ProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(home());
    write_bytes(home() / "shop.csv", corner_shop());
    write_bytes(home() / "shop.toml", kImportToml);
  }
  fs::path home() const { return folder_.path() / "a folder"; }  // a space in every path

  Finished run(std::vector<std::string> arguments) const {
    return test::Process(test::program_path(), arguments, home()).finish();
  }
  /// Fails the test unless the program ends well.
  Finished must_run(const std::vector<std::string>& arguments) const {
    Finished finished = run(arguments);
    EXPECT_EQ(finished.code, 0) << finished.err;
    return finished;
  }
  void prepare() const { must_run({"import", "shop.csv", "--config", "shop.toml", "--out", "data"}); }
  void prepare_model() const {
    prepare();
    must_run({"train", "data", "--out", "model", "--set", "model.preference=factorization", "--set", "model.dim=8",
              "--set", "model.epochs=30", "--quiet"});
  }
  /// What a failed run says; nothing may be left of it.
  void expect_failure(const std::vector<std::string>& arguments, int code, const std::string& message) const {
    const auto before = names();
    const Finished finished = run(arguments);
    EXPECT_EQ(finished.code, code) << finished.err;
    EXPECT_TRUE(has(finished.err, message)) << "expected: " << message << "\nfound: " << finished.err;
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(names(), before) << "something was left behind";
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(home())) found.push_back(entry.path().string());
    std::ranges::sort(found);
    return found;
  }
  std::string read(const fs::path& name) const { return test::read_bytes(home() / name); }

  test::TempFolder folder_;
};

inline constexpr const char* kSmall[] = {"--set", "search.anchors=20", "--set", "search.candidates=16",
                                         "--set", "search.rounds=2"};

inline std::vector<std::string> small(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), std::begin(kSmall), std::end(kSmall));
  return arguments;
}

}  // namespace sheaf
