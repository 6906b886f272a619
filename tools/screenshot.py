#!/usr/bin/env python3
"""Runs commands in a terminal of its own and draws what they showed as an SVG picture.

  tools/screenshot.py docs/images/terminal.svg

The picture of README.md: `driftwood chat` with two questions that are typed when
the prompt is there, then `driftwood prove`.  Nothing is drawn that the programs
did not write, but for the prompts of the shell.  Standard library only.
"""
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from pathlib import Path
from xml.sax.saxutils import escape

SOURCE = Path(__file__).resolve().parent.parent
COLUMNS, CELL, LINE, MARGIN = 96, 8.43, 18, 20
COLORS = {"31": "#ff7b72", "32": "#7ee787", "36": "#79c0ff"}
SESSIONS = [
    (["build/driftwood", "chat", "--device", "cpu", "--seed", "3"],
     ["Tell me a story about a dog.", "What is 347 + 268?", None]),
    (["build/driftwood", "prove", "--device", "cpu"], []),
]


def record(command, typed, timeout_s=120):
    """What the command wrote to a terminal on which `typed` is entered at each prompt; None: ctrl-D."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.environ.pop("NO_COLOR", None)
        os.chdir(SOURCE)
        os.execv(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    shown, seen, end = b"", 0, time.monotonic() + timeout_s
    typed = list(typed)
    while time.monotonic() < end:
        prompt = shown.rfind(b"> ")
        if typed and prompt >= seen and shown.endswith((b"> ", b"> \x1b[0m")):
            time.sleep(0.2)
            line = typed.pop(0)
            os.write(terminal, b"\x04" if line is None else line.encode() + b"\n")
            seen = len(shown)
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.waitpid(pid, 0)
    return shown.decode("utf-8", "replace")


class Screen:
    """Lines of (character, style); as much of a terminal as the command line uses."""

    def __init__(self):
        self.lines, self.column, self.style = [[]], 0, frozenset()

    def put(self, character):
        if self.column == COLUMNS:
            self.newline()
            self.column = 0
        line = self.lines[-1]
        line.extend([(" ", frozenset())] * (self.column + 1 - len(line)))
        line[self.column] = (character, self.style)
        self.column += 1

    def newline(self):
        self.lines.append([])

    def feed(self, text):
        for token in re.findall(r"\x1b\[[\d;]*[A-Za-z]|.", text, re.S):
            if token.startswith("\x1b") and token.endswith("m"):
                codes = token[2:-1].split(";")
                self.style = frozenset() if codes in ([""], ["0"]) else self.style | set(codes)
            elif token.startswith("\x1b") and token.endswith("K"):
                del self.lines[-1][self.column:]
            elif token == "\r":
                self.column = 0
            elif token == "\n":
                self.newline()
            elif token >= " ":
                self.put(token)


def runs_of(line):
    """(first column, text, style) for each stretch of one style."""
    runs = []
    for column, (character, style) in enumerate(line):
        if runs and runs[-1][2] == style:
            runs[-1][1] += character
        else:
            runs.append([column, character, style])
    return [run for run in runs if run[1].strip()]


def draw(lines):
    width, height = COLUMNS * CELL + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN + 24
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}">',
           "<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
           "fill:#e6edf3;white-space:pre}.b{font-weight:700}.d{fill:#8b949e}</style>",
           '<rect width="100%" height="100%" rx="10" fill="#0d1117"/>']
    out += [f'<circle cx="{24 + 20 * i}" cy="20" r="6" fill="{color}"/>'
            for i, color in enumerate(("#ff5f56", "#ffbd2e", "#27c93f"))]
    for row, line in enumerate(lines):
        for column, text, style in runs_of(line):
            names = " ".join(name for code, name in (("1", "b"), ("2", "d")) if code in style)
            color = next((f' style="fill:{COLORS[code]}"' for code in COLORS if code in style), "")
            out.append(f'<text class="{names}"{color} x="{MARGIN + column * CELL:.1f}" y="{MARGIN + 36 + row * LINE}" '
                       f'textLength="{len(text) * CELL:.1f}" xml:space="preserve">{escape(text)}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    screen = Screen()
    for command, typed in SESSIONS:
        screen.feed(f"\x1b[1;32m$\x1b[0m {' '.join(command)}\r\n" + record(command, typed) + "\r\n")
    while screen.lines and not screen.lines[-1]:
        screen.lines.pop()
    Path(sys.argv[1]).write_text(draw(screen.lines))


if __name__ == "__main__":
    main()
