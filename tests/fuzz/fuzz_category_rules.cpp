// Rules of categories: a phrase in each line, the name in the last one.

#include "host/data/category_rules.hpp"
#include "tests/fuzz/driver.hpp"

using namespace sheaf;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = fuzz::as_text(data, size);
  data::CategoryRule rule{"found", {}};
  for (size_t end = bytes.find('\n'); end != bytes.npos; end = bytes.find('\n')) {
    const std::string_view phrase = bytes.substr(0, end);
    if (data::CategoryRules::problem_of(phrase).empty()) {
      const std::string plain = data::CategoryRules::plain(phrase);
      if (data::CategoryRules::plain(plain) != plain) fuzz::fail("a plain phrase is not plain");
      rule.words.emplace_back(phrase);
    }
    bytes.remove_prefix(end + 1);
  }
  const data::CategoryRules rules({rule}, "other");
  const std::string& category = rules.category_of(bytes);
  if (category != "found" && category != "other") fuzz::fail("a category that nobody named");
  return 0;
}
