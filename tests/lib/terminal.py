"""A command at a terminal, and the person before it."""

import os
import pty
import select
import subprocess
import time


class Terminal:
    def __init__(self, command, env=None):
        self.master, slave = pty.openpty()
        self.seen = ""
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True)
        os.close(slave)

    def _read(self, deadline):
        """False: there is no more."""
        if not select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
            raise TimeoutError("so far: " + self.seen)
        try:
            part = os.read(self.master, 65536)
        except OSError:     # EIO: nobody has the other end any more
            return False
        self.seen += part.decode(errors="replace").replace("\r\n", "\n")
        return bool(part)

    def until(self, text, timeout_s=30):
        deadline = time.monotonic() + timeout_s
        while text not in self.seen:
            assert self._read(deadline), "ended without %r: %s" % (text, self.seen)

    def type(self, text):
        os.write(self.master, text.encode())

    def finish(self, timeout_s=60):
        """(exit status, all that was to be seen)"""
        deadline = time.monotonic() + timeout_s
        try:
            while self._read(deadline):
                pass
            return self.process.wait(10), self.seen
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            os.close(self.master)
