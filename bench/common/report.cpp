#include "bench/common/report.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
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

std::string percent(double share) { return fmt::format("{:.0f} %", share * 100.0); }

std::string rate_text(const Line& line) {
  return line.measured.cost.flops ? fmt::format("{:.2f}", line.rate() * 1e-9) : std::string("-");
}

std::string device_text(const Machine& machine) {
  return machine.driver.empty() ? machine.device : machine.device + " (" + machine.driver + ")";
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
    return json;
  }
  json["calls"] = line.measured.calls;
  json["warm"] = times_json(line.measured.warm);
  json["cold"] = times_json(line.measured.cold);
  json["gb_per_s"] = line.bandwidth() * 1e-9;
  json["gflop_per_s"] = line.rate() * 1e-9;
  json["bandwidth_fraction"] = line.bandwidth_share();
  json["flop_fraction"] = line.rate_share();
  json["roofline_fraction_warm"] = line.roofline_share(line.measured.warm);
  json["roofline_fraction_cold"] = line.roofline_share(line.measured.cold);
  return json;
}

Json ceilings_json(const Ceilings& ceilings) {
  Json gather = Json::object();
  for (const auto& [row_bytes, rate] : ceilings.gather) gather[std::to_string(row_bytes)] = rate * 1e-9;
  return {{"copy_gb_per_s", ceilings.copy * 1e-9},
          {"gather_gb_per_s_by_row_bytes", gather},
          {"fma_gflop_per_s", ceilings.fma * 1e-9},
          {"matmul_gflop_per_s", ceilings.matmul * 1e-9}};
}

std::string ceilings_text(const Ceilings& ceilings) {
  std::string text = fmt::format("copy {:.1f} GB/s; random rows", ceilings.copy * 1e-9);
  for (const auto& [row_bytes, rate] : ceilings.gather)
    text += fmt::format(" {} B {:.1f}", row_bytes, rate * 1e-9) + ",";
  text.back() = ' ';
  text += fmt::format("GB/s; fp32 multiply-add {:.0f}", ceilings.fma * 1e-9);
  if (ceilings.matmul > 0.0) text += fmt::format(", matrix product {:.0f}", ceilings.matmul * 1e-9);
  return text + " GFLOP/s";
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
  machine.revision = SHEAF_REVISION;
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  machine.date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
  return machine;
}

std::string header_text(const Machine& machine, const Ceilings& ceilings) {
  return fmt::format("{}, {} cores, {} threads; {}\n{}, {}, revision {}, {}\nceilings: {}\n", machine.cpu,
                     machine.cores, machine.threads, device_text(machine), machine.compiler, machine.flags,
                     machine.revision, machine.date, ceilings_text(ceilings));
}

std::string table_head() {
  return fmt::format("{:<62} {:>10} {:>7} {:>10} {:>7} {:>8} {:>9} {:>7} {:>7}\n", "benchmark", "warm", "spread",
                     "cold", "spread", "GB/s", "GFLOP/s", "warm/rf", "cold/rf");
}

std::string table_line(const Line& line) {
  const Measurement& m = line.measured;
  if (!m.fault.empty()) return fmt::format("{:<62} WRONG: {}\n", line.benchmark.name(), m.fault);
  return fmt::format("{:<62} {:>10} {:>7} {:>10} {:>7} {:>8.2f} {:>9} {:>7} {:>7}\n", line.benchmark.name(),
                     seconds_text(m.warm.median), percent(m.warm.spread), seconds_text(m.cold.median),
                     percent(m.cold.spread), line.bandwidth() * 1e-9, rate_text(line),
                     percent(line.roofline_share(m.warm)), percent(line.roofline_share(m.cold)));
}

std::string json_text(const Machine& machine, const Ceilings& ceilings, const std::string& suite,
                      const std::vector<Line>& lines) {
  Json json{{"suite", suite},
            {"machine",
             {{"cpu", machine.cpu},
              {"cores", machine.cores},
              {"threads", machine.threads},
              {"device", machine.device},
              {"driver", machine.driver},
              {"compiler", machine.compiler},
              {"flags", machine.flags},
              {"revision", machine.revision},
              {"date", machine.date}}},
            {"ceilings", ceilings_json(ceilings)},
            {"benchmarks", Json::array()}};
  for (const Line& line : lines) json["benchmarks"].push_back(line_json(line));
  return json.dump(2) + "\n";
}

std::string markdown_text(const Machine& machine, const Ceilings& ceilings, const std::string& suite,
                          const std::vector<Line>& lines) {
  std::string text = fmt::format("# Suite {}, {}\n\n", suite, machine.date.substr(0, 10));
  text += fmt::format("- {}, {} cores, {} threads; {}\n- {}, `{}`, revision {}\n- Ceilings: {}\n\n", machine.cpu,
                      machine.cores, machine.threads, device_text(machine), machine.compiler, machine.flags,
                      machine.revision, ceilings_text(ceilings));
  text +=
      "Columns as in bench/README.md; times are medians, the spread is the interquartile range over the median.\n\n";
  text += "| benchmark | warm | spread | cold | spread | GB/s | GFLOP/s | of roofline, warm | cold |\n";
  text += "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
  for (const Line& line : lines) {
    const Measurement& m = line.measured;
    if (!m.fault.empty()) {
      text += fmt::format("| {} | WRONG: {} | | | | | | | |\n", line.benchmark.name(), m.fault);
      continue;
    }
    text += fmt::format("| {} | {} | {} | {} | {} | {:.2f} | {} | {} | {} |\n", line.benchmark.name(),
                        seconds_text(m.warm.median), percent(m.warm.spread), seconds_text(m.cold.median),
                        percent(m.cold.spread), line.bandwidth() * 1e-9, rate_text(line),
                        percent(line.roofline_share(m.warm)), percent(line.roofline_share(m.cold)));
  }
  return text;
}

}  // namespace sheaf::bench
