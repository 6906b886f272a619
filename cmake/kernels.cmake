# kernels/*.wgsl as bytes in the library: build/generated/dw_kernels.c and .h.
file(GLOB dw_wgsl CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*.wgsl)
set(dw_generated ${CMAKE_BINARY_DIR}/generated)
add_custom_command(
  OUTPUT ${dw_generated}/dw_kernels.c ${dw_generated}/dw_kernels.h
  COMMAND ${DW_PYTHON} ${CMAKE_SOURCE_DIR}/tools/embed.py --out ${dw_generated} ${dw_wgsl}
  DEPENDS ${dw_wgsl} ${CMAKE_SOURCE_DIR}/tools/embed.py
  COMMENT "Embedding kernels/*.wgsl")
add_library(dw_kernels STATIC ${dw_generated}/dw_kernels.c ${dw_generated}/dw_kernels.h)
target_include_directories(dw_kernels PUBLIC ${dw_generated})
target_link_libraries(dw_kernels PRIVATE dw_flags)
