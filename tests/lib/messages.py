"""
Messages that break mail programs, each with a name and the number of its case in the list of nasty cases.

Made, never random. CORPUS is what a copier must bring over byte for byte.
"""

import dataclasses
import re

HEAD = b"From: anna@example.com\r\nSubject: %s\r\nX-Stamp: %s\r\n"


@dataclasses.dataclass(frozen=True)
class Odd:
    name: str
    case: int
    data: bytes


def sound(name, body=b"hello\r\n", more=b""):
    return HEAD % (name.encode(), name.encode()) + more + b"\r\n" + body


def of_size(name, size):
    """A message of exactly so many bytes."""
    head = sound(name, b"")
    line = b"0123456789" * 7 + b"\r\n"
    body = (line * (size // len(line) + 1))[:size - len(head) - 2] + b"\r\n"
    return head + body


LARGE_LINE = 2 * 1024 * 1024
EDGES = (4095, 4096, 4097, 100 * 1024 - 1, 100 * 1024, 100 * 1024 + 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1)

CORPUS = [
    Odd("no message-id", 18, sound("no-id")),
    Odd("same id, one body", 19, sound("same-id", b"one\r\n", b"Message-ID: <same@x>\r\nReceived: from a\r\n")),
    Odd("same id, other body", 19, sound("same-id", b"two\r\n", b"Message-ID: <same@x>\r\nReceived: from a\r\n")),
    Odd("twin", 20, sound("twin")),
    Odd("twin", 20, sound("twin")),
    Odd("twin", 20, sound("twin")),
    Odd("NUL in the header", 22, sound("nul-header", more=b"X-Nul: a\0b\r\n")),
    Odd("NUL in the body", 22, sound("nul-body", b"a\0\0b\r\n\0\r\n")),
    Odd("bare LF", 23, sound("bare-lf", b"one\ntwo\n\nthree\r\n")),
    Odd("bare LF everywhere", 23, sound("lf-only").replace(b"\r\n", b"\n")),
    Odd("bare CR", 23, sound("bare-cr", b"one\rtwo\r\r\nthree\r\n")),
    Odd("CR CR LF", 23, sound("cr-cr-lf", b"one\r\r\ntwo\r\r\n")),
    Odd("no final newline", 23, sound("no-end", b"the end")),
    Odd("8-bit header", 24, sound("eight-bit", more="X-Name: Jürgen Müßig\r\n".encode() + b"X-Latin: J\xfcrgen\r\n")),
    Odd("header name with blanks", 24, sound("bad-name", more=b"X Bad Name: x\r\n")),
    Odd("header without colon", 24, sound("no-colon", more=b"this is no field\r\nTo: x@example.com\r\n")),
    Odd("blank continuation", 24, sound("blank-folded", more=b"X-Folded: a\r\n \t\r\n b\r\n")),
    Odd("From line first", 24, b"From anna@example.com Tue Mar  5 10:11:12 2024\r\n" + sound("from-line")),
    Odd("header only, no empty line", 25, HEAD % (b"header-only", b"header-only")),
    Odd("header and empty line only", 25, sound("no-body", b"")),
    Odd("body only", 25, b"\r\nthere is no header here\r\n"),
    Odd("one byte", 25, b"x"),
    Odd("one line", 25, b"\r\n"),
    Odd("line of 2 MB", 26, sound("long-line", b"x" * LARGE_LINE + b"\r\n")),
    Odd("header of 100 KB", 27, sound("long-header", more=b"X-Long: " + b"word " * 20000 + b"\r\n")),
    Odd("50,000 Received lines", 27, b"".join(b"Received: from a%d.example.com\r\n" % i for i in range(50000)) +
        sound("received")),
    Odd("IMAP in the body", 30, sound("imap", b")\r\nA12 OK FETCH completed\r\n* BYE\r\n{3}\r\nabc\r\n")),
    Odd("dot lines", 30, sound("dots", b".\r\n..\r\n...\r\n.x\r\n")),
] + [Odd("%d bytes" % n, 28, of_size("size-%d" % n, n)) for n in EDGES]

EMPTY = Odd("zero bytes", 25, b"")


def canonical(data):
    """What survives servers that tidy line ends and NULs: an own reckoning, to check the copier's by."""
    data = re.sub(rb"\r*\n|\r", b"\n", data.replace(b"\0", b"\x80"))
    return data.rstrip(b"\n") + b"\n"
