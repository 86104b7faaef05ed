// import, devices, config: what needs no model.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "host/cli/commands.hpp"
#include "host/cli/console.hpp"
#include "host/cli/present.hpp"
#include "host/data/import.hpp"
#include "host/data/prepared_file.hpp"
#include "kernels/core/device.hpp"

namespace sheaf::cli {

void run_import(const Options& options) {
  const Progress progress(options.quiet);
  const config::Config config = load_settings(options, {"run"});
  io::FolderWriter writer(options.out, data::kPreparedKind);
  const auto [prepared, report] = data::import_files(options.files, data::load_import_config(options.import_config),
                                                     static_cast<int>(config.run.threads));
  data::save_prepared(prepared, writer);
  progress.line(fmt::format("wrote {} in {:.2f} s", options.out.string(), report.seconds));
  if (options.json) {
    nlohmann::json summary = prepared.import_summary;
    summary["users"] = prepared.n_users;
    summary["items"] = prepared.n_items;
    summary["baskets"] = prepared.n_baskets;
    summary["warnings"] = report.warnings;
    print(summary.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    return;
  }
  print(import_text(prepared, report));
}

void run_devices(const Options& options) {
  const config::Config config = load_settings(options, {"run"});
  std::vector<std::string> notes;
  const std::vector<DeviceInfo> devices = list_devices(!options.no_measure, &notes);
  const Device chosen = resolve_device(config.run.device);
  if (options.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const DeviceInfo& d : devices) {
      list.push_back(
          {{"device", to_string(d.device)},
           {"name", d.name},
           {"processors", d.processors},
           {"clock_khz", d.clock_khz},
           {"memory_bytes", d.memory_bytes},
           {"free_bytes", d.free_bytes},
           {"copy_bytes_per_second", d.copy_bytes_per_second},
           {"capability", d.capability_major ? fmt::format("{}.{}", d.capability_major, d.capability_minor) : ""},
           {"l2_bytes", d.l2_bytes},
           {"shared_bytes_per_block", d.shared_bytes_per_block},
           {"driver", d.driver},
           {"features", d.features},
           {"chosen", d.device == chosen}});
    }
    print(nlohmann::json{{"devices", list}, {"chosen", to_string(chosen)}, {"notes", notes}}.dump(2) + "\n");
    return;
  }
  Table table({"", "device", "name", ">processors", ">memory", ">free", ">copy", "details"});
  for (const DeviceInfo& d : devices) {
    std::string details = d.features;
    if (d.device.backend == Backend::cuda) {
      details = fmt::format("capability {}.{}, L2 {}, shared {} a block, driver {}", d.capability_major,
                            d.capability_minor, as_bytes(static_cast<double>(d.l2_bytes)),
                            as_bytes(static_cast<double>(d.shared_bytes_per_block)), d.driver);
    }
    const std::string copy =
        d.copy_bytes_per_second ? fmt::format("{:.1f} GB/s", static_cast<double>(d.copy_bytes_per_second) / 1e9) : "–";
    table.add({d.device == chosen ? "*" : "", to_string(d.device), d.name, std::to_string(d.processors),
               as_bytes(static_cast<double>(d.memory_bytes)), as_bytes(static_cast<double>(d.free_bytes)), copy,
               details});
  }
  std::string text = table.str();
  for (const std::string& note : notes) text += "note: " + note + "\n";
  text += fmt::format("* '{}' takes {}\n", config.run.device, to_string(chosen));
  print(text);
}

void run_config(const Options& options) {
  const config::Config config = load_settings(options);
  if (!options.json) {
    print(config.show());
    return;
  }
  print(nlohmann::json{{"toml", config.show()}}.dump(2) + "\n");
}

}  // namespace sheaf::cli
