#include "host/cli/program.hpp"

int main(int argc, char** argv) { return sheaf::cli::run_program(argc, argv); }
