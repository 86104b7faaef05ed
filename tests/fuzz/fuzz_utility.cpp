// Transactions with utilities.

#include "host/problems/utility_file.hpp"
#include "tests/fuzz/driver.hpp"

using namespace sheaf;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_error_or_none([&] { (void)problems::read_utility(fuzz::as_file(fuzz::as_text(data, size))); });
}
