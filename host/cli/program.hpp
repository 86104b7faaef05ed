#pragma once
/// The program: reads the command line, runs a subcommand, turns every failure into one message and an exit code.

namespace sheaf::cli {

/// Exit codes as in kernels/core/error.hpp: 0 done, 1 a bug of ours, 2 usage, 3 data, 4 device, 5 interrupted.
int run_program(int argc, char** argv);

}  // namespace sheaf::cli
