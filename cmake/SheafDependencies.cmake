# Well-kept libraries do what Sheaf does not exist for. scripts/setup installs all of them from the distribution.
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_package(LibLZMA REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(BLAS REQUIRED)

# Header-only; their CMake packages differ between distributions, the headers do not.
find_path(SHEAF_TOMLPP_INCLUDE toml++/toml.h REQUIRED)
find_path(SHEAF_FAST_FLOAT_INCLUDE fast_float/fast_float.h REQUIRED)

# CMake 3.25 has no module for zstd, and Debian's libzip names programs in its package that another package holds.
foreach(library zstd zip)
  string(TOUPPER ${library} name)
  find_path(SHEAF_${name}_INCLUDE ${library}.h REQUIRED)
  find_library(SHEAF_${name}_LIBRARY ${library} REQUIRED)
endforeach()
