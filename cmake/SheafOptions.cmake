# sheaf_options: what every target of this project is compiled with.
add_library(sheaf_options INTERFACE)
target_include_directories(sheaf_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_features(sheaf_options INTERFACE cxx_std_20)

# -Wno-restrict: g++ 12 reports std::string concatenation falsely (GCC bug 105329).
set(sheaf_warnings -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-qual -Wno-restrict)
if(SHEAF_WERROR)
  list(APPEND sheaf_warnings -Werror)
endif()
target_compile_options(sheaf_options INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${sheaf_warnings};-fopenmp-simd>")
if(SHEAF_MARCH AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(sheaf_options INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:-march=${SHEAF_MARCH}>")
endif()

if(SHEAF_HAS_CUDA)
  target_compile_options(sheaf_options INTERFACE
    "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;-lineinfo;-Xcompiler=-Wall,-Wextra>")
  if(SHEAF_WERROR)
    target_compile_options(sheaf_options INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings;-Xcompiler=-Werror>")
  endif()
endif()

if(SHEAF_SANITIZE STREQUAL "address")
  target_compile_options(sheaf_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(sheaf_options INTERFACE -fsanitize=address,undefined)
elseif(SHEAF_SANITIZE STREQUAL "thread")
  target_compile_options(sheaf_options INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_compile_definitions(sheaf_options INTERFACE SHEAF_TSAN=1)
  target_link_options(sheaf_options INTERFACE -fsanitize=thread)
elseif(NOT SHEAF_SANITIZE STREQUAL "")
  message(FATAL_ERROR "SHEAF_SANITIZE is '${SHEAF_SANITIZE}'; use address, thread or nothing.")
endif()
