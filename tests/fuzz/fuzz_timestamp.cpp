// Times: a format, a line feed, a text.

#include "host/data/timestamp.hpp"
#include "tests/fuzz/driver.hpp"

using namespace sheaf;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::as_text(data, size);
  const size_t end = std::min(bytes.find('\n'), bytes.size());
  const std::string_view format = bytes.substr(0, end), text = bytes.substr(std::min(end + 1, bytes.size()));
  int64_t seconds = 0;
  if (!data::timestamp_format_problem(format).empty() || !data::parse_timestamp(text, format, seconds)) return 0;
  if (data::time_text(seconds).empty()) fuzz::fail("a time without text");
  return 0;
}
