#include <unistd.h>

#include <cstdlib>

#include "host/cli/program.hpp"

namespace {

/// GCC's OpenMP threads spin between parallel regions, which are short here: where other programs want the cores they then burn what the
/// work needs. The runtime reads its policy before main, hence the second start. Whoever sets one of the variables decides.
void prefer_passive_waiting(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  if (setenv("OMP_WAIT_POLICY", "passive", 1) == 0) execv("/proc/self/exe", argv);
  // Without /proc the program goes on as it is.
}

}  // namespace

int main(int argc, char** argv) {
  prefer_passive_waiting(argv);
  return sheaf::cli::run_program(argc, argv);
}
