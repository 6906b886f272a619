// plot.h: panels of two lines over buffer sizes, both axes logarithmic, as an SVG file.
#ifndef DW_CLI_PLOT_H
#define DW_CLI_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct plot_line {
  const char *name;
  const double *y_ns;
} plot_line;

typedef struct plot_panel {
  const char *title;
  size_t count;            // points of each line
  const uint64_t *x_bytes; // ascending
  plot_line lines[2];
  uint64_t mark_bytes; // a vertical line with "zero-copy pays from here"; 0: none
} plot_panel;

// One panel under the other.  False: the file could not be written.
bool plot_write(const char *path, const char *title, const plot_panel *panels, size_t count);

#endif
