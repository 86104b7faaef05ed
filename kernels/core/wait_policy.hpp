#pragma once
/// How OpenMP threads wait between parallel regions.

namespace sheaf {

/// GCC's OpenMP threads spin between parallel regions, which are short here: where other programs want the cores they then burn what the
/// work needs. The runtime reads its policy before main, hence this starts the program a second time, with passive waiting. Whoever sets
/// OMP_WAIT_POLICY or GOMP_SPINCOUNT decides. Call it first in main.
void prefer_passive_waiting(char** argv);

}  // namespace sheaf
