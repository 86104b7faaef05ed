# SHEAF_REVISION: the git revision that is built, or "unknown" outside a checkout.
find_package(Git QUIET)
set(SHEAF_REVISION unknown)
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --short=12 HEAD WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
                  OUTPUT_VARIABLE sheaf_head OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE sheaf_git_status)
  if(sheaf_git_status EQUAL 0)
    set(SHEAF_REVISION ${sheaf_head})
  endif()
endif()
