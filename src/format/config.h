// config.h: looking into config.json.
#ifndef DW_FORMAT_CONFIG_H
#define DW_FORMAT_CONFIG_H

#include "../status.h"
#include "json.h"

// A scalar by its dotted path, as text: "hidden_size", "rope_scaling.factor",
// "architectures.0".  Copies the text (a string's value, a number as it is written,
// true, false or null) and a terminator; `length`, which may be NULL, is without
// it.  NOTFOUND: no such member; UNSUPPORTED: an array or an object; LIMIT: it
// needs *length + 1 bytes of room; NOMEM.
dw_status dw_config_text(const dw_json *json, const char *path, char *buffer, size_t capacity, size_t *length,
                         dw_error *error);

#endif
