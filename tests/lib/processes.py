"""Processes by pid: children, stop and go, waiting for an event with a deadline."""

import ctypes
import fcntl
import os
import select
import signal
import socket
import tempfile
import time


PORTS = range(20000, 32000)     # below those that the kernel hands out (net.ipv4.ip_local_port_range)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
_libc = ctypes.CDLL(None)   # loaded before any fork
tied = False    # see tie(); the tests' conftest sets it, the demo must outlive its command


def die_with_parent():
    """A preexec_fn: TERM for the child as soon as we are gone, however that came."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def tie():
    """For subprocess: where servers are tied to this process, they get TERM when it is killed."""
    return {"preexec_fn": die_with_parent} if tied else {}


def adopt_orphans():
    """What is left without a parent below us becomes our child instead of init's; see end_children()."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap(kept=()):
    """Buries the dead that we have adopted; those of `kept` are somebody's Popen. A server leaves thousands in an hour."""
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if dead is None or dead.si_pid in kept:
            return
        os.waitpid(dead.si_pid, 0)


def end_children():
    """Ends and reaps all below us, in whatever session, stopped or not."""
    reap()
    for pid in descendants(os.getpid()):
        if alive(pid):
            end(pid, 5)
    reap()


def wait_until(check, timeout_s=10.0, what="condition"):
    """Calls check() until it returns something true, which is returned. A poll, with a deadline; once more after it, as we may have slept."""
    deadline = time.monotonic() + timeout_s
    while True:
        late = time.monotonic() > deadline
        found = check()
        if found:
            return found
        if late:
            raise TimeoutError("%s: not within %.0f s" % (what, timeout_s))
        select.select([], [], [], 0.01)


def answers(address, port, greets=True):
    """Is somebody listening there (and, if it should, speaking first)?"""
    try:
        with socket.create_connection((address, port), timeout=2) as s:
            return bool(s.recv(1)) if greets else True
    except OSError:
        return False


def _is_free(port):
    with socket.socket() as s:
        try:
            s.bind(("", port))
        except OSError:
            return False
        return True


def free_ports(count):
    """Ports nobody listens on now; all runs on the machine get them in turn, so nobody is given them again for long."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(os.path.join(tempfile.gettempdir(), "mailferry-ports-%d" % os.geteuid()), flags, 0o600), "r+") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        turn = int(f.read() or 0)
        found = []
        for turn in range(turn, turn + len(PORTS)):
            if len(found) == count:
                break
            port = PORTS[turn % len(PORTS)]
            if _is_free(port):
                found.append(port)
        else:
            raise RuntimeError("no %d free ports in %s" % (count, PORTS))
        f.seek(0)
        f.truncate()
        f.write(str(turn % len(PORTS)))
    return found


def _stat(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None


def alive(pid):
    """Running or stopped; a zombie is dead."""
    fields = _stat(pid)
    return fields is not None and fields[0] not in "ZX"


def run_state(pid):
    """"R", "S", "T" …, as in proc(5); None when it is gone."""
    fields = _stat(pid)
    return fields and fields[0]


def command(pid):
    """Its argv; [] when it is gone."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return [a.decode("utf-8", "replace") for a in f.read().split(b"\0")[:-1]]
    except OSError:
        return []


def descendants(pid):
    """All pids below pid, parents first."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _stat(int(entry))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(0), [])
        found += below
        todo += below
    return found


def send(pid, sig):
    """Signals a pid; one that is gone already does not matter."""
    try:
        os.kill(pid, sig)
        return True
    except ProcessLookupError:
        return False


def stop_tree(pid):
    """SIGSTOP for pid and all below it, until nobody below runs. Returns the pids."""
    stopped = []
    while True:
        fresh = [p for p in [pid] + descendants(pid) if p not in stopped]
        if not fresh:
            return stopped
        for p in fresh:
            send(p, signal.SIGSTOP)
        stopped += fresh


def resume(pids):
    for p in reversed(pids):
        send(p, signal.SIGCONT)


def end(pid, timeout_s=10.0):
    """TERM, and KILL for what does not go, for pid and all below it; pid need not be our child."""
    tree = [pid] + descendants(pid)
    for p in tree:
        send(p, signal.SIGTERM)
    resume(tree)
    try:
        wait_until(lambda: not any(alive(p) for p in tree), timeout_s)
    except TimeoutError:
        for p in tree:
            send(p, signal.SIGKILL)
