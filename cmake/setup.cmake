# Asks tools/setup.py for what this build needs and includes its answer.
if(DW_RUNTIME)
  set(dw_need engine,zig)
else()
  set(dw_need "")
endif()
find_program(DW_PYTHON NAMES python3 REQUIRED)
execute_process(
  COMMAND ${DW_PYTHON} ${CMAKE_SOURCE_DIR}/tools/setup.py --need=${dw_need} --cmake ${CMAKE_BINARY_DIR}/setup.cmake
  RESULT_VARIABLE result)
if(result)
  message(FATAL_ERROR "tools/setup.py could not provide what the build needs; see above")
endif()
include(${CMAKE_BINARY_DIR}/setup.cmake)
file(GLOB dw_setup_inputs ${CMAKE_SOURCE_DIR}/third_party/engine/src/*.rs
     ${CMAKE_SOURCE_DIR}/third_party/engine/include/*.h ${CMAKE_SOURCE_DIR}/tools/requirements-*.txt)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${dw_setup_inputs}
             ${CMAKE_SOURCE_DIR}/third_party/engine/Cargo.toml ${CMAKE_SOURCE_DIR}/third_party/engine/Cargo.lock
             ${CMAKE_SOURCE_DIR}/third_party/engine/build.rs ${CMAKE_SOURCE_DIR}/tools/setup.py)
