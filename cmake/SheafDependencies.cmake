# Well-kept libraries do what Sheaf does not exist for. scripts/setup installs all of them from the distribution.
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_package(LibLZMA REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)

# OpenBLAS starts threads of its own, with 128 MiB each, before main. Where a limit leaves no room for them, it tries for
# ever and hears no signal. Sheaf has its own threads, and kernels/core/blas_cpu.cpp turns those off before they start:
# that takes a library inside the program. The flavour without threads (openblas-serial) is no way out: called by
# several threads at once, it gives wrong products now and then (0.3.21).
find_library(SHEAF_OPENBLAS NAMES libopenblas.a PATH_SUFFIXES openblas-pthread)
find_path(SHEAF_OPENBLAS_INCLUDE cblas.h PATH_SUFFIXES openblas-pthread)
add_library(sheaf_blas INTERFACE)
if(SHEAF_OPENBLAS MATCHES "pthread" AND SHEAF_OPENBLAS_INCLUDE MATCHES "pthread")
  target_link_libraries(sheaf_blas INTERFACE ${SHEAF_OPENBLAS})
  target_include_directories(sheaf_blas SYSTEM INTERFACE ${SHEAF_OPENBLAS_INCLUDE})
else()
  find_package(BLAS REQUIRED)
  message(STATUS "OpenBLAS as a static library (libopenblas-pthread-dev) is not here; ${BLAS_LIBRARIES} may hang where memory is limited")
  target_link_libraries(sheaf_blas INTERFACE BLAS::BLAS)
endif()

# Header-only; their CMake packages differ between distributions, the headers do not.
find_path(SHEAF_TOMLPP_INCLUDE toml++/toml.h REQUIRED)
find_path(SHEAF_FAST_FLOAT_INCLUDE fast_float/fast_float.h REQUIRED)

# CMake 3.25 has no module for zstd, and Debian's libzip names programs in its package that another package holds.
foreach(library zstd zip)
  string(TOUPPER ${library} name)
  find_path(SHEAF_${name}_INCLUDE ${library}.h REQUIRED)
  find_library(SHEAF_${name}_LIBRARY ${library} REQUIRED)
endforeach()
