# Every header compiles alone: one generated source a header, in an object library that the tests build.
file(GLOB_RECURSE sheaf_headers CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}
  ${CMAKE_SOURCE_DIR}/kernels/*.hpp ${CMAKE_SOURCE_DIR}/engine/*.hpp ${CMAKE_SOURCE_DIR}/host/*.hpp ${CMAKE_SOURCE_DIR}/bench/*.hpp)
set(header_sources)
foreach(header ${sheaf_headers})
  string(REPLACE "/" "_" stem ${header})
  set(source ${CMAKE_BINARY_DIR}/headers/${stem}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include \"@header@\"\n#include \"@header@\"  // guarded\n" @ONLY)
  list(APPEND header_sources ${source})
endforeach()
# Once is enough: sanitizers see nothing in it.
if(header_sources AND TARGET sheaf_host AND SHEAF_SANITIZE STREQUAL "")
  add_library(sheaf_header_check OBJECT ${header_sources})
  target_link_libraries(sheaf_header_check PRIVATE sheaf_host fmt::fmt CLI11::CLI11 nlohmann_json::nlohmann_json)
  target_include_directories(sheaf_header_check SYSTEM PRIVATE ${SHEAF_TOMLPP_INCLUDE} ${SHEAF_FAST_FLOAT_INCLUDE})
endif()
