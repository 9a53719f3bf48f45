"""What the demo shows: bars that move on a terminal, plain lines elsewhere, tables at the end."""

import io
import os
import sys
import time

BAR = 30
PLAIN_EVERY_S = 2.0


class Screen:
    def __init__(self, out=sys.stdout):
        self.out = out
        self.terminal = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.began = time.monotonic()
        self.said = io.StringIO()
        self._drawn = 0         # lines of bars on the screen now
        self._plain_at, self._plain_said = 0.0, None

    def step(self, text):
        """A new line of the story."""
        self._forget_bars()
        self._write("%5.1f s  %s\n" % (time.monotonic() - self.began, text))

    def text(self, text=""):
        self._forget_bars()
        self._write(text + "\n")

    def bars(self, rows):
        """rows: (name, done, total, note). Drawn in place; without a terminal a line now and then."""
        if self.terminal:
            if self._drawn:
                self._write("\033[%dA" % self._drawn)
            for name, done, total, note in rows:
                full = BAR * done // total if total else 0
                self._write("\033[K         %-10s [%s%s] %5d/%-5d %s\n" % (
                    name, "#" * full, "." * (BAR - full), done, total, note))
            self._drawn = len(rows)
            return
        said = [(name, done, total, note) for name, done, total, note in rows]
        now = time.monotonic()
        if said == self._plain_said or now < self._plain_at:
            return
        self._plain_said, self._plain_at = said, now + PLAIN_EVERY_S
        self._write("         " + ", ".join("%s %d/%d %s" % row for row in rows).rstrip() + "\n")

    def table(self, head, rows):
        """Columns as wide as they must be; numbers to the right."""
        self._forget_bars()
        cells = [[str(c) for c in head]] + [[str(c) for c in row] for row in rows]
        wide = [max(len(row[i]) for row in cells) for i in range(len(head))]
        for n, row in enumerate(cells):
            self._write("  ".join(
                c.rjust(wide[i]) if n and isinstance(rows[n - 1][i], (int, float)) else c.ljust(wide[i])
                for i, c in enumerate(row)).rstrip() + "\n")
            if n == 0:
                self._write("  ".join("-" * w for w in wide) + "\n")

    def _forget_bars(self):
        self._drawn = 0

    def _write(self, text):
        self.said.write(text)
        self.out.write(text)
        self.out.flush()
