// The whole import: a configuration, a line "----", a file of purchases.

#include <fstream>

#include "host/data/import.hpp"
#include "tests/fuzz/driver.hpp"

using namespace sheaf;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr std::string_view kCut = "----\n";
  const std::string_view bytes = fuzz::as_text(data, size);
  const size_t cut = bytes.find(kCut);
  if (cut == bytes.npos) return 0;
  return fuzz::expect_error_or_none([&] {
    const data::ImportConfig config = data::load_import_config(fuzz::as_file(bytes.substr(0, cut)));
    if (!config.items.file.empty()) return;  // a path
    const auto [prepared, report] = data::import_file(fuzz::as_file(bytes.substr(cut + kCut.size())), config, 1);
    int64_t dropped = 0;
    for (const auto& rule : report.rules) dropped += rule.dropped;
    if (dropped + report.rows_kept != report.rows_read) fuzz::fail("rows are lost");
    if (prepared.n_interactions() != report.rows_kept) fuzz::fail("rows are lost in the data set");
  });
}
