#!/usr/bin/python3
"""
What a session costs a proxy: ours and its peers, side by side, in one run.

    bench.py --build DIR [--quick] [--rounds N] [--cells WORD,…] [--peers WORD,…] [--write FILE]

One worker on one core; the load generator and two backends that do nothing on another. Rounds are interleaved, medians
count. Compared is the CPU that all processes of the proxy take for a unit of work (by the scheduler's count), and
the memory that an idle session adds (PSS). --cells and --peers choose rows and columns by a part of their names.
"""

import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)
import peers  # noqa: E402
from lib import ca, processes  # noqa: E402
from peers import Way  # noqa: E402
from report import chosen_of, machine, show, version, write_into  # noqa: E402

GENERATOR_TIMEOUT_S = 120
WARM_IDLERS = 100
MARK = "results: written by make bench-proxy"


class Load:
    """A running load generator."""

    def __init__(self, bench, mode, port, way, **options):
        command = ["taskset", "-c", bench.load_cores, bench.program("load"), mode, "--to", str(port)]
        if way.front:
            command += ["--tls"]
        for name, value in options.items():
            if value is not False:
                command += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read("ready")

    def read(self, what=None):
        watchdog = threading.Timer(GENERATOR_TIMEOUT_S, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline().strip()
        watchdog.cancel()
        if not line or (what and line != what):
            self.end()
            raise RuntimeError("the load generator said %r" % line)
        return line

    def ask(self):
        """Its measured phase; for idle sessions how they are. The report as a dict."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return json.loads(self.read())

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Bench:
    """Certificates and two backend processes, shared by all runs."""
    users = 10000  # in our store

    def __init__(self, build, folder):
        self.build, self.folder = os.path.abspath(build), folder
        cores = sorted(os.sched_getaffinity(0))
        self.load_cores, self.proxy_core = str(cores[0]), str(cores[-1])
        self.all_cores = ",".join(str(c) for c in cores[:2])
        os.chmod(folder, 0o755)
        authority = ca.CA(os.path.join(folder, "ca"))
        self.ca = authority.cert
        self.certificates = {"ecdsa": authority.issue("localhost"), "rsa": self._rsa()}
        self.plain_port, self.tls_port, self.auth_port = processes.free_ports(3)
        self.backends = []

    def _rsa(self):
        pem, key = os.path.join(self.folder, "rsa.pem"), os.path.join(self.folder, "rsa.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj",
                        "/CN=localhost", "-keyout", key, "-out", pem], check=True, capture_output=True)
        return pem, key

    def program(self, name):
        return os.path.join(self.build, "tests/bench", name)

    def tool(self, *command):
        done = subprocess.run([self.program(command[0]), *command[1:]], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError("%s: %s" % (" ".join(command), done.stderr))
        return json.loads(done.stdout) if done.stdout else None

    def __enter__(self):
        certificate, key = self.certificates["ecdsa"]
        for _ in range(2):
            p = subprocess.Popen(["taskset", "-c", self.load_cores, self.program("imapd"), "--plain",
                                  str(self.plain_port), "--tls", str(self.tls_port), "--auth",
                                  str(self.auth_port), "--certificate", certificate, "--key", key, "--tickets",
                                  self.folder],
                                 stdout=subprocess.PIPE, text=True)
            self.backends.append(p)
            if p.stdout.readline() != "up\n":
                raise RuntimeError("no backend")
        return self

    def __exit__(self, *_):
        for p in self.backends:
            p.kill()
            p.wait()
            p.stdout.close()


# ---- cells: a unit of work each

class Cell:
    def __init__(self, name, way, unit, bar=None, against=None, factor=1.0, only=None):
        """bar: a number; or against: a peer whose median times factor is the bar."""
        self.name, self.way, self.unit = name, way, unit
        self.bar, self.against, self.factor = bar, against, factor
        self.only = only

    def suits(self, peer):
        return self.way.text in peer.does and (not self.only or peer.name in self.only)

    def run(self, bench, peer, quick):
        proxy = peer(bench, self.way).start()
        try:
            return self.measure(bench, proxy, quick)
        finally:
            proxy.stop()


class Idle(Cell):
    def measure(self, bench, proxy, quick):
        count = 200 if quick else 2000
        warm = Load(bench, "idle", proxy.port, self.way, count=WARM_IDLERS, at_once=50)
        before = proxy.pss_kib()
        load = Load(bench, "idle", proxy.port, self.way, count=count, at_once=10)
        after = proxy.pss_kib()
        lost = count - load.ask()["open"]
        load.end()
        warm.end()
        if lost:
            raise RuntimeError("%d of %d sessions were lost" % (lost, count))
        return (after - before) / count


class Work(Cell):
    """CPU of the proxy per unit."""
    mode = None

    def size(self, proxy, quick):
        """(options of the generator, how many units that is)"""
        raise NotImplementedError

    def measure(self, bench, proxy, quick):
        options, units = self.size(proxy, quick)
        load = Load(bench, self.mode, proxy.port, self.way, **options)
        before = proxy.cpu_s()
        said = load.ask()
        took = proxy.cpu_s() - before
        load.end()
        if said["failed"] or (options.get("resume") and said["resumed"] < 0.9 * said["done"]):
            raise RuntimeError("the generator says %s" % said)
        return took / units


class Bulk(Work):
    mode = "fetch"

    def size(self, proxy, quick):
        mib = 64 if quick else 1024
        count = max(8, mib // 8 // (10 if proxy.slow else 1))
        return {"count": count, "at_once": 8, "kib": 8192}, count * 8192 * 1024 / 1e9


class Login(Work):
    mode = "login"

    def __init__(self, *args, resume=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.resume = resume

    def size(self, proxy, quick):
        count = 100 if quick else 1500
        return {"count": count, "at_once": 16 if quick else 64, "resume": self.resume}, count / 1000


class Noop(Work):
    mode = "noop"

    def size(self, proxy, quick):
        count = 2000 if quick else 40000
        return {"count": count, "at_once": 32}, count / 1e6


KIB, S_GB, S_LOGINS, US = "KiB/session", "CPU s/GB", "CPU s/1,000", "CPU µs"
CELLS = [
    Idle("idle session, TLS-TLS", Way("TLS-TLS"), KIB, bar=33),
    Idle("idle session, TLS-plain", Way("TLS-plain"), KIB, bar=16),
    Idle("idle session, plain-plain", Way("plain-plain"), KIB, bar=2),
    Bulk("bulk, TLS-TLS", Way("TLS-TLS"), S_GB, against="haproxy"),
    Bulk("bulk, TLS-plain", Way("TLS-plain"), S_GB, against="haproxy"),
    Bulk("bulk, plain-plain", Way("plain-plain"), S_GB, against="haproxy"),
    Login("login, plain-plain", Way("plain-plain"), S_LOGINS),
    Login("login, TLS-plain, ECDSA", Way("TLS-plain"), S_LOGINS, against="nginx mail", factor=0.9),
    Login("login, TLS-plain, RSA", Way("TLS-plain", "rsa"), S_LOGINS, against="nginx mail", factor=0.9),
    Login("login, TLS-TLS, resumed", Way("TLS-TLS", "rsa"), S_LOGINS, against="haproxy", resume=True),
    Noop("NOOP, 32 sessions, TLS-TLS", Way("TLS-TLS"), US, against="nginx stream"),
    Noop("NOOP, 32 sessions, TLS-plain", Way("TLS-plain"), US),
    Noop("NOOP, 32 sessions, plain-plain", Way("plain-plain"), US),
]


# ---- 20,000 sessions

def hold_many(bench, quick):
    """Rows of text: what was held, what it took, and a user moved meanwhile."""
    way, steps = Way("TLS-TLS"), (100, 100) if quick else (5000, 5000, 9950)
    load_cores, bench.load_cores = bench.load_cores, bench.all_cores
    proxy = peers.Nodes(bench, way, cores=bench.all_cores).start()
    loads, rows, held = [], [], 0
    try:
        base = proxy.pss_kib()
        for count in steps:
            loads.append(Load(bench, "idle", proxy.port, way, count=count, at_once=100))
            held += count
            rows.append("%d sessions: %.1f KiB each" % (held, (proxy.pss_kib() - base) / held))
        busy = Load(bench, "idle", proxy.port, way, count=50, at_once=50, user="busy@example.com")
        loads.append(busy)
        held += 50
        cpu = proxy.cpu_s()
        time.sleep(1 if quick else 10)
        rows.append("CPU of all nodes while idle: %.1f ms/s"
                    % ((proxy.cpu_s() - cpu) * 1000 / (1 if quick else 10)))
        at = proxy.move("busy@example.com")
        processes.wait_until(lambda: busy.ask()["open"] == 0, 15, "the BYEs")
        gone = busy.ask()
        lost = held - 50 - sum(load.ask()["open"] for load in loads)
        rows.append("a user with 50 of the sessions moved meanwhile: quiet on all nodes after %d ms, flip after %d ms, "
                    "%d heard BYE, the last %d ms after the flip, %d ms after the freeze"
                    % (at["quiet_ms"] - at["frozen_ms"], at["flipped_ms"] - at["frozen_ms"], gone["byes"],
                       gone["last_close_ms"] - at["flipped_ms"], gone["last_close_ms"] - at["frozen_ms"]))
        rows.insert(0, "%d sessions on %d nodes: %d lost" % (held, proxy.nodes, lost))
        return rows
    finally:
        for load in loads:
            load.end()
        proxy.stop()
        bench.load_cores = load_cores


# ---- the report

def bar_of(cell, medians):
    if cell.bar:
        return cell.bar, "≤ %g" % cell.bar
    if cell.against and cell.against in medians:
        bar = cell.factor * medians[cell.against]
        return bar, "≤ %s%s" % ("%g × " % cell.factor if cell.factor != 1 else "", cell.against)
    return None, ""


def table(cells, chosen, results):
    names = [p.name for p in chosen]
    rows = ["| | unit | bar | %s | |" % " | ".join(names), "|---|---|---|%s---|" % ("---|" * len(names))]
    for cell in cells:
        medians = {name: statistics.median(values) for name, values in results.get(cell.name, {}).items() if values}
        bar, words = bar_of(cell, medians)
        ours = medians.get("mailferry")
        columns = []
        for name in names:
            value = medians.get(name)
            ratio = " (%.2f)" % (ours / value) if ours and value and name != "mailferry" else ""
            columns.append(show(value) + ratio)
        verdict = "" if not bar or ours is None else "met" if ours <= bar else "**missed**: %.2f ×" % (ours / bar)
        rows.append("| %s | %s | %s | %s | %s |" % (cell.name, cell.unit, words, " | ".join(columns), verdict))
    return rows


def report(options, cells, chosen, results, held):
    lines = ["%s. %s." % (datetime.date.today().isoformat(), machine()),
             "Peers: %s." % ", ".join("%s %s" % (p.name, version(p.package)) for p in chosen if p.package),
             "Medians of %d rounds%s; in brackets ours divided by the peer's: below 1 we are cheaper."
             % (options.rounds, " (quick: these numbers mean little)" if options.quick else ""), ""]
    lines += table(cells, chosen, results)
    if held:
        lines += ["", "20,000 idle TLS-TLS sessions on 2 cores, 3 nodes:", ""]
        lines += ["- %s" % row for row in held]
    return "\n".join(lines)


# ---- a run

def run_rounds(bench, options, cells, chosen):
    results = {}
    for number in range(options.rounds):
        for cell in cells:
            for peer in chosen:
                if not cell.suits(peer):
                    continue
                try:
                    value = cell.run(bench, peer, options.quick)
                except (RuntimeError, OSError) as e:
                    print("%s, %s: %s" % (cell.name, peer.name, e), file=sys.stderr, flush=True)
                    continue
                results.setdefault(cell.name, {}).setdefault(peer.name, []).append(value)
                print("round %d  %-32s %-14s %8.3f %s" % (number + 1, cell.name, peer.name, value, cell.unit),
                      flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--quick", action="store_true", help="few seconds, one round")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--cells", help="parts of names, by commas; \"held\" is the 20,000 sessions")
    parser.add_argument("--peers")
    parser.add_argument("--write", metavar="FILE", help="put the table into FILE, between its marks")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    chosen, cells = chosen_of(peers.PEERS, options.peers), chosen_of(CELLS, options.cells)
    held = None

    folder = tempfile.mkdtemp(prefix="mailferry-bench-")
    try:
        with Bench(options.build, folder) as bench:
            if not options.cells or "held" in options.cells:
                held = hold_many(bench, options.quick)
                print("\n".join(held), flush=True)
            if options.cells != "held":
                results = run_rounds(bench, options, cells, chosen)
            else:
                results, cells = {}, []
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = report(options, cells, chosen, results, held)
    print("\n" + text)
    if options.write:
        write_into(options.write, MARK, text)
    complete = all(results.get(c.name, {}).get(p.name) for c in cells for p in chosen if c.suits(p))
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
