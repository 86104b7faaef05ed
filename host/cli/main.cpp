#include "host/cli/program.hpp"
#include "kernels/core/wait_policy.hpp"

int main(int argc, char** argv) {
  sheaf::prefer_passive_waiting(argv);
  return sheaf::cli::run_program(argc, argv);
}
