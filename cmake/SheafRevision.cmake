# SHEAF_REVISION: the git revision that is built, or "unknown" outside a checkout.
find_package(Git QUIET)
set(SHEAF_REVISION unknown)
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --short=12 HEAD WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
                  OUTPUT_VARIABLE sheaf_head OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE sheaf_git_status)
  if(sheaf_git_status EQUAL 0)
    set(SHEAF_REVISION ${sheaf_head})
    # A commit configures again; results would name an older revision else.
    execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --git-path logs/HEAD WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
                    OUTPUT_VARIABLE sheaf_head_log OUTPUT_STRIP_TRAILING_WHITESPACE)
    get_filename_component(sheaf_head_log ${sheaf_head_log} ABSOLUTE BASE_DIR ${CMAKE_SOURCE_DIR})
    if(EXISTS ${sheaf_head_log})
      set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${sheaf_head_log})
    endif()
  endif()
endif()
