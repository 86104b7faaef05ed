#pragma once
/// For the executor's own tests: a launch without a Context, the order of threads, the text of a fault.

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/simt/executor/executor.hpp"

namespace simt::test {

template <class... Parameters, class... Arguments>
void run(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, Arguments... arguments) {
  launch({reinterpret_cast<const void*>(kernel), grid, block, shared_bytes, parameter_bytes<Parameters...>()},
         [=] { kernel(arguments...); });
}

/// SHEAF_SIMT_ORDER for one scope.
class ScopedOrder {
 public:
  explicit ScopedOrder(const std::string& order) {
    if (const char* text = std::getenv(kName)) before_ = text;
    setenv(kName, order.c_str(), 1);
  }
  ~ScopedOrder() { setenv(kName, before_.c_str(), 1); }
  ScopedOrder(const ScopedOrder&) = delete;
  ScopedOrder& operator=(const ScopedOrder&) = delete;

 private:
  static constexpr const char* kName = "SHEAF_SIMT_ORDER";
  std::string before_;
};

inline std::vector<std::string> all_orders() { return {"forward", "reverse", "shuffle:1", "shuffle:2", "shuffle:3"}; }

/// What the fault says; empty when there is none.
template <class Function>
std::string fault_of(const Function& function) {
  try {
    function();
  } catch (const Fault& fault) {
    return fault.what();
  }
  return {};
}

}  // namespace simt::test
