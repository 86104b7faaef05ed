#pragma once
/// Runs one benchmark: makes its inputs, checks its result, times it warm and cold.

#include <filesystem>
#include <string>
#include <vector>

#include "bench/common/op_case.hpp"
#include "kernels/core/buffer.hpp"

namespace sheaf::bench {

/// Seconds of one call, over the repetitions.
struct Times {
  double median = 0.0;
  double min = 0.0;
  double max = 0.0;
  double spread = 0.0;  // (third quartile - first quartile) / median
};
Times summarize(std::vector<double> seconds);

struct Measurement {
  std::string fault;    // not empty: the result is wrong, and nothing was timed
  bool failed = false;  // the benchmark threw, and `fault` says why
  Times warm;           // calls back to back
  Times cold;           // after a sweep over more memory than the caches hold
  int64_t calls = 0;    // of a warm repetition
  OpCost cost;
  int64_t gathered_row_bytes = 0;
  Units units;
};

struct MeasureOptions {
  int repetitions = 9;
  double min_seconds = 0.03;     // of a warm repetition
  std::filesystem::path arrays;  // not empty: the folder under which every benchmark writes its arrays, by its name
};

class Meter {
 public:
  /// The context must outlive it.
  Meter(Context& context, const MeasureOptions& options);
  /// Interrupted on Ctrl-C. What else the benchmark throws is a failed measurement.
  Measurement measure(const Benchmark& chosen);

 private:
  Measurement measure_or_throw(const Benchmark& chosen, const char* phase);
  /// Puts other data into the caches.
  void sweep();

  Context& context_;
  MeasureOptions options_;
  Buffer<float> other_data_;
};

}  // namespace sheaf::bench
