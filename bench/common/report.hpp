#pragma once
/// What a run leaves behind: a table for people, JSON for machines.

#include <string>
#include <vector>

#include "bench/common/ceilings.hpp"
#include "bench/common/measure.hpp"

namespace sheaf::bench {

struct Machine {
  std::string cpu;
  int cores = 0;
  int threads = 0;
  std::string device;
  std::string driver;
  std::string compiler;
  std::string wait_policy;  // OMP_WAIT_POLICY
  std::string flags;
  std::string revision;
  std::string date;   // UTC, ISO 8601
  double load = 0.0;  // programs that wanted a core in the last minute, before this one
};
Machine describe_machine(const Context& context);

/// One benchmark, and what follows from its times.
struct Line {
  Benchmark benchmark;
  Measurement measured;
  Ceilings ceilings;

  double bandwidth() const { return static_cast<double>(measured.cost.bytes) / measured.warm.median; }  // bytes/s
  double rate() const { return static_cast<double>(measured.cost.flops) / measured.warm.median; }       // flops/s
  double units_per_second() const { return measured.units.count / measured.warm.median; }
  double bandwidth_share() const { return bandwidth() / ceilings.bandwidth(measured.gathered_row_bytes); }
  double rate_share() const { return rate() / ceilings.flops(); }
  /// Of the least time that the compulsory work takes.
  double roofline_share(const Times& times) const {
    return ceilings.floor_seconds(measured.cost, measured.gathered_row_bytes) / times.median;
  }
};

std::string header_text(const Machine& machine, const Ceilings& ceilings);
std::string table_head();
std::string table_line(const Line& line);
/// A whole run.
struct Report {
  Machine machine;
  Ceilings ceilings;
  std::string suite;
  bool complete = false;  // false: interrupted, and only the first lines are here
  std::vector<Line> lines;
};
std::string json_text(const Report& report);
std::string markdown_text(const Report& report);

}  // namespace sheaf::bench
