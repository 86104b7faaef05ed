#include "bench/common/report.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "kernels/core/device.hpp"

namespace sheaf::bench {
namespace {

using Json = nlohmann::ordered_json;

std::string seconds_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", seconds * 1e6);
  if (seconds < 1.0) return fmt::format("{:.2f} ms", seconds * 1e3);
  return fmt::format("{:.2f} s", seconds);
}

std::string percent(double share) { return fmt::format("{:.{}f} %", share * 100.0, share < 0.1 ? 1 : 0); }

// "365 M lookups/s"
std::string units_text(const Line& line) {
  const std::string& name = line.measured.units.name;
  if (name.empty()) return "";
  double rate = line.units_per_second();
  size_t prefix = 0;
  for (; rate >= 1000.0 && prefix < 4; ++prefix) rate /= 1000.0;
  constexpr std::array<const char*, 5> kPrefixes{"", "k ", "M ", "G ", "T "};
  return fmt::format("{:.3g} {}{}/s", rate, kPrefixes[prefix], name);
}

// One line of the table.
using Cells = std::array<std::string, 10>;
constexpr const char* kTableRow = "{:<62} {:>9} {:>9} {:>7} {:>9} {:>8} {:>8} {:>8} {:>8}  {}\n";

Cells cells(const Line& line) {
  const Measurement& m = line.measured;
  return {line.benchmark.name(),
          seconds_text(m.warm.median),
          seconds_text(m.warm.min),
          percent(m.warm.spread),
          seconds_text(m.cold.median),
          fmt::format("{:.2f}", line.bandwidth() * 1e-9),
          m.cost.flops ? fmt::format("{:.2f}", line.rate() * 1e-9) : "-",
          percent(line.roofline_share(m.warm)),
          percent(line.roofline_share(m.cold)),
          units_text(line)};
}

std::string fault_text(const Line& line) {
  return (line.measured.failed ? "failed: " : "WRONG: ") + line.measured.fault;
}

std::string machine_text(const Machine& machine) {
  const std::string driver = machine.driver.empty() ? "" : " (" + machine.driver + ")";
  return fmt::format("{}, {} cores, {} threads; {}{}; load {:.1f} before the run", machine.cpu, machine.cores,
                     machine.threads, machine.device, driver, machine.load);
}

std::string build_text(const Machine& machine) {
  return fmt::format("{}, {}, revision {}, {}", machine.compiler, machine.flags, machine.revision, machine.date);
}

Json times_json(const Times& times) {
  return {{"median_s", times.median}, {"min_s", times.min}, {"max_s", times.max}, {"spread", times.spread}};
}

Json line_json(const Line& line) {
  Json axes = Json::object();
  for (const auto& [name, size] : line.benchmark.shape.axes()) axes[name] = size;
  Json json{{"name", line.benchmark.name()},
            {"family", line.benchmark.family},
            {"op", line.benchmark.op},
            {"axes", axes},
            {"bytes", line.measured.cost.bytes},
            {"flops", line.measured.cost.flops},
            {"gathered_row_bytes", line.measured.gathered_row_bytes}};
  if (!line.measured.fault.empty()) {
    json["fault"] = line.measured.fault;
    json["failed"] = line.measured.failed;
    return json;
  }
  json["calls"] = line.measured.calls;
  json["warm"] = times_json(line.measured.warm);
  json["cold"] = times_json(line.measured.cold);
  json["gb_per_s"] = line.bandwidth() * 1e-9;
  json["gflop_per_s"] = line.rate() * 1e-9;
  json["bandwidth_fraction"] = line.bandwidth_share();
  json["flop_fraction"] = line.rate_share();
  if (!line.measured.units.name.empty()) {
    json["units"] = line.measured.units.name;
    json["units_per_s"] = line.units_per_second();
  }
  json["roofline_fraction_warm"] = line.roofline_share(line.measured.warm);
  json["roofline_fraction_cold"] = line.roofline_share(line.measured.cold);
  return json;
}

Json ceilings_json(const Ceilings& ceilings) {
  Json gather = Json::object(), matmul = Json::object();
  for (const auto& [row_bytes, rate] : ceilings.gather) gather[std::to_string(row_bytes)] = rate * 1e-9;
  for (const auto& [type, rate] : ceilings.matmul) matmul[type] = rate * 1e-9;
  return {{"copy_gb_per_s", ceilings.copy * 1e-9},
          {"gather_gb_per_s_by_row_bytes", gather},
          {"fma_gflop_per_s", ceilings.fma * 1e-9},
          {"matmul_gflop_per_s_by_type", matmul}};
}

std::string ceilings_text(const Ceilings& ceilings) {
  std::string text = fmt::format("copy {:.1f} GB/s; random rows", ceilings.copy * 1e-9);
  for (const auto& [row_bytes, rate] : ceilings.gather)
    text += fmt::format(" {} B {:.1f}", row_bytes, rate * 1e-9) + ",";
  text.back() = ' ';
  text += fmt::format("GB/s; fp32 multiply-add {:.0f}", ceilings.fma * 1e-9);
  if (!ceilings.matmul.empty()) text += ", matrix product";
  for (const auto& [type, rate] : ceilings.matmul) text += fmt::format(" {} {:.0f},", type, rate * 1e-9);
  if (text.back() == ',') text.pop_back();
  text += " GFLOP/s";
  return ceilings.matmul_note.empty() ? text : text + "; no matrix product: " + ceilings.matmul_note;
}

}  // namespace

Machine describe_machine(const Context& context) {
  const std::vector<DeviceInfo> devices = list_devices(false);
  Machine machine;
  machine.cpu = devices.front().name;
  machine.cores = static_cast<int>(std::thread::hardware_concurrency());
  machine.threads = context.n_threads();
  for (const DeviceInfo& info : devices) {
    if (!(info.device == context.device())) continue;
    machine.device = to_string(info.device) + " " + info.name;
    machine.driver = info.driver;
  }
  machine.compiler = "g++ " __VERSION__;
  machine.flags = SHEAF_BENCH_FLAGS;
  if (const char* policy = std::getenv("OMP_WAIT_POLICY")) machine.wait_policy = policy;
  machine.revision = SHEAF_REVISION;
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  machine.date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
  if (getloadavg(&machine.load, 1) != 1) machine.load = 0.0;
  return machine;
}

std::string header_text(const Machine& machine, const Ceilings& ceilings) {
  return fmt::format("{}\n{}\nceilings: {}\n", machine_text(machine), build_text(machine), ceilings_text(ceilings));
}

std::string table_head() {
  return fmt::format(kTableRow, "benchmark", "warm", "best", "spread", "cold", "GB/s", "GFLOP/s", "warm/rf", "cold/rf",
                     "");
}

std::string table_line(const Line& line) {
  if (!line.measured.fault.empty()) return fmt::format("{} {}\n", line.benchmark.name(), fault_text(line));
  const Cells c = cells(line);
  return fmt::format(kTableRow, c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9]);
}

std::string json_text(const Report& report) {
  const Machine& machine = report.machine;
  Json json{{"system", "sheaf"},
            {"suite", report.suite},
            {"complete", report.complete},
            {"machine",
             {{"cpu", machine.cpu},
              {"cores", machine.cores},
              {"threads", machine.threads},
              {"device", machine.device},
              {"driver", machine.driver},
              {"compiler", machine.compiler},
              {"flags", machine.flags},
              {"wait_policy", machine.wait_policy},
              {"revision", machine.revision},
              {"date", machine.date},
              {"load", machine.load}}},
            {"ceilings", ceilings_json(report.ceilings)},
            {"benchmarks", Json::array()}};
  for (const Line& line : report.lines) json["benchmarks"].push_back(line_json(line));
  return json.dump(2) + "\n";
}

std::string markdown_text(const Report& report) {
  const Machine& machine = report.machine;
  std::string text =
      fmt::format("# Suite {}, {}\n\n- {}\n- {}\n- Ceilings: {}\n\n", report.suite, machine.date.substr(0, 10),
                  machine_text(machine), build_text(machine), ceilings_text(report.ceilings));
  if (!report.complete) text += "Interrupted: only the first lines of the suite are here.\n\n";
  text += "Times are medians; bench/README.md explains the columns.\n\n";
  text += "| benchmark | warm | best | spread | cold | GB/s | GFLOP/s | warm/rf | cold/rf | rate |\n";
  text += "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
  for (const Line& line : report.lines) {
    if (line.measured.fault.empty()) {
      text += fmt::format("| {} |\n", fmt::join(cells(line), " | "));
    } else {
      text += fmt::format("| {} | {} | | | | | | | | |\n", line.benchmark.name(), fault_text(line));
    }
  }
  return text;
}

}  // namespace sheaf::bench
