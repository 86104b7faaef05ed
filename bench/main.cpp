/// sheaf_bench: checks and times the ops of kernels/. Exit codes are those of the program: 0 done, 1 a result was
/// wrong or a benchmark failed (the others have run), 2 usage, 3 data, 4 device, 5 interrupted. The files are written
/// after every line.

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <new>
#include <regex>

#include "bench/common/ceilings.hpp"
#include "bench/common/measure.hpp"
#include "bench/common/report.hpp"
#include "bench/ops/ops.hpp"
#include "engine/io/file_io.hpp"
#include "engine/io/standard_streams.hpp"
#include "kernels/core/device.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/wait_policy.hpp"

namespace sheaf::bench {
namespace {

struct Options {
  std::string suite = "quick";
  std::string filter;
  std::string device = "auto";
  std::string out, markdown;
  int threads = 0;
  bool list = false, json = false, quiet = false;
  MeasureOptions measure;
};

std::vector<Benchmark> choose(const Options& options) {
  Suite suite(options.suite == "quick"  ? SuiteSize::quick
              : options.suite == "full" ? SuiteSize::full
                                        : SuiteSize::large);
  for (const auto add : {add_core, add_embedding, add_tables, add_dense, add_layers, add_score_rows, add_attention,
                         add_recurrent, add_loss, add_optim, add_sample, add_association, add_sparse, add_metrics,
                         add_genetic, add_joint, add_search}) {
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

void check_target(const std::string& path) {
  if (!path.empty()) io::check_file_target(path);
}

void write_file(const std::string& path, const std::string& text) {
  if (!path.empty()) io::replace_file(path, text);
}

int run(const Options& options) {
  const std::vector<Benchmark> chosen = choose(options);
  if (options.list) {
    std::string names;
    for (const Benchmark& benchmark : chosen) names += benchmark.name() + "\n";
    io::write_result(names);
    return 0;
  }
  check_target(options.out);
  check_target(options.markdown);
  const auto show = [&](const std::string& text) {
    if (options.quiet) return;
    options.json ? io::say(text) : io::write_result(text);  // with --json the table is progress
  };
  Context context(resolve_device(options.device), {.n_threads = options.threads});
  Report report{describe_machine(context), measure_ceilings(context), options.suite, false, {}};
  show(header_text(report.machine, report.ceilings) + "\n" + table_head());
  Meter meter(context, options.measure);
  // Whatever ends the run, the finished lines stay.
  const auto write = [&] {
    write_file(options.out, json_text(report));
    write_file(options.markdown, markdown_text(report));
  };
  const auto finish = [&] {
    write();
    if (options.json) io::write_result(json_text(report));
  };
  bool all_right = true;
  try {
    for (const Benchmark& benchmark : chosen) {
      report.lines.push_back({benchmark, meter.measure(benchmark), report.ceilings});
      all_right = all_right && report.lines.back().measured.fault.empty();
      show(table_line(report.lines.back()));
      write();
    }
  } catch (const Interrupted&) {
    finish();
    throw;
  }
  report.complete = true;
  finish();
  return all_right ? 0 : 1;
}

extern "C" void on_signal(int) {
  // A second Ctrl-C ends the program at once.
  if (interrupt_requested()) _exit(static_cast<int>(ExitCode::interrupted));
  request_interrupt();
}

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
  // A closed pipe shows as a failed write, which is reported; on stderr it changes nothing.
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
}

}  // namespace
}  // namespace sheaf::bench

int main(int argc, char** argv) {
  sheaf::prefer_passive_waiting(argv);
  sheaf::io::hold_standard_streams();
  sheaf::bench::catch_signals();
  sheaf::bench::Options options;
  CLI::App app("Checks and times the ops of Sheaf.", "sheaf_bench");
  app.add_option("--suite", options.suite, "quick (two CPU cores, a minute), full (a GPU) or large (tens of GiB)")
      ->check(CLI::IsMember({"quick", "full", "large"}))
      ->capture_default_str();
  app.add_option("--filter", options.filter, "only benchmarks whose name this regular expression finds");
  app.add_option("--device", options.device, "auto, cpu, cuda or cuda:N")
      ->envname("SHEAF_DEVICE")
      ->capture_default_str();
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
  app.add_option("--arrays", options.measure.arrays,
                 "write inputs and results as .npy into this folder, for bench/peers");
  app.add_flag("--json", options.json, "print the result as JSON, and the table on stderr");
  app.add_flag("--quiet", options.quiet, "no table");
  app.add_flag("--list", options.list, "print the names and stop");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(sheaf::ExitCode::usage);
  }
  try {
    return sheaf::bench::run(options);
  } catch (const sheaf::Error& error) {
    sheaf::io::say(fmt::format("sheaf_bench: {}\n{}", error.what(),
                               error.hint().empty() ? std::string() : fmt::format("  {}\n", error.hint())));
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    sheaf::io::say("sheaf_bench: out of memory\n  choose smaller shapes with --filter, or --suite quick\n");
    return static_cast<int>(sheaf::ExitCode::device);
  }
}
