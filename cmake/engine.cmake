# The Rust crate as a library to link: Wasmtime's C API and naga.
if(DW_RUNTIME)
  add_library(dw_engine INTERFACE)
  target_include_directories(dw_engine SYSTEM INTERFACE ${DW_ENGINE_INCLUDE})
  target_link_libraries(dw_engine INTERFACE ${DW_ENGINE_LIBRARY})
  if(DW_WASMTIME_LIBRARY) # an installed Wasmtime; the crate holds naga alone
    target_link_libraries(dw_engine INTERFACE ${DW_WASMTIME_LIBRARY})
  endif()
  target_link_libraries(dw_engine INTERFACE pthread dl m)
endif()
