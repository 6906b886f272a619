#include "plot.h"

#include "cli.h"

#include <math.h>

#define WIDTH 760
#define LEFT 78
#define RIGHT 110 // room for the names behind the lines
#define PANEL 330
#define TOP 52    // of a panel, for its title
#define BOTTOM 52 // for the axis

typedef struct scale {
  double low, high; // log10 of the values
  double from, to;  // pixels
} scale;

static double place(const scale *s, double value) {
  double share = s->high > s->low ? (log10(value) - s->low) / (s->high - s->low) : 0.5;
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

static scale y_scale(const plot_panel *panel, double top) {
  double low = 1e300, high = 0;
  for (int l = 0; l < 2; l++) {
    for (size_t i = 0; i < panel->count; i++) {
      double y = panel->lines[l].y_ns[i];
      if (y < low) low = y;
      if (y > high) high = y;
    }
  }
  return (scale){floor(log10(low)), ceil(log10(high)), top + PANEL - BOTTOM, top + TOP};
}

static void draw_y_axis(FILE *to, const scale *y) {
  for (double power = y->low; power <= y->high; power++) {
    char text[32];
    double at = place(y, pow(10, power)), ns = pow(10, power);
    const char *unit = ns < 1e3 ? "ns" : ns < 1e6 ? "us" : ns < 1e9 ? "ms" : "s";
    snprintf(text, sizeof text, "%.0f %s",
             ns < 1e3   ? ns
             : ns < 1e6 ? ns / 1e3
             : ns < 1e9 ? ns / 1e6
                        : ns / 1e9,
             unit);
    fprintf(to, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>\n", LEFT, at, WIDTH - RIGHT);
    fprintf(to, "<text class=\"axis\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 8, at + 4,
            text);
  }
}

static void draw_x_axis(FILE *to, const plot_panel *panel, const scale *x, double bottom) {
  for (size_t i = 0; i < panel->count; i += 2) {
    char text[32];
    double at = place(x, (double)panel->x_bytes[i]);
    fprintf(to, "<path class=\"grid\" d=\"M%.1f %.1fv5\"/>\n", at, bottom);
    fprintf(to, "<text class=\"axis\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", at,
            bottom + 20, cli_size_text(panel->x_bytes[i], text));
  }
  fprintf(to, "<text class=\"axis\" x=\"%d\" y=\"%.1f\" text-anchor=\"middle\">size of the buffer</text>\n",
          (LEFT + WIDTH - RIGHT) / 2, bottom + 40);
}

static void draw_line(FILE *to, const plot_panel *panel, int l, const scale *x, const scale *y,
                      double name_y) {
  const plot_line *line = &panel->lines[l];
  fprintf(to, "<path class=\"line l%d\" d=\"", l);
  for (size_t i = 0; i < panel->count; i++)
    fprintf(to, "%c%.1f %.1f", i ? 'L' : 'M', place(x, (double)panel->x_bytes[i]), place(y, line->y_ns[i]));
  fputs("\"/>\n", to);
  for (size_t i = 0; i < panel->count; i++)
    fprintf(to, "<circle class=\"l%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/>\n", l,
            place(x, (double)panel->x_bytes[i]), place(y, line->y_ns[i]));
  fprintf(to, "<text class=\"name n%d\" x=\"%d\" y=\"%.1f\">%s</text>\n", l, WIDTH - RIGHT + 10, name_y,
          line->name);
}

static void draw_mark(FILE *to, const plot_panel *panel, const scale *x, const scale *y) {
  char size[32];
  double at = place(x, (double)panel->mark_bytes);
  bool right = at < (LEFT + WIDTH - RIGHT) / 2.0;
  fprintf(to, "<path class=\"mark\" d=\"M%.1f %.1fV%.1f\"/>\n", at, y->from, y->to);
  fprintf(to,
          "<text class=\"axis\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">zero-copy pays from %s on</text>\n",
          at + (right ? 6 : -6), y->to + 14, right ? "start" : "end", cli_size_text(panel->mark_bytes, size));
}

static void draw_panel(FILE *to, const plot_panel *panel, double top) {
  scale x = {log10((double)panel->x_bytes[0]), log10((double)panel->x_bytes[panel->count - 1]), LEFT,
             WIDTH - RIGHT};
  scale y = y_scale(panel, top);
  fprintf(to, "<text class=\"title\" x=\"%d\" y=\"%.1f\">", LEFT, top + TOP - 16);
  write_text(to, panel->title);
  fputs("</text>\n", to);
  draw_y_axis(to, &y);
  draw_x_axis(to, panel, &x, y.from);
  if (panel->mark_bytes) draw_mark(to, panel, &x, &y);
  // The names stand behind the last points, and never on each other.
  double names[2];
  for (int l = 0; l < 2; l++) names[l] = place(&y, panel->lines[l].y_ns[panel->count - 1]) + 4;
  int upper = names[0] <= names[1] ? 0 : 1;
  if (names[1 - upper] - names[upper] < 16) {
    double middle = (names[0] + names[1]) / 2;
    names[upper] = middle - 8;
    names[1 - upper] = middle + 8;
  }
  for (int l = 0; l < 2; l++) draw_line(to, panel, l, &x, &y, names[l]);
}

bool plot_write(const char *path, const char *title, const plot_panel *panels, size_t count) {
  FILE *to = fopen(path, "w");
  if (!to) return false;
  int height = 44 + (int)count * PANEL;
  fprintf(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n",
          WIDTH, height, WIDTH, height);
  fputs("<style>text{font:13px system-ui,sans-serif;fill:#24292f}.head{font-size:17px;font-weight:600}"
        ".title{font-weight:600}.axis{font-size:12px;fill:#57606a}.grid{stroke:#d8dee4;fill:none}"
        ".line{fill:none;stroke-width:2}.l0{stroke:#b35900}.l1{stroke:#0a66c2}circle.l0{fill:#b35900}"
        "circle.l1{fill:#0a66c2}.name{font-weight:600}.n0{fill:#b35900}.n1{fill:#0a66c2}"
        ".mark{stroke:#57606a;stroke-dasharray:4 3;fill:none}</style>\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        to);
  fprintf(to, "<text class=\"head\" x=\"%d\" y=\"32\">", LEFT);
  write_text(to, title);
  fputs("</text>\n", to);
  for (size_t i = 0; i < count; i++) draw_panel(to, &panels[i], 44 + (double)i * PANEL);
  fputs("</svg>\n", to);
  return fclose(to) == 0;
}
