"""Messages for tests: made, never random, each with a stamp that no other has."""

import hashlib
import time

LINE = b"Grey harbours, slow ferries, and the mail arrives in one piece. 0123456789\r\n"


def message(stamp, size=600, subject=None, sender="anna@example.com", eight_bit=False):
    """RFC 5322 bytes with an X-Stamp header; about `size` bytes, exact for the same arguments."""
    subject = subject or "message " + stamp
    head = ("From: %s\r\nTo: someone@example.com\r\nSubject: %s\r\nMessage-ID: <%s@mailferry.test>\r\n"
            "X-Stamp: %s\r\nDate: Tue, 05 Mar 2024 10:11:12 +0100\r\nMIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
            % (sender, subject, stamp, stamp)).encode()
    body = b""
    if eight_bit:
        body = "Grüße aus Zürich, 東京 и Москва.\r\n".encode()
    rest = max(0, size - len(head) - len(body))
    body += LINE * (rest // len(LINE)) + b"." * (rest % len(LINE)) + b"\r\n"
    return head + body


def digest(data):
    return hashlib.sha256(data).hexdigest()


def imap_date(at):
    """INTERNALDATE text of a time, always in UTC."""
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    t = time.gmtime(at)
    return ("%2d-%s-%04d %02d:%02d:%02d +0000" % (t.tm_mday, months[t.tm_mon - 1], t.tm_year, t.tm_hour,
                                                  t.tm_min, t.tm_sec)).encode()
