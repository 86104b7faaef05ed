#pragma once
/// Which machine computes: the CPU, a CUDA device, or (test builds only) CUDA sources on the SIMT executor.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sheaf {

enum class Backend { cpu, cuda, simt };

const char* to_string(Backend backend) noexcept;

struct Device {
  Backend backend = Backend::cpu;
  int ordinal = 0;  // of the CUDA device
  friend bool operator==(const Device&, const Device&) = default;
};

/// "cpu", "cuda:0", "simt", "simt:1".
std::string to_string(Device device);

/// `request` is auto | cpu | cuda | cuda:N | simt (the last in test builds only). "auto" takes the first CUDA device,
/// else the CPU. A device that is named explicitly but absent is a DeviceError. Malformed text is a UsageError.
Device resolve_device(std::string_view request);

/// True when this program was built with that backend (whether or not such a device is present).
bool built_with(Backend backend) noexcept;

/// Facts about one device, for people.
struct DeviceInfo {
  Device device;
  std::string name;
  int64_t memory_bytes = 0;           // total
  int64_t free_bytes = 0;             // available now
  int64_t copy_bytes_per_second = 0;  // read + write traffic of a short device copy; 0 when not measured
  int processors = 0;                 // cores or SMs
  int clock_khz = 0;                  // 0 when unknown
  int capability_major = 0;           // CUDA only
  int capability_minor = 0;
  int shared_bytes_per_block = 0;  // opt-in maximum, CUDA only
  int64_t l2_bytes = 0;
  std::string driver;    // CUDA: driver and runtime versions
  std::string features;  // CPU: vector extensions in use
};

/// All devices of this machine that the program can use, CPU first. `measure` also times a short copy (about 0.2 s a
/// device). `notes` receives one line for each absent backend, with the reason.
std::vector<DeviceInfo> list_devices(bool measure, std::vector<std::string>* notes = nullptr);

}  // namespace sheaf
