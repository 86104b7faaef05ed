# Decides SHEAF_HAS_CUDA. AUTO takes CUDA when nvcc is on the path or in the usual place.
set(SHEAF_HAS_CUDA OFF)
if(SHEAF_SIMT)
  return()
endif()
if(NOT SHEAF_CUDA STREQUAL "OFF")
  find_program(SHEAF_NVCC nvcc PATHS /usr/local/cuda/bin)
  if(SHEAF_NVCC)
    set(CMAKE_CUDA_COMPILER ${SHEAF_NVCC})
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      # `native` would silently configure without a GPU.
      set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90a-real 100-real 120 CACHE STRING "CUDA architectures")
    endif()
    # CUDA::cudart_static is linked by its path; "-lcudart_static" would need nvcc's folders, which CMake loses at a
    # space in them.
    set(CMAKE_CUDA_RUNTIME_LIBRARY None)
    enable_language(CUDA)
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    # CMake 3.25 knows no flag for C++20 with recent nvcc and would pass none.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    find_package(CUDAToolkit REQUIRED)
    set(SHEAF_HAS_CUDA ON)
  elseif(SHEAF_CUDA STREQUAL "ON")
    message(FATAL_ERROR "SHEAF_CUDA=ON, but nvcc was not found. Put it on the PATH, or configure with -DSHEAF_CUDA=OFF.")
  endif()
endif()
message(STATUS "CUDA backend: ${SHEAF_HAS_CUDA} ${CMAKE_CUDA_ARCHITECTURES}")
