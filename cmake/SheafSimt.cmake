# The SIMT executor of the tests: CUDA sources compile as C++ with a stand-in for the toolkit's headers.
# Boost.Context switches between the fibers; no other build needs it.
find_package(Boost CONFIG REQUIRED COMPONENTS context)

file(GLOB simt_sources CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/tests/simt/executor/*.cpp ${CMAKE_SOURCE_DIR}/tests/simt/api/*.cpp)
# The executor knows the kernels' registers and static shared memory from ptxas' table.
file(READ ${CMAKE_SOURCE_DIR}/kernels/registers.json register_table)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/register_table.cpp @ONLY CONTENT
  "namespace simt {\nextern const char* const kRegisterTable;\nconst char* const kRegisterTable = R\"table(@register_table@)table\";\n}  // namespace simt\n")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/registers.json)
add_library(sheaf_simt STATIC ${simt_sources} ${CMAKE_BINARY_DIR}/register_table.cpp)
target_link_libraries(sheaf_simt PUBLIC sheaf_options PRIVATE Boost::context)
# With -ffp-contract=off one build's numbers are the next one's; `#pragma unroll` is nvcc's.
set(SHEAF_SIMT_OPTIONS -DSHEAF_SIMT=1 -isystem ${CMAKE_SOURCE_DIR}/tests/simt/api/shim -Wno-unknown-pragmas -ffp-contract=off
  CACHE INTERNAL "Of sources that see the executor")
target_compile_options(sheaf_simt PRIVATE ${SHEAF_SIMT_OPTIONS})
# Sanitizers watch the kernels and not the executor, which tells them of its stacks (tests/simt/executor/sanitizer.hpp).
if(SHEAF_SANITIZE STREQUAL "address")
  target_compile_definitions(sheaf_simt PRIVATE SIMT_ASAN=1)
elseif(SHEAF_SANITIZE STREQUAL "thread")
  target_compile_definitions(sheaf_simt PRIVATE SIMT_TSAN=1)
endif()
if(SHEAF_SANITIZE)
  set_source_files_properties(${simt_sources} PROPERTIES COMPILE_OPTIONS "-fno-sanitize=all")
endif()
# sheaf_simt_sources(target sources...): adds .cu files to a target, as C++. The target's other sources compile as in
# every build, but where sources are compiled together: CMake leaves those out that have options of their own.
function(sheaf_simt_sources target)
  target_sources(${target} PRIVATE ${ARGN})
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX SKIP_PRECOMPILE_HEADERS ON)
  if(SHEAF_FEWER_COMPILATIONS)
    target_compile_options(${target} PRIVATE ${SHEAF_SIMT_OPTIONS})
  else()
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "${SHEAF_SIMT_OPTIONS}")
  endif()
  target_link_libraries(${target} PUBLIC sheaf_simt)
endfunction()
