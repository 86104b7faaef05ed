#include "host/cli/options.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "kernels/core/error.hpp"

namespace sheaf::cli {

void refuse_given(std::initializer_list<GivenOption> options, const std::string& where, const std::string& mend) {
  for (const GivenOption& option : options) {
    if (option.given) throw UsageError(fmt::format("{} has no effect {}", option.name, where), mend);
  }
}

config::Config load_settings(const Options& options) {
  std::vector<std::string> assignments = options.set;
  const char* device = std::getenv("SHEAF_DEVICE");
  if (device != nullptr && *device != '\0')
    assignments.insert(assignments.begin(), std::string("run.device=") + device);
  assignments.insert(assignments.end(), options.flags.begin(), options.flags.end());
  if (!options.device.empty()) assignments.push_back("run.device=" + options.device);
  if (options.seed) assignments.push_back(fmt::format("run.seed={}", *options.seed));
  return config::load_config(options.settings, assignments);
}

std::unique_ptr<Context> make_context(const config::Config& config) {
  return std::make_unique<Context>(resolve_device(config.run.device),
                                   ContextOptions{.seed = static_cast<uint64_t>(config.run.seed),
                                                  .n_threads = static_cast<int>(config.run.threads)});
}

std::string version_text() { return fmt::format("{} ({})", SHEAF_VERSION, SHEAF_REVISION); }

}  // namespace sheaf::cli
