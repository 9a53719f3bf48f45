"""
Mailboxes as people have them, written straight into a Maildir: the same each time for the same seed.

Sizes are lognormal: median 15 KB, a tail to 5 MB, 42 KB on average. Among the messages are some without Message-ID, a few
twins, keywords, 8-bit text, attachments in base64, and some marked \\Deleted.
"""

import base64
import math
import os
import random
import time

MEDIAN, MEAN, MOST = 15_000, 42_000, 5_000_000
FOLDERS = ["INBOX", "Sent", "Drafts", "Trash", "Junk", "Archive", "Archive/2021", "Archive/2022", "Archive/2023",
           "Archive/2024", "Archive/2025", "Lists", "Lists/board", "Lists/dev", "Projects", "Projects/harbour",
           "Projects/Gr&APw-n", "Family", "Receipts", "Travel plans"]
SHARE = [24, 12, 1, 4, 3, 5, 6, 6, 6, 6, 5, 1, 4, 6, 1, 3, 2, 2, 2, 1]  # of each folder, in percent
KEYWORDS = ["$Forwarded", "$Label1", "work"]
WORDS = ("the a of to and mail harbour ferry grey quiet morning report number please find attached regards meeting "
         "tomorrow invoice river schedule plan answer question thanks list file draft new old server").split()
NOISE = 1 << 20


class Maker:
    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.noise = base64.encodebytes(self.random.randbytes(NOISE))
        self.sigma = math.sqrt(2 * math.log(MEAN / MEDIAN))
        self.now = int(time.time())
        self.made = 0

    def message(self, size=None):
        """Bytes with LF line ends, as Dovecot stores them."""
        r = self.random
        self.made += 1
        size = size or min(MOST, max(600, int(r.lognormvariate(math.log(MEDIAN), self.sigma))))
        date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(self.now - r.randrange(10 ** 8)))
        head = ["Return-Path: <sender%d@example.org>" % r.randrange(500)]
        head += ["Received: from relay%d.example.net (relay.example.net [192.0.2.%d])\n\tby mx.example.com with ESMTPS id %x;\n\t%s"
                 % (i, r.randrange(255), r.getrandbits(60), date) for i in range(r.randrange(1, 5))]
        head += ["From: Sender %d <sender%d@example.org>" % (self.made % 500, self.made % 500), "To: anna@example.com",
                 "Subject: " + " ".join(r.choices(WORDS, k=6)), "Date: " + date]
        if r.random() > 0.002:
            head.append("Message-ID: <%x.%d@example.org>" % (r.getrandbits(80), self.made))
        if size < 8000:
            body = "Content-Type: text/plain; charset=utf-8\n\nGrüße,\n".encode()
            while len(body) < size - 500:
                body += (" ".join(r.choices(WORDS, k=11)) + "\n").encode()
        else:
            at = 77 * r.randrange(len(self.noise) // 77)
            rest = self.noise[at:] + self.noise * (size // NOISE + 1)
            body = (b"MIME-Version: 1.0\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n" +
                    rest[:size - 700])
        return "\n".join(head).encode() + b"\n" + body.rstrip(b"\n") + b"\n"

    def flags(self):
        r = self.random
        text = "".join(letter for letter, p in (("F", 0.05), ("R", 0.2), ("S", 0.85), ("T", 0.003)) if r.random() < p)
        return text + "".join(letter for letter, p in (("a", 0.03), ("b", 0.05), ("c", 0.02)) if r.random() < p)

    def fill(self, home, count):
        """A Maildir with that many messages in FOLDERS, below home. Returns the bytes."""
        total = 0
        for name, share in zip(FOLDERS, SHARE):
            path = os.path.join(home, "Maildir")
            if name != "INBOX":
                path = os.path.join(path, "." + name.replace("/", "."))
            for sub in ("cur", "new", "tmp"):
                os.makedirs(os.path.join(path, sub))
            if name != "INBOX":
                open(os.path.join(path, "maildirfolder"), "w").close()
            with open(os.path.join(path, "dovecot-keywords"), "w") as f:
                f.writelines("%d %s\n" % pair for pair in enumerate(KEYWORDS))
            last = None
            for i in range(max(1, count * share // 100)):
                last = last if last and self.random.random() < 0.001 else self.message()
                total += len(last)
                self._store(path, i, last)
        with open(os.path.join(home, "Maildir", "subscriptions"), "w") as f:
            f.writelines(n.replace("/", ".") + "\n" for n in FOLDERS if n != "Junk")
        return total

    def _store(self, path, i, data):
        at = self.now - 10 ** 8 + 1000 * i + self.random.randrange(1000)
        name = "%d.M%06dP1.bench,S=%d,W=%d:2,%s" % (at, i, len(data), len(data) + data.count(b"\n"), self.flags())
        file = os.path.join(path, "cur", name)
        with open(file, "wb") as f:
            f.write(data)
        os.utime(file, (at, at))


def link_copy(source, target):
    """A second mailbox of the same messages: its files are links."""
    for path, _, files in os.walk(source):
        there = os.path.join(target, os.path.relpath(path, source))
        os.makedirs(there, exist_ok=True)
        for name in files:
            if name.startswith("dovecot") and name != "dovecot-keywords":
                continue  # indexes are each mailbox's own
            if os.path.basename(path) == "cur":
                os.link(os.path.join(path, name), os.path.join(there, name))
            else:
                with open(os.path.join(path, name), "rb") as f, open(os.path.join(there, name), "wb") as g:
                    g.write(f.read())
