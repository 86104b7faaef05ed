// Packed files and byte order marks.

#include "host/text/read_text.hpp"
#include "tests/fuzz/driver.hpp"

using namespace sheaf;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_error_or_none([&] { (void)text::read_text(fuzz::as_file(fuzz::as_text(data, size))); });
}
