"""A name server that answers as no honest one does. What it does depends on the first label of the zone asked for."""

import socket
import struct
import threading

MX, A, CNAME = 15, 1, 5
QR_AA, TC = 0x8400, 0x0200
REFUSED, SERVFAIL = 5, 2


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def record(owner, kind, data, ttl=300):
    return owner + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def message(ident, question, answers=(), flags=QR_AA):
    return struct.pack(">6H", ident, flags, 1, len(answers), 0, 0) + question + b"".join(answers)


def many(ident, question):
    return message(ident, question, [record(b"\xc0\x0c", MX, struct.pack(">H", i) + name("mx%d.evil.test" % i))
                                     for i in range(1000)])


def loop(ident, question):
    """A pointer at itself."""
    at = 12 + len(question) + 2 + 10 + 2
    return message(ident, question, [record(b"\xc0\x0c", MX, b"\0\x0a" + struct.pack(">H", 0xc000 | at))])


def circle(ident, question):
    one, other = name("one.evil.test"), name("other.evil.test")
    return message(ident, question, [record(b"\xc0\x0c", CNAME, one), record(one, CNAME, other),
                                     record(other, CNAME, one)])


UDP = {
    "wrongid": lambda i, q: message(i ^ 1, q),
    "otherquestion": lambda i, q: message(i, name("mail.example.com") + q[-4:]),
    "many": lambda i, q: message(i, q, flags=QR_AA | TC),
    "stall": lambda i, q: message(i, q, flags=QR_AA | TC),
    "big": lambda i, q: message(i, q, flags=QR_AA | TC),
    "loop": loop,
    "circle": circle,
    "cut": lambda i, q: message(i, q, [record(b"\xc0\x0c", MX, b"\0\x0a" + name("mx.evil.test"))])[:-4],
    "refused": lambda i, q: message(i, q, flags=0x8000 | REFUSED),
    "servfail": lambda i, q: message(i, q, flags=0x8000 | SERVFAIL),
    "lame": lambda i, q: message(i, q, flags=0x8000),
    "silent": lambda i, q: None,
}
TCP = {"many": many, "big": lambda i, q: message(i, q) + b"\xff" * 65000}
ZONES = [kind + ".test" for kind in UDP]


class FakeNameServer:
    def __init__(self, address, port):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, port))
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((address, port))
        self.tcp.listen(64)
        self._held = []
        for run in (self._by_udp, self._by_tcp):
            threading.Thread(target=run, daemon=True).start()

    @staticmethod
    def _answer(how, query):
        ident = struct.unpack(">H", query[:2])[0]
        end = query.index(b"\0", 12)
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        make = how.get(labels[-2])
        return make and make(ident, query[12:end + 5])

    def _by_udp(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            if not query:       # what a shutdown looks like
                return
            answer = self._answer(UDP, query)
            if answer:
                self.udp.sendto(answer, peer)

    def _by_tcp(self):
        while True:
            try:
                client, _ = self.tcp.accept()
            except OSError:
                return
            self._held.append(client)
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client):
        stream = client.makefile("rb")
        try:
            while True:
                size = stream.read(2)
                if len(size) < 2:
                    return
                answer = self._answer(TCP, stream.read(struct.unpack(">H", size)[0]))
                if answer:
                    client.sendall(struct.pack(">H", len(answer)) + answer)
        except OSError:
            pass

    def stop(self):
        for s in [self.udp, self.tcp] + self._held:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
