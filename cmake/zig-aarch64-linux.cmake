# Cross build for aarch64 Linux by zig, linked statically against musl, so that
# qemu-user runs it without a system root.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

get_filename_component(dw_root ${CMAKE_CURRENT_LIST_DIR} DIRECTORY)
if(NOT DEFINED ENV{DW_ZIG_WRAPPERS})
  find_program(DW_PYTHON NAMES python3 REQUIRED)
  foreach(name DW_ZIG DW_ZIG_CACHE)
    execute_process(COMMAND ${DW_PYTHON} ${dw_root}/tools/setup.py --need=zig --print ${name}
                    OUTPUT_VARIABLE ${name} OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE result)
    if(result)
      message(FATAL_ERROR "tools/setup.py could not provide zig; see above")
    endif()
  endforeach()
  # CMake wants one program for each tool; zig is all of them in one.
  set(dw_wrappers ${DW_ZIG_CACHE}/wrappers)
  set(environment "export ZIG_GLOBAL_CACHE_DIR='${DW_ZIG_CACHE}'")
  foreach(tool "cc --target=aarch64-linux-musl" ar ranlib)
    string(REGEX MATCH "^[a-z]+" name "${tool}")
    file(CONFIGURE OUTPUT ${dw_wrappers}/aarch64-linux-${name}
         CONTENT "#!/bin/sh\n${environment}\nexec '${DW_ZIG}' ${tool} \"$@\"\n" @ONLY)
    file(CHMOD ${dw_wrappers}/aarch64-linux-${name}
         PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
  endforeach()
  set(ENV{DW_ZIG_WRAPPERS} ${dw_wrappers}) # for the compiler checks, which read this file again
endif()
set(dw_wrappers $ENV{DW_ZIG_WRAPPERS})

set(CMAKE_C_COMPILER ${dw_wrappers}/aarch64-linux-cc)
set(CMAKE_AR ${dw_wrappers}/aarch64-linux-ar CACHE FILEPATH "")
set(CMAKE_RANLIB ${dw_wrappers}/aarch64-linux-ranlib CACHE FILEPATH "")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
find_program(dw_qemu NAMES qemu-aarch64 qemu-aarch64-static)
if(dw_qemu)
  set(DW_EMULATOR "${dw_qemu};-cpu;max" CACHE STRING "")
endif()
