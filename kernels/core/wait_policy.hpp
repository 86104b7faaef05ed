#pragma once
/// How OpenMP threads wait between parallel regions.

namespace sheaf {

/// GCC's OpenMP threads spin between parallel regions, which are short here. Where other programs want the cores, the
/// spinning threads take the time that the work needs. The runtime reads its policy before main. So this function
/// starts the program a second time, with passive waiting. If OMP_WAIT_POLICY or GOMP_SPINCOUNT is set, it does
/// nothing. Call it first in main.
void prefer_passive_waiting(char** argv);

}  // namespace sheaf
