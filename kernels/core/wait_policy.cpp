#include "kernels/core/wait_policy.hpp"

#include <unistd.h>

#include <cstdlib>

namespace sheaf {

void prefer_passive_waiting(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  if (setenv("OMP_WAIT_POLICY", "passive", 1) == 0) execv("/proc/self/exe", argv);
  // Without /proc the program goes on as it is.
}

}  // namespace sheaf
