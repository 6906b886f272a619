// The host's JSON reader, compiled into this guest.
#include "../../src/format/json.c"
