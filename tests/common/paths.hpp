#pragma once
/// Where this build's program and the sources' data sets lie. Only paths.cpp is compiled with the paths: a compiler cache serves the
/// other files in every folder.

#include <filesystem>

namespace sheaf::test {

std::filesystem::path program_path();
std::filesystem::path datasets_path();

}  // namespace sheaf::test
