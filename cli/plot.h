// plot.h: lines over buffer sizes, in panels one under the other, as an SVG file.
#ifndef DW_CLI_PLOT_H
#define DW_CLI_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLOT_MAX_LINES 4

typedef struct plot_line {
  const char *name;
  size_t count;
  const uint64_t *x_bytes;     // ascending; the axis is logarithmic
  const double *y;
} plot_line;

// y is either time in ns on a logarithmic axis, or a ratio on a linear one that
// shows where 1 is.
typedef enum plot_kind { PLOT_TIME, PLOT_RATIO } plot_kind;

typedef struct plot_panel {
  const char *title;
  plot_kind kind;
  size_t line_count;
  plot_line lines[PLOT_MAX_LINES];
} plot_panel;

// False: the file could not be written.
bool plot_write(const char *path, const char *title, const plot_panel *panels, size_t count);

#endif
