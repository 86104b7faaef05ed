#include "host/cli/options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include "host/text/csv.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {

void refuse_given(std::initializer_list<GivenOption> options, const std::string& where, const std::string& mend) {
  for (const GivenOption& option : options) {
    if (option.given) throw UsageError(fmt::format("{} has no effect {}", option.name, where), mend);
  }
}

namespace {

/// `assignment` is "section.key=value", and valid.
bool is_read(std::string_view assignment, std::initializer_list<std::string_view> reads) {
  const std::string_view name = text::trim(assignment.substr(0, assignment.find('=')));
  const std::string_view section = text::trim(name.substr(0, name.find('.')));
  return std::ranges::any_of(reads, [&](std::string_view read) { return read == name || read == section; });
}

}  // namespace

config::Config load_settings(const Options& options, std::initializer_list<std::string_view> reads) {
  std::vector<std::string> assignments = options.set;
  const char* device = std::getenv("SHEAF_DEVICE");
  if (device != nullptr && *device != '\0')
    assignments.insert(assignments.begin(), std::string("run.device=") + device);
  assignments.insert(assignments.end(), options.flags.begin(), options.flags.end());
  if (!options.device.empty()) assignments.push_back("run.device=" + options.device);
  if (options.seed) assignments.push_back(fmt::format("run.seed={}", *options.seed));
  config::Config config = config::load_config(options.settings, assignments);
  for (const std::string& assignment : options.set) {
    if (reads.size() == 0 || is_read(assignment, reads)) continue;
    throw UsageError(fmt::format("--set {} has no effect here", assignment),
                     fmt::format("leave it out; this command heeds {}", fmt::join(reads, ", ")));
  }
  return config;
}

std::unique_ptr<Context> make_context(const config::Config& config) {
  return std::make_unique<Context>(resolve_device(config.run.device),
                                   ContextOptions{.seed = static_cast<uint64_t>(config.run.seed),
                                                  .n_threads = static_cast<int>(config.run.threads)});
}

std::string version_text() { return fmt::format("{} ({})", SHEAF_VERSION, SHEAF_REVISION); }

}  // namespace sheaf::cli
