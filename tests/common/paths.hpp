#pragma once
/// Where this build's program and the data sets of the sources are. Only paths.cpp is compiled with the paths, so a
/// compiler cache serves all other files in every folder.

#include <filesystem>

namespace sheaf::test {

std::filesystem::path program_path();
std::filesystem::path datasets_path();

}  // namespace sheaf::test
