#include "kernels/core/device.hpp"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>

#include "kernels/core/context.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/parallel.hpp"
#if SHEAF_DEVICE_KERNELS
#include "kernels/core/device_runtime.hpp"
#endif

namespace sheaf {
namespace {

#if defined(SHEAF_SIMT)
constexpr const char* kWithoutCuda = "this is a SIMT test build";
#else
constexpr const char* kWithoutCuda = "this program was built without CUDA";
#endif

int count_devices(Backend backend, std::string* why_none) {
  if (!built_with(backend)) {
    if (why_none) *why_none = kWithoutCuda;
    return 0;
  }
#if SHEAF_DEVICE_KERNELS
  return device_runtime::device_count(why_none);
#else
  return 0;
#endif
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) {
      const size_t colon = line.find(':');
      if (colon != std::string::npos && colon + 2 <= line.size()) return line.substr(colon + 2);
    }
  }
  return "CPU";
}

std::string cpu_features() {
  std::string features;
#if defined(__x86_64__)
  auto add = [&](bool present, const char* name) {
    if (present) features += (features.empty() ? "" : " ") + std::string(name);
  };
  __builtin_cpu_init();
  add(__builtin_cpu_supports("avx2"), "avx2");
  add(__builtin_cpu_supports("fma"), "fma");
  add(__builtin_cpu_supports("avx512f"), "avx512f");
  add(__builtin_cpu_supports("avx512bf16"), "avx512_bf16");
#elif defined(__aarch64__)
  features = "neon";
#endif
  return features;
}

int64_t available_bytes() {
  std::ifstream file("/proc/meminfo");
  for (std::string key; file >> key;) {
    int64_t kib = 0;
    if (key == "MemAvailable:" && file >> kib) return kib * 1024;
    file.ignore(256, '\n');
  }
  return 0;
}

// Read + write bytes a second of a threaded memcpy over more than the caches hold: the best of a few.
int64_t measure_cpu_copy(const Context& context) {
  constexpr int64_t kBytes = int64_t{1} << 27;
  const auto source = std::make_unique<char[]>(kBytes);
  const auto destination = std::make_unique<char[]>(kBytes);
  double best = 0;
  for (int trial = 0; trial < 4; ++trial) {
    const auto start = std::chrono::steady_clock::now();
    parallel_for(context, kBytes, int64_t{1} << 22, [&](int64_t begin, int64_t end) {
      std::memcpy(destination.get() + begin, source.get() + begin, static_cast<size_t>(end - begin));
    });
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 2.0 * kBytes / seconds);
  }
  return static_cast<int64_t>(best);
}

DeviceInfo cpu_info(bool measure) {
  const Context context;
  DeviceInfo info;
  info.name = cpu_name();
  struct sysinfo system {};
  if (sysinfo(&system) == 0) info.memory_bytes = static_cast<int64_t>(system.totalram) * system.mem_unit;
  info.free_bytes = available_bytes();
  info.processors = context.n_threads();
  info.features = cpu_features();
  const long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (l2 > 0) info.l2_bytes = l2;
  if (measure) info.copy_bytes_per_second = measure_cpu_copy(context);
  return info;
}

Device require(Backend backend, int ordinal) {
  std::string why;
  const int count = count_devices(backend, &why);
  const Device device{backend, ordinal};
  if (count == 0) {
    throw DeviceError(to_string(device) + " was asked for, but there is none: " + why,
                      "give --device cpu or --device auto; `sheaf devices` lists what is here");
  }
  if (ordinal >= count) {
    throw DeviceError(to_string(device) + " was asked for, but there are only " + std::to_string(count),
                      "`sheaf devices` lists what is here");
  }
  return device;
}

}  // namespace

const char* to_string(Backend backend) noexcept {
  switch (backend) {
    case Backend::cpu: return "cpu";
    case Backend::cuda: return "cuda";
    case Backend::simt: return "simt";
  }
  return "?";
}

std::string to_string(Device device) {
  std::string text = to_string(device.backend);
  const bool is_first_simt = device.backend == Backend::simt && device.ordinal == 0;
  if (device.backend != Backend::cpu && !is_first_simt) text += ":" + std::to_string(device.ordinal);
  return text;
}

bool built_with(Backend backend) noexcept {
  switch (backend) {
    case Backend::cpu: return true;
#if defined(SHEAF_SIMT)
    case Backend::cuda: return false;
    case Backend::simt: return true;
#else
    case Backend::cuda: return SHEAF_DEVICE_KERNELS;
    case Backend::simt: return false;
#endif
  }
  return false;
}

Device resolve_device(std::string_view request) {
  if (request == "cpu") return {Backend::cpu, 0};
  if (request == "simt") return require(Backend::simt, 0);
  if (request == "auto") {
    return count_devices(Backend::cuda, nullptr) > 0 ? Device{Backend::cuda, 0} : Device{Backend::cpu, 0};
  }
  if (request == "cuda") return require(Backend::cuda, 0);
  if (request.starts_with("cuda:")) {
    const std::string_view digits = request.substr(5);
    int ordinal = -1;
    const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), ordinal);
    if (status == std::errc{} && end == digits.data() + digits.size() && ordinal >= 0) {
      return require(Backend::cuda, ordinal);
    }
  }
  throw UsageError("unknown device '" + std::string(request) + "'", "use auto, cpu, cuda or cuda:N");
}

std::vector<DeviceInfo> list_devices(bool measure, std::vector<std::string>* notes) {
  std::vector<DeviceInfo> devices{cpu_info(measure)};
  std::string why;
  const Backend backend = built_with(Backend::simt) ? Backend::simt : Backend::cuda;
  const int count = count_devices(backend, &why);
  if (count == 0 && notes) notes->push_back(std::string(to_string(backend)) + ": " + why);
#if SHEAF_DEVICE_KERNELS
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    devices.push_back(device_runtime::device_info(ordinal, measure));
  }
#endif
  return devices;
}

}  // namespace sheaf
