// The import configuration.

#include "host/data/import.hpp"
#include "tests/fuzz/driver.hpp"

using namespace sheaf;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_error_or_none([&] { (void)data::load_import_config(fuzz::as_file(fuzz::as_text(data, size))); });
}
