"""The copier alone: `mailferry-sync --worker` with one job on its standard input, between any two servers."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

from . import reader
from .mailferry import build_folder

KILLED = 99                     # exit status of a worker that MAILFERRY_STOP_AT_STEP stopped
TIMEOUT_S = 120


def job_of(user, journal, old, new, kind="pass", **changes):
    """A whole job; old and new as side_of() makes them."""
    job = {"kind": kind, "user": user, "journal": journal, "fence_s": 1, "connect_s": 10, "io_s": 30, "connections": 1,
           "message_max": 1 << 30, "delete_brake": 50, "delete_brake_percent": 5, "old": old, "new": new,
           "from": "old"}
    job.update(changes)
    return job


def side_of(server, ca, login, password, port=None):
    """port: of a relay before it, if not its own; TLS goes through, the server's name is still checked."""
    return {"host": server.address, "port": port or server.ports["imaps"], "tls": "implicit",
            "proxy_protocol": "none", "tls_name": server.tls_name, "tls_ca_file": ca.cert, "tls_pin": None,
            "login": login, "authzid": None, "password": password}


def worker_command():
    return [os.path.join(build_folder(), "mailferry-sync"), "--worker"]


SINNED = 98     # 99 is a worker that a test stops at a step


def heard(env):
    """The environment, with sanitizers that report on stderr: a confined worker can open no file."""
    return {k: re.sub(r"log_path=[^:]*:?", "", v) + ":exitcode=%d" % SINNED if k.endswith("SAN_OPTIONS") else v
            for k, v in env.items()}


class Copier:
    """
    journal   its path; the folder is the caller's
    sides     {"old": …, "new": …} as side_of() gives them; the caller may change them
    changes   to every job: fence_s=0 …
    env       added to every worker's environment
    popen     to every worker's Popen(): pass_fds=…
    """

    def __init__(self, old, new, ca, user, password, folder, **changes):
        self.old, self.new, self.ca, self.user, self.password = old, new, ca, user, password
        self.journal = os.path.join(folder, user + ".journal")
        self.sides = {name: side_of(server, ca, user, password) for name, server in (("old", old), ("new", new))}
        self.changes, self.env, self.popen = changes, {}, {}

    def job(self, kind="pass", **changes):
        return job_of(self.user, self.journal, kind=kind, **{**self.sides, **self.changes, **changes})

    def start(self, kind="pass", env=None, go=True, **changes):
        """A worker with its job, running; the caller waits for it or kills it. go: a last delta may begin."""
        p = subprocess.Popen(worker_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, env=heard(dict(os.environ, **self.env, **(env or {}))), **self.popen)
        p.stdin.write(json.dumps(self.job(kind, **changes)) + "\n" + ("go\n" if kind == "final" and go else ""))
        p.stdin.flush()
        return p

    @staticmethod
    def finish(worker, timeout_s=TIMEOUT_S):
        """(exit status, result event or None)"""
        try:
            out, said = worker.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.communicate()
            raise
        assert "Sanitizer" not in said and "runtime error" not in said and worker.returncode != SINNED, said
        events = [json.loads(line) for line in out.splitlines() if line.endswith("}")]
        results = [e for e in events if e["event"] == "result"]
        return worker.returncode, results[-1] if results else None

    def run(self, kind="pass", stop_at=0, env=None, **changes):
        code, result = self.finish(self.start(kind, dict(env or {}, MAILFERRY_STOP_AT_STEP=str(stop_at)), **changes))
        if code == KILLED and self.changes.get("fence_s") == 0:
            self.hear_the_dead()
        return code, result

    def hear_the_dead(self):
        """Without a fence: what a dead worker has sent to a fake is there now, or never."""
        for server in (self.old, self.new):
            if server.kind == "fake":
                server.wait_alone()

    def run_and_kill(self, after_s, kind="pass", **changes):
        """SIGKILL after that time; True if it was still at work."""
        worker = self.start(kind, **changes)
        try:
            worker.wait(after_s)
        except subprocess.TimeoutExpired:
            worker.send_signal(signal.SIGKILL)
        code, _ = self.finish(worker)
        return code == -signal.SIGKILL

    def until_clean(self, passes=4, **changes):
        for _ in range(passes):
            code, result = self.run(**changes)
            assert code == 0 and result["ok"], (code, result)
            if result["clean"]:
                return result
        raise AssertionError("not clean after %d passes: %s" % (passes, result["text"]))

    def forget(self):
        for end in ("", "-wal", "-shm"):
            if os.path.exists(self.journal + end):
                os.unlink(self.journal + end)

    def journal_copy(self):
        """A folder with a copy of the journal, for looking at it or for putting it back; the caller removes it."""
        folder = tempfile.mkdtemp(dir=os.path.dirname(self.journal))
        for end in ("", "-wal"):
            if os.path.exists(self.journal + end):
                shutil.copy(self.journal + end, folder)
        return folder

    def put_back(self, folder):
        """The journal is again what journal_copy() saw."""
        self.forget()
        for name in os.listdir(folder):
            shutil.copy(os.path.join(folder, name), os.path.dirname(self.journal))

    def difference(self, context):
        return reader.compare(reader.read(self.old, self.user, context, self.password),
                              reader.read(self.new, self.user, context, self.password))
