#include "plot.h"

#include "cli.h"

#include <math.h>

#define WIDTH 760
#define LEFT 78
#define RIGHT 110 // room for the names behind the lines
#define PANEL 290
#define TOP 52    // of a panel, for its title
#define BOTTOM 34 // for the axis

typedef struct scale {
  bool logarithmic;
  double low, high; // of the values, or of their log10
  double from, to;  // pixels
} scale;

static double place(const scale *s, double value) {
  double at = s->logarithmic ? log10(value) : value;
  double share = s->high > s->low ? (at - s->low) / (s->high - s->low) : 0.5;
  return s->from + share * (s->to - s->from);
}

static void write_text(FILE *to, const char *text) {
  for (size_t i = 0; text[i]; i++) {
    if (text[i] == '<')
      fputs("&lt;", to);
    else if (text[i] == '>')
      fputs("&gt;", to);
    else if (text[i] == '&')
      fputs("&amp;", to);
    else
      putc(text[i], to);
  }
}

typedef struct bounds {
  double x_low, x_high, y_low, y_high;
} bounds;

static bounds bounds_of(const plot_panel *panel) {
  bounds all = {1e300, 0, 1e300, 0};
  for (size_t l = 0; l < panel->line_count; l++) {
    const plot_line *line = &panel->lines[l];
    for (size_t i = 0; i < line->count; i++) {
      all.x_low = fmin(all.x_low, (double)line->x_bytes[i]);
      all.x_high = fmax(all.x_high, (double)line->x_bytes[i]);
      all.y_low = fmin(all.y_low, line->y[i]);
      all.y_high = fmax(all.y_high, line->y[i]);
    }
  }
  return all;
}

static scale y_scale(const plot_panel *panel, const bounds *all, double top) {
  double from = top + PANEL - BOTTOM, to = top + TOP;
  if (panel->kind == PLOT_RATIO) return (scale){false, 0, ceil(all->y_high + 0.2), from, to};
  return (scale){true, floor(log10(all->y_low)), ceil(log10(all->y_high)), from, to};
}

static void draw_tick(FILE *to, const scale *y, double value, const char *text, const char *kind) {
  double at = place(y, value);
  fprintf(to, "<path class=\"%s\" d=\"M%d %.1fH%d\"/>\n", kind, LEFT, at, WIDTH - RIGHT);
  fprintf(to, "<text class=\"axis\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 8, at + 4,
          text);
}

static void draw_y_axis(FILE *to, const plot_panel *panel, const scale *y) {
  char text[32];
  for (double tick = y->low; tick <= y->high; tick++) {
    if (panel->kind == PLOT_RATIO) {
      snprintf(text, sizeof text, "%.0fx", tick);
      draw_tick(to, y, tick, text, tick == 1 ? "one" : "grid");
    } else {
      double ns = pow(10, tick);
      const char *unit = ns < 1e3 ? "ns" : ns < 1e6 ? "us" : ns < 1e9 ? "ms" : "s";
      double value = ns < 1e3 ? ns : ns < 1e6 ? ns / 1e3 : ns < 1e9 ? ns / 1e6 : ns / 1e9;
      snprintf(text, sizeof text, "%.0f %s", value, unit);
      draw_tick(to, y, ns, text, "grid");
    }
  }
}

static void draw_x_axis(FILE *to, const bounds *all, const scale *x, double bottom) {
  for (double bytes = all->x_low; bytes <= all->x_high; bytes *= 4) {
    char text[32];
    double at = place(x, bytes);
    fprintf(to, "<path class=\"grid\" d=\"M%.1f %.1fv5\"/>\n", at, bottom);
    fprintf(to, "<text class=\"axis\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", at,
            bottom + 20, cli_size_text((uint64_t)bytes, text));
  }
}

static void draw_line(FILE *to, const plot_line *line, size_t color, const scale *x, const scale *y,
                      double name_y) {
  fprintf(to, "<path class=\"line l%zu\" d=\"", color);
  for (size_t i = 0; i < line->count; i++)
    fprintf(to, "%c%.1f %.1f", i ? 'L' : 'M', place(x, (double)line->x_bytes[i]), place(y, line->y[i]));
  fputs("\"/>\n", to);
  for (size_t i = 0; i < line->count; i++)
    fprintf(to, "<circle class=\"l%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/>\n", color,
            place(x, (double)line->x_bytes[i]), place(y, line->y[i]));
  fprintf(to, "<text class=\"name n%zu\" x=\"%d\" y=\"%.1f\">%s</text>\n", color, WIDTH - RIGHT + 10, name_y,
          line->name);
}

// The names stand behind the last points, from above to below, and never on each other.
static void place_names(const plot_panel *panel, const scale *y, double *names) {
  size_t order[PLOT_MAX_LINES];
  for (size_t l = 0; l < panel->line_count; l++) {
    names[l] = place(y, panel->lines[l].y[panel->lines[l].count - 1]) + 4;
    size_t at = l;
    for (; at > 0 && names[order[at - 1]] > names[l]; at--) order[at] = order[at - 1];
    order[at] = l;
  }
  for (size_t i = 1; i < panel->line_count; i++)
    if (names[order[i]] < names[order[i - 1]] + 16) names[order[i]] = names[order[i - 1]] + 16;
}

static void draw_panel(FILE *to, const plot_panel *panel, double top) {
  bounds all = bounds_of(panel);
  scale x = {true, log10(all.x_low), log10(all.x_high), LEFT, WIDTH - RIGHT};
  scale y = y_scale(panel, &all, top);
  double names[PLOT_MAX_LINES];
  fprintf(to, "<text class=\"title\" x=\"%d\" y=\"%.1f\">", LEFT, top + TOP - 16);
  write_text(to, panel->title);
  fputs("</text>\n", to);
  draw_y_axis(to, panel, &y);
  draw_x_axis(to, &all, &x, y.from);
  place_names(panel, &y, names);
  for (size_t l = 0; l < panel->line_count; l++) draw_line(to, &panel->lines[l], l, &x, &y, names[l]);
}

bool plot_write(const char *path, const char *title, const plot_panel *panels, size_t count) {
  FILE *to = fopen(path, "w");
  if (!to) return false;
  int height = 44 + (int)count * PANEL;
  fprintf(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n",
          WIDTH, height, WIDTH, height);
  fputs(
      "<style>text{font:13px system-ui,sans-serif;fill:#24292f}.head{font-size:17px;font-weight:600}"
      ".title{font-weight:600}.axis{font-size:12px;fill:#57606a}.grid{stroke:#d8dee4;fill:none}"
      ".line{stroke-width:2}path.line{fill:none}.l0{stroke:#b35900}.l1{stroke:#0a66c2}circle.l0{fill:#b35900}"
      "circle.l1{fill:#0a66c2}.name{font-weight:600}.n0{fill:#b35900}.n1{fill:#0a66c2}"
      ".one{stroke:#57606a;stroke-dasharray:5 4;fill:none}</style>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
      to);
  fprintf(to, "<text class=\"head\" x=\"%d\" y=\"32\">", LEFT);
  write_text(to, title);
  fputs("</text>\n", to);
  for (size_t i = 0; i < count; i++) draw_panel(to, &panels[i], 44 + (double)i * PANEL);
  fputs("</svg>\n", to);
  return fclose(to) == 0;
}
