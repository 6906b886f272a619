// The JSON reader of the host, compiled into this guest.
#include "../../src/format/json.c"
