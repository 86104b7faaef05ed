#include "tests/common/paths.hpp"

namespace sheaf::test {

std::filesystem::path program_path() { return SHEAF_PROGRAM; }
std::filesystem::path datasets_path() { return SHEAF_DATASETS; }

}  // namespace sheaf::test
