# A compiler cache where ccache is found: a second build of the same sources, in any folder, compiles nothing.
# Keys hold no paths (CCACHE_BASEDIR, CCACHE_NOHASHDIR); precompiled headers need the sloppiness.
option(SHEAF_CCACHE "Compile through ccache when it is found" ON)
if(NOT SHEAF_CCACHE)
  return()
endif()
find_program(SHEAF_CCACHE_PROGRAM ccache)
if(SHEAF_CCACHE_PROGRAM)
  set(cached ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${SHEAF_CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${cached})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${cached})
endif()
