// The file of settings. What is shown of them reads back to the same.

#include "host/config/config.hpp"
#include "tests/fuzz/driver.hpp"

using namespace sheaf;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_error_or_none([&] {
    const config::Config config = config::load_config(fuzz::as_file(fuzz::as_text(data, size)));
    const std::string shown = config.show();
    std::string again;
    try {
      again = config::load_config(fuzz::as_file(shown)).show();
    } catch (const Error& error) {
      fuzz::fail(std::string("settings that are shown are not read: ") + error.what());
    }
    if (again != shown) fuzz::fail("settings change when they are shown and read");
  });
}
