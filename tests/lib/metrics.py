"""The local socket of a node or of the engine: Prometheus text as a dict."""

import os
import re
import socket

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROMTOOL = os.path.join(ROOT, "build", "servers", "prometheus", "usr", "bin", "promtool")

LINE = re.compile(r'^([a-z_]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="([^"]*)"')


def get(path, page, method="GET", timeout_s=30):
    """(status, body) of a page of the control socket."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout_s)
        s.connect(path)
        s.sendall(("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % (method, page)).encode())
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    assert method == "HEAD" or int(length.group(1)) == len(body)
    return int(head.split()[1]), body.decode()


def parse(text):
    """{(name, ((label, value), ...)): number}, labels sorted."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = LINE.match(line).groups()
        found[name, tuple(sorted(LABEL.findall(labels or "")))] = float(value)
    return found


def lint(text):
    """What is wrong with the form of the text: a list of sentences."""
    trouble, types, helped, last = [], {}, set(), {}
    if not text.endswith("\n"):
        trouble.append("the last line has no end")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, words = line.split(" ", 3)[2:]
            helped.add(name)
            if not words.endswith("."):
                trouble.append("%s: the help is no sentence" % name)
        elif line.startswith("# TYPE "):
            name, kind = line.split(" ")[2:]
            if name in types or name not in helped:
                trouble.append("%s: twice, or without help before" % name)
            if (kind == "counter") != name.endswith("_total"):
                trouble.append("%s: counters, and they alone, end in _total" % name)
            types[name] = kind
        elif not LINE.match(line):
            trouble.append("no sample: %s" % line)
        else:
            trouble += _lint_sample(line, types, last)
    return trouble


def _lint_sample(line, types, last):
    name, labels, value = LINE.match(line).groups()
    family = name if name in types else re.sub("_(bucket|sum|count)$", "", name)
    if family not in types or (name != family) != (types[family] == "histogram"):
        return ["%s: of no known type" % line]
    if not name.endswith("_bucket"):
        return []
    series = name, re.sub(',?le="[^"]*"', "", labels)
    sinks = 'le="+Inf"' not in last.get(series, 'le="+Inf"') and float(value) < float(last[series].split()[-1])
    last[series] = line
    return ["%s: less than in the bucket before" % line] if sinks else []


class Metrics:
    """Sums over the nodes' sockets."""

    def __init__(self, paths):
        self.series = {}
        for path in paths:
            status, text = get(path, "/metrics")
            assert status == 200
            for key, value in parse(text).items():
                self.series[key] = self.series.get(key, 0) + value

    def get(self, name, **labels):
        """The sum of all series of that name with these labels."""
        wanted = set(labels.items())
        found = [v for (n, have), v in self.series.items() if n == name and wanted <= set(have)]
        assert found, "no series %s %s" % (name, labels)
        return sum(found)


def rows(text):
    """The table of docs/metrics.md for a page: {name: row}."""
    found = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.M))
    labels = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, have, _ = LINE.match(line).groups()
            name = name if name in found else re.sub("_(bucket|sum|count)$", "", name)
            labels.setdefault(name, [k for k, _ in LABEL.findall(have or "") if k != "le"])
    return {name: "| `%s` | %s | %s | %s |" % (name, kind, ", ".join(labels[name]), found[name])
            for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M)}
