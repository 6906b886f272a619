// How host functions are offered to Wasmtime: unchecked calls, so that a call
// costs nanoseconds, with the signature stated once in a table.
#include "runtime.h"

#include <stdlib.h>
#include <string.h>

static wasm_trap_t *call(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *values, size_t count) {
  (void)count;
  const dw_host_function *function = env;
  dw_actor *actor = wasmtime_context_get_data(wasmtime_caller_context(caller));
  wasm_trap_t *trap = NULL;
  actor->stats.host_calls++;
  int64_t result = function->call(actor, values, &trap);
  if (function->result == 'i') values[0].i32 = (int32_t)result;
  if (function->result == 'I') values[0].i64 = result;
  return trap;
}

static wasm_valtype_t *value_type(char letter) { return letter == 'I' ? wasm_valtype_new_i64() : wasm_valtype_new_i32(); }

static wasm_functype_t *function_type(const dw_host_function *function) {
  wasm_valtype_vec_t parameters, results;
  size_t count = strlen(function->parameters);
  wasm_valtype_vec_new_uninitialized(&parameters, count);
  for (size_t i = 0; i < count; i++) parameters.data[i] = value_type(function->parameters[i]);
  wasm_valtype_vec_new_uninitialized(&results, function->result ? 1 : 0);
  if (function->result) results.data[0] = value_type(function->result);
  return wasm_functype_new(&parameters, &results);
}

dw_status dw_wasm_fail(dw_error *error, dw_status code, const char *what, wasmtime_error_t *wasm_error,
                       wasm_trap_t *trap) {
  wasm_byte_vec_t words;
  if (trap) wasm_trap_message(trap, &words);
  else wasmtime_error_message(wasm_error, &words);
  dw_fail(error, code, "%s: %.*s", what, (int)words.size, words.data);
  wasm_byte_vec_delete(&words);
  if (trap) wasm_trap_delete(trap);
  if (wasm_error) wasmtime_error_delete(wasm_error);
  return code;
}

static dw_status define(wasmtime_linker_t *linker, const char *module, const dw_host_function *functions, size_t count,
                        dw_error *error) {
  for (size_t i = 0; i < count; i++) {
    wasm_functype_t *type = function_type(&functions[i]);
    wasmtime_error_t *failed = wasmtime_linker_define_func_unchecked(
        linker, module, strlen(module), functions[i].name, strlen(functions[i].name), type, call,
        (void *)(uintptr_t)&functions[i], NULL);
    wasm_functype_delete(type);
    if (failed) return dw_wasm_fail(error, DW_NOMEM, functions[i].name, failed, NULL);
  }
  return DW_OK;
}

static const char driftwood_module[] = "driftwood";
static const char wasi_module[] = "wasi_snapshot_preview1";

dw_status dw_host_define_all(wasmtime_linker_t *linker, dw_error *error) {
  dw_status status = define(linker, driftwood_module, dw_driftwood_functions, dw_driftwood_function_count, error);
  if (status == DW_OK) status = define(linker, wasi_module, dw_wasi_functions, dw_wasi_function_count, error);
  return status;
}

static bool is(const char *text, const char *name, size_t length) {
  return strlen(text) == length && memcmp(text, name, length) == 0;
}

bool dw_host_offers(const char *module, size_t module_length, const char *name, size_t name_length) {
  const dw_host_function *functions = NULL;
  size_t count = 0;
  if (is(driftwood_module, module, module_length)) {
    functions = dw_driftwood_functions;
    count = dw_driftwood_function_count;
  } else if (is(wasi_module, module, module_length)) {
    functions = dw_wasi_functions;
    count = dw_wasi_function_count;
  }
  for (size_t i = 0; i < count; i++)
    if (is(functions[i].name, name, name_length)) return true;
  return false;
}
