/// sheaf_bench: checks and times the ops of kernels/. Exit codes are those of the program: 0 done, 1 a result was wrong, 2 usage ...

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <regex>

#include "bench/common/ceilings.hpp"
#include "bench/common/measure.hpp"
#include "bench/common/report.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/core/device.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::bench {
namespace {

struct Options {
  std::string suite = "quick";
  std::string filter;
  std::string device = "auto";
  std::string out, markdown;
  int threads = 0;
  bool list = false;
  MeasureOptions measure;
};

std::vector<Benchmark> choose(const Options& options) {
  Suite suite(options.suite == "full");
  for (const auto add : {add_core, add_embedding, add_dense, add_loss, add_optim, add_sample, add_association,
                         add_metrics, add_genetic}) {
    add(suite);
  }
  std::vector<Benchmark> chosen;
  try {
    const std::regex pattern(options.filter);
    for (const Benchmark& benchmark : suite.benchmarks()) {
      if (std::regex_search(benchmark.name(), pattern)) chosen.push_back(benchmark);
    }
  } catch (const std::regex_error& error) {
    throw UsageError("--filter '" + options.filter + "' is no regular expression: " + error.what());
  }
  if (chosen.empty()) throw UsageError("--filter '" + options.filter + "' matches no benchmark", "see --list");
  return chosen;
}

void write_file(const std::string& path, const std::string& text) {
  if (path.empty()) return;
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) throw DataError("cannot write " + path, "does its folder exist?");
}

int run(const Options& options) {
  const std::vector<Benchmark> chosen = choose(options);
  if (options.list) {
    for (const Benchmark& benchmark : chosen) fmt::print("{}\n", benchmark.name());
    return 0;
  }
  Context context(resolve_device(options.device), {.n_threads = options.threads});
  const Machine machine = describe_machine(context);
  const Ceilings ceilings = measure_ceilings(context);
  fmt::print("{}\n{}", header_text(machine, ceilings), table_head());
  Meter meter(context, options.measure);
  std::vector<Line> lines;
  bool all_right = true;
  for (const Benchmark& benchmark : chosen) {
    lines.push_back({benchmark, meter.measure(benchmark), ceilings});
    all_right = all_right && lines.back().measured.fault.empty();
    fmt::print("{}", table_line(lines.back()));
    std::fflush(stdout);
  }
  write_file(options.out, json_text(machine, ceilings, options.suite, lines));
  write_file(options.markdown, markdown_text(machine, ceilings, options.suite, lines));
  return all_right ? 0 : 1;
}

}  // namespace
}  // namespace sheaf::bench

int main(int argc, char** argv) {
  sheaf::bench::Options options;
  CLI::App app("Checks and times the ops of Sheaf.", "sheaf_bench");
  app.add_option("--suite", options.suite, "quick (two CPU cores, a minute) or full (a GPU)")
      ->check(CLI::IsMember({"quick", "full"}))
      ->capture_default_str();
  app.add_option("--filter", options.filter, "only benchmarks whose name this regular expression finds");
  app.add_option("--device", options.device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  app.add_option("--threads", options.threads, "CPU threads; 0 takes OMP_NUM_THREADS or all cores")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--repetitions", options.measure.repetitions, "samples a median is taken of")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--min-seconds", options.measure.min_seconds, "shortest warm repetition")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--out", options.out, "write the result as JSON");
  app.add_option("--markdown", options.markdown, "write the result as a Markdown table");
  app.add_flag("--list", options.list, "print the names and stop");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(sheaf::ExitCode::usage);
  }
  try {
    return sheaf::bench::run(options);
  } catch (const sheaf::Error& error) {
    fmt::print(stderr, "sheaf_bench: {}\n", error.what());
    if (!error.mend().empty()) fmt::print(stderr, "  {}\n", error.mend());
    return static_cast<int>(error.code());
  }
}
