#include "bench/common/measure.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <new>

#include "bench/common/npy.hpp"
#include "kernels/core/buffer.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/core/stopwatch.hpp"

namespace sheaf::bench {
namespace {

constexpr int64_t kSweepFloats = int64_t{1} << 26;  // 256 MiB

constexpr const char* kColdSeconds = "cold_seconds";

// Keeps what Google Benchmark hands out instead of printing it.
class Collector : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      // Interrupted repetitions have no cold time.
      const auto cold_seconds = run.counters.find(kColdSeconds);
      if (run.run_type != Run::RT_Iteration || cold_seconds == run.counters.end()) continue;
      calls = static_cast<int64_t>(run.iterations);
      warm.push_back(run.real_accumulated_time / static_cast<double>(run.iterations));
      cold.push_back(cold_seconds->second.value);
    }
  }

  std::vector<double> warm, cold;
  int64_t calls = 0;
};

// One repetition: many warm calls, one cold one. A device gets short calls in batches, so that the launch time is
// hidden.
void time_case(benchmark::State& state, Context& context, Case& op_case, const std::function<void()>& sweep) {
  constexpr double kBatchSeconds = 1e-3;
  if (interrupt_requested()) return state.SkipWithError("interrupted");
  Stopwatch watch(context);
  watch.start();
  op_case.run();
  const double first = watch.stop();
  const auto batch = context.on_cpu() ? int64_t{1} : static_cast<int64_t>(std::clamp(kBatchSeconds / first, 1.0, 64.0));
  while (state.KeepRunningBatch(batch)) {
    watch.start();
    for (int64_t i = 0; i < batch; ++i) op_case.run();
    state.SetIterationTime(watch.stop());
  }
  sweep();
  watch.start();
  op_case.run();
  state.counters[kColdSeconds] = watch.stop();
}

Measurement failure(const char* why) {
  Measurement result;
  result.fault = why;
  result.failed = true;
  return result;
}

}  // namespace

Times summarize(std::vector<double> seconds) {
  if (seconds.empty()) return {};
  std::sort(seconds.begin(), seconds.end());
  const auto quantile = [&](double q) {
    const double place = q * static_cast<double>(seconds.size() - 1);
    const auto below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, seconds.size() - 1);
    return seconds[below] + (place - static_cast<double>(below)) * (seconds[above] - seconds[below]);
  };
  const double median = quantile(0.5);
  return {median, seconds.front(), seconds.back(), (quantile(0.75) - quantile(0.25)) / median};
}

Meter::Meter(Context& context, const MeasureOptions& options)
    : context_(context), options_(options), other_data_(Buffer<float>::zeros(context, kSweepFloats)) {}

void Meter::sweep() {
  if (!context_.on_cpu()) return other_data_.fill_bytes(0);
  // memset would pass by the caches.
  float* data = other_data_.data();
  parallel_for(context_, kSweepFloats, int64_t{1} << 18, [data](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) data[i] += 1.0f;
  });
}

Measurement Meter::measure_or_throw(const Benchmark& chosen, const char* phase) {
  const std::unique_ptr<Case> op_case = chosen.make(context_, chosen.shape);
  Measurement result;
  result.cost = op_case->cost();
  result.gathered_row_bytes = op_case->gathered_row_bytes();
  result.units = op_case->units();
  op_case->run();
  context_.synchronize();
  // Before fault(), which may run the op again.
  if (!options_.arrays.empty()) op_case->export_arrays(ArrayFolder(options_.arrays / chosen.name()));
  result.fault = op_case->fault();
  if (!result.fault.empty()) return result;

  std::exception_ptr error;  // Google Benchmark is not made for exceptions
  const auto repeat = [&](benchmark::State& state) {
    if (error) return state.SkipWithError("an earlier repetition failed");
    try {
      time_case(state, context_, *op_case, [this] { sweep(); });
    } catch (...) {
      error = std::current_exception();
      state.SkipWithError("failed");
    }
  };
  benchmark::ClearRegisteredBenchmarks();
  benchmark::RegisterBenchmark(chosen.name().c_str(), repeat)
      ->UseManualTime()
      ->MinTime(options_.min_seconds)
      ->Repetitions(options_.repetitions);
  Collector collector;
  benchmark::RunSpecifiedBenchmarks(&collector, nullptr, ".");
  check_interrupt(phase);
  if (error) std::rethrow_exception(error);
  result.warm = summarize(collector.warm);
  result.cold = summarize(collector.cold);
  result.calls = collector.calls;
  return result;
}

Measurement Meter::measure(const Benchmark& chosen) {
  const std::string phase = "the benchmark " + chosen.name();
  check_interrupt(phase.c_str());
  try {
    return measure_or_throw(chosen, phase.c_str());
  } catch (const Interrupted&) {
    throw;
  } catch (const std::bad_alloc&) {
    return failure("out of memory");
  } catch (const std::exception& error) {
    return failure(error.what());
  }
}

}  // namespace sheaf::bench
