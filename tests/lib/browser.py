"""A real browser: Debian's Chromium, driven by playwright-core in a Node process (browser.mjs)."""

import json
import os
import shutil
import subprocess

from . import processes
from .mailferry import ROOT

DRIVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "browser.mjs")
PLAYWRIGHT = os.path.join(ROOT, "build", "web")     # as tests/deps --web leaves it
END_S = 20
SIZES = {"wide": (1280, 900), "phone": (360, 740)}


class BrowserError(Exception):
    pass


class Browser:
    """Selectors are Playwright's: "#id", "text=Cut over", "button:has-text('Users')"."""

    def __init__(self):
        chromium = shutil.which("chromium")
        assert chromium and os.path.isdir(PLAYWRIGHT), "no browser: tests/deps --web"
        self._node = subprocess.Popen(["node", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      env=dict(os.environ, CHROMIUM=chromium, PLAYWRIGHT=PLAYWRIGHT),
                                      **processes.tie())

    def __getattr__(self, call):
        def ask(*args):
            self._node.stdin.write(json.dumps({"call": call, "args": args}) + "\n")
            self._node.stdin.flush()
            line = self._node.stdout.readline()
            if not line:
                raise BrowserError("the browser is gone, at %s %s" % (call, args))
            answer = json.loads(line)
            if "error" in answer:
                raise BrowserError(answer["error"])
            return answer["value"]
        return ask

    def look(self, scheme="light", size="wide", token=None):
        """A new window, which keeps nothing of the one before."""
        self.open(scheme, *SIZES[size], token)

    def end(self):
        self._node.stdin.close()
        try:
            self._node.wait(END_S)
        except subprocess.TimeoutExpired:
            self._node.kill()
            self._node.wait()
        self._node.stdout.close()
