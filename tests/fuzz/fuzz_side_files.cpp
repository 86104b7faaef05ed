// Files beside a data set. The first byte chooses: given bundles, baskets to complete, item facts, an earlier result,
// a list of users.

#include "host/app/campaign.hpp"
#include "host/cli/workspace.hpp"
#include "host/data/bundle_file.hpp"
#include "tests/fuzz/driver.hpp"

using namespace sheaf;

namespace {

data::Prepared small_set() {
  data::Prepared prepared;
  prepared.name = "shop";
  for (const char* id : {"apple", "bun", "cola", "dip"}) {
    prepared.item_ids.push_back(id);
    prepared.item_names.push_back(id);
  }
  for (const char* id : {"ann", "bob"}) prepared.user_ids.push_back(id);
  prepared.n_items = 4;
  prepared.n_users = 2;
  return prepared;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Context context(Device{}, ContextOptions{0, 1, false});
  static const data::Prepared prepared = small_set();
  if (size == 0) return 0;
  const std::filesystem::path path = fuzz::as_file(fuzz::as_text(data + 1, size - 1));
  data::IdLookup ids(path, prepared, size % 2 == 0 ? data::UnknownPolicy::skip : data::UnknownPolicy::refuse);
  return fuzz::expect_error_or_none([&] {
    switch (data[0] % 5) {
      case 0: (void)data::read_given_bundles(path, prepared, context); break;
      case 1: (void)data::read_partial_bundles(path, context, ids); break;
      case 2: (void)app::read_run_facts(path, context, ids); break;
      case 3: (void)app::read_known_bundles(path, ids); break;
      default:
        for (const auto& [id, line] : cli::read_ids(path)) (void)ids.user(id, line);
    }
  });
}
