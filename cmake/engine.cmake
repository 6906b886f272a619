# The Rust crate as a library to link: Wasmtime's C API and naga.
if(DW_RUNTIME)
  add_library(dw_engine INTERFACE)
  target_include_directories(dw_engine SYSTEM INTERFACE ${DW_ENGINE_INCLUDE})
  if(DW_SANITIZE MATCHES "thread")
    # Rust is not instrumented, and ThreadSanitizer can leave out only what is a
    # shared library (called_from_lib in tests/tsan.supp).
    set(shared ${CMAKE_BINARY_DIR}/libdriftwood_engine.so)
    add_custom_command(
      OUTPUT ${shared}
      COMMAND ${CMAKE_C_COMPILER} -shared -o ${shared} -Wl,--whole-archive ${DW_ENGINE_LIBRARY}
              -Wl,--no-whole-archive -lpthread -ldl -lm
      DEPENDS ${DW_ENGINE_LIBRARY}
      COMMENT "Linking the crate as a shared library")
    add_custom_target(dw_engine_shared DEPENDS ${shared})
    add_dependencies(dw_engine dw_engine_shared)
    target_link_libraries(dw_engine INTERFACE ${shared})
  else()
    target_link_libraries(dw_engine INTERFACE ${DW_ENGINE_LIBRARY})
  endif()
  if(DW_WASMTIME_LIBRARY) # an installed Wasmtime; the crate holds naga alone
    target_link_libraries(dw_engine INTERFACE ${DW_WASMTIME_LIBRARY})
  endif()
  target_link_libraries(dw_engine INTERFACE pthread dl m)
endif()
