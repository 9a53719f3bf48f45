"""NSD: a real authoritative name server with the zones of a test, on an address and port of its own."""

import os
import signal
import socket
import struct
import subprocess

from . import processes

SETTINGS = """server:
    ip-address: %(address)s@%(port)d
    username: ""
    server-count: 1
    zonesdir: "%(folder)s"
    database: ""
    pidfile: "%(folder)s/pid"
    zonelistfile: "%(folder)s/zone.list"
    xfrdfile: "%(folder)s/xfrd.state"
    xfrdir: "%(folder)s"
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
remote-control:
    control-enable: no
"""
SOA = "$ORIGIN %(zone)s.\n$TTL %(ttl)d\n@ IN SOA ns1.%(zone)s. root.%(zone)s. %(serial)d 3600 600 86400 60\n"


def free_port(addresses):
    """One that is free by UDP and TCP on all of the addresses."""
    while True:
        port = processes.free_ports(1)[0]
        held = []
        try:
            for address in addresses:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    held.append(socket.socket(socket.AF_INET, kind))
                    held[-1].bind((address, port))
            return port
        except OSError:
            continue
        finally:
            for s in held:
                s.close()


class NameServer:
    """zones: {name: lines of a zone file}; its SOA comes from here."""

    def __init__(self, folder, address, port, zones):
        self.folder, self.address, self.port = folder, address, port
        os.makedirs(folder, exist_ok=True)
        self._serials = {}
        self._process = None
        with open(os.path.join(folder, "nsd.conf"), "w") as f:
            f.write(SETTINGS % vars(self))
            for zone in zones:
                f.write('zone:\n    name: "%s"\n    zonefile: "%s.zone"\n' % (zone, zone))
        for zone, lines in zones.items():
            self._write(zone, lines)

    def _write(self, zone, lines, serial=None, ttl=300):
        self._serials[zone] = serial or self._serials.get(zone, 0) + 1
        with open(os.path.join(self.folder, zone + ".zone"), "w") as f:
            f.write(SOA % {"zone": zone, "ttl": ttl, "serial": self._serials[zone]})
            f.write("\n".join(lines) + "\n")

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self._process = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", os.path.join(self.folder, "nsd.conf")],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             start_new_session=True, **processes.tie())
        for zone in self._serials:
            self._await(zone)
        return self

    def change(self, zone, lines, **kw):
        """Returns when it serves the new ones."""
        self._write(zone, lines, **kw)
        processes.send(self._process.pid, signal.SIGHUP)
        self._await(zone)

    def _await(self, zone):
        try:
            processes.wait_until(lambda: self.serial(zone) == self._serials[zone], 30, "nsd to serve " + zone)
        except TimeoutError as e:
            with open(os.path.join(self.folder, "log"), errors="replace") as f:
                raise TimeoutError("%s\n%s" % (e, f.read())) from None

    def serial(self, zone):
        """None while it does not answer."""
        name = b"".join(bytes([len(label)]) + label.encode() for label in zone.split(".")) + b"\0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            try:
                s.sendto(struct.pack(">6H", 7, 0, 1, 0, 0, 0) + name + struct.pack(">HH", 6, 1),
                         (self.address, self.port))
                answer = s.recv(4096)
            except OSError:
                return None
        if struct.unpack(">H", answer[6:8])[0] != 1:
            return None
        # nothing follows the SOA's five numbers but what the name servers' addresses take
        at = answer.index(b"\0\0\x0e\x10")   # the refresh of 3600 s
        return struct.unpack(">I", answer[at - 4:at])[0]

    def stop(self):
        if self._process:
            processes.end(self._process.pid, 5)
            self._process.wait()
            self._process = None
