"""A node's local socket: Prometheus text as a dict."""

import re
import socket

LINE = re.compile(r'^([a-z_]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="([^"]*)"')


def get(path, page, method="GET", timeout_s=10):
    """(status, body) of a page of the control socket."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout_s)
        s.connect(path)
        s.sendall(("%s %s HTTP/1.1\r\nHost: x\r\n\r\n" % (method, page)).encode())
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
