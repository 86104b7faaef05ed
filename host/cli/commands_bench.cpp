// bench: the program sheaf_bench that lies beside this one.

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "host/cli/commands.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {
namespace {

std::filesystem::path beside_this_program(const char* name) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::filesystem::path(name) : self.parent_path() / name;
}

std::vector<std::string> bench_arguments(const Options& options) {
  if (options.seed) throw UsageError("the benchmarks draw their inputs from fixed seeds", "leave out --seed");
  if (options.list) {
    refuse_given({{"--out", !options.out.empty()}, {"--markdown", !options.markdown.empty()}}, "with --list",
                 "leave it out: nothing is measured");
  }
  const config::Config config = load_settings(options, {"run"});
  std::vector<std::string> arguments{"--device", config.run.device, "--threads", std::to_string(config.run.threads)};
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) arguments.insert(arguments.end(), {option, value});
  };
  add("--suite", options.suite);
  add("--filter", options.filter);
  add("--out", options.out.string());
  add("--markdown", options.markdown.string());
  if (options.list) arguments.emplace_back("--list");
  if (options.json) arguments.emplace_back("--json");
  if (options.quiet) arguments.emplace_back("--quiet");
  return arguments;
}

}  // namespace

void run_bench(const Options& options) {
  std::string program = beside_this_program("sheaf_bench").string();
  std::vector<std::string> arguments = bench_arguments(options);
  std::vector<char*> argv{program.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  // It takes this process over: its exit code and what Ctrl-C does are its own.
  execv(program.c_str(), argv.data());
  if (errno == ENOENT) {
    throw UsageError(program + " is not built",
                     "configure with -DSHEAF_BENCH=ON (it needs libbenchmark-dev) and build the target sheaf_bench");
  }
  throw UsageError(fmt::format("{} does not start: {}", program, std::strerror(errno)));
}

}  // namespace sheaf::cli
