#include "tests/simt/executor/launch_limits.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "tests/simt/executor/program_image.hpp"
#include "tests/simt/executor/ready_queue.hpp"

namespace simt {
namespace {

constexpr unsigned kWarp = 32;
constexpr int kRegisterUnit = 8;  // registers a thread are given out in eights

int64_t number_after(std::string_view text, std::string_view word) {
  const size_t at = text.find(word);
  int64_t number = 0;
  for (size_t i = at == text.npos ? text.size() : at + word.size(); i < text.size(); ++i) {
    if (text[i] < '0' || text[i] > '9') break;
    number = 10 * number + (text[i] - '0');
  }
  return number;
}

std::string text_of_size(const dim3& size) {
  return "(" + std::to_string(size.x) + ", " + std::to_string(size.y) + ", " + std::to_string(size.z) + ")";
}

std::mutex mutex;
std::map<const void*, KernelNeeds> known_needs;
std::map<std::pair<const void*, int>, size_t> allowed_shared;

}  // namespace

// A kernel's name opens its lines, one an architecture; the file is written by scripts/ptxas_table.py.
KernelNeeds needs_in_table(std::string_view table, std::string_view kernel) {
  KernelNeeds needs;
  const std::string opening = "\"" + std::string(kernel) + "\": {\n";
  for (size_t at = table.find(opening); at != table.npos; at = table.find(opening, at)) {
    at += opening.size();
    while (at < table.size()) {
      const size_t end = std::min(table.find('\n', at), table.size());
      const std::string_view line = table.substr(at, end - at);
      if (line.find("\"registers\": ") == line.npos) break;
      needs.registers = std::max(needs.registers, static_cast<int>(number_after(line, "\"registers\": ")));
      needs.static_shared = std::max(needs.static_shared, static_cast<size_t>(number_after(line, "\"shared\": ")));
      at = end + 1;
    }
  }
  return needs;
}

std::string own_name(std::string_view function) {
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i < function.size(); ++i) {
    const char c = function[i];
    depth += c == '<' || c == '(' ? 1 : c == '>' || c == ')' ? -1 : 0;
    if (depth == 0 && (c == ' ' || c == ':')) begin = i + 1;
  }
  return std::string(function.substr(begin));
}

KernelNeeds needs_of(const void* kernel) {
  const std::lock_guard lock(mutex);
  const auto [place, is_new] = known_needs.try_emplace(kernel);
  if (is_new) {
    place->second = needs_in_table(kRegisterTable, own_name(function_name(kernel)));
    place->second.static_shared = std::max(place->second.static_shared, shared_bytes_inside(kernel));
  }
  return place->second;
}

size_t allowed_dynamic_shared(const void* kernel, int device) {
  const size_t static_shared = needs_of(kernel).static_shared;
  const std::lock_guard lock(mutex);
  const auto found = allowed_shared.find({kernel, device});
  return found != allowed_shared.end() ? found->second : kDefaultShared - std::min(kDefaultShared, static_shared);
}

bool allow_dynamic_shared(const void* kernel, int device, size_t bytes) {
  if (needs_of(kernel).static_shared + bytes > kMostShared) return false;
  const std::lock_guard lock(mutex);
  allowed_shared[{kernel, device}] = bytes;
  return true;
}

std::string refusal(const Launch& launch, const KernelNeeds& needs, size_t allowed) {
  const uint64_t threads = uint64_t{launch.block.x} * launch.block.y * launch.block.z;
  const bool block_fits = threads >= 1 && threads <= kMaxThreads && launch.block.z <= 64;
  const bool grid_fits = launch.grid.x >= 1 && launch.grid.x <= 0x7fffffffu && launch.grid.y >= 1 &&
                         launch.grid.y <= 65535 && launch.grid.z >= 1 && launch.grid.z <= 65535;
  if (!block_fits || !grid_fits) {
    return "no device launches a grid of " + text_of_size(launch.grid) + " blocks of " + text_of_size(launch.block) +
           " threads";
  }
  const std::string shared = std::to_string(needs.static_shared) + " bytes of static and " +
                             std::to_string(launch.shared_bytes) + " bytes of dynamic shared memory";
  if (needs.static_shared > kDefaultShared || needs.static_shared + launch.shared_bytes > kMostShared) {
    return shared + " are more than a block may have";
  }
  if (launch.shared_bytes > allowed) {
    return shared + ", but only " + std::to_string(allowed) +
           " dynamic ones are allowed: cudaFuncAttributeMaxDynamicSharedMemorySize";
  }
  const auto warps = static_cast<int>((threads + kWarp - 1) / kWarp);
  const int registers = (needs.registers + kRegisterUnit - 1) / kRegisterUnit * kRegisterUnit;
  if (warps * static_cast<int>(kWarp) * registers > kRegisterFile) {
    return std::to_string(threads) + " threads of " + std::to_string(needs.registers) +
           " registers are more than a multiprocessor has";
  }
  if (launch.parameter_bytes > kMostParameters) {
    return std::to_string(launch.parameter_bytes) + " bytes of parameters are more than a kernel takes";
  }
  return {};
}

}  // namespace simt
