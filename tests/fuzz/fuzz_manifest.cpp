// The manifest of a folder.

#include <unistd.h>

#include <fstream>

#include "engine/io/folder.hpp"
#include "tests/fuzz/driver.hpp"

using namespace sheaf;

namespace {

/// A folder with one file beside the manifest; in memory where the system has such a place.
struct Folder {
  Folder() {
    const std::filesystem::path memory = "/dev/shm";
    const bool writable = ::access(memory.c_str(), W_OK) == 0;
    path = (writable ? memory : std::filesystem::temp_directory_path()) / ("sheaf-fuzz-" + std::to_string(::getpid()));
    std::filesystem::create_directory(path);
    std::ofstream(path / "data") << "1";
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Folder folder;
  std::ofstream(folder.path / "manifest.json", std::ios::binary) << fuzz::as_text(data, size);
  return fuzz::expect_error_or_none([&] { (void)io::read_folder(folder.path, "prepared"); });
}
