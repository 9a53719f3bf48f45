"""
An independent reader: asks a server for everything it has of a user, and compares two such answers.

It knows nothing of mailferry: imaplib, straight to the server, every byte hashed.
"""

import collections
import dataclasses
import hashlib
import imaplib
import re
import time

imaplib._MAXLINE = 10_000_000

LIST = re.compile(rb'\((?P<attributes>[^)]*)\) (?:"(?P<separator>.)"|NIL) (?P<name>.*)$', re.S)
FETCH = re.compile(rb"UID (?P<uid>\d+)")
FLAGS = re.compile(rb"FLAGS \((?P<flags>[^)]*)\)")
STAMP = re.compile(rb"^X-Stamp: *(\S+)", re.M | re.I)


@dataclasses.dataclass(frozen=True)
class Message:
    uid: int
    flags: frozenset
    date: int       # INTERNALDATE, seconds since 1970
    sha256: str
    size: int
    stamp: str      # its X-Stamp header, or ""


@dataclasses.dataclass
class Folder:
    name: tuple     # path, without the namespace prefix: ("INBOX",), ("Archive", "2024")
    wire_name: bytes
    subscribed: bool
    uidvalidity: int
    messages: list


def connect(server, user, password=None, context=None):
    """Logged in straight at a lib.server.Server: as the user, or by its first master user. context None: in clear."""
    if context:
        client = imaplib.IMAP4_SSL(server.address, server.ports["imaps"], ssl_context=context, timeout=60)
    else:
        client = imaplib.IMAP4(server.address, server.ports["imap"], timeout=60)
    if password is None and server.masters:
        master, secret = next(iter(server.masters.items()))
        client.authenticate("PLAIN", lambda _: ("%s\0%s\0%s" % (user, master, secret)).encode())
    else:
        client.login(user, password or server.users[user])
    return client


def list_lines(lines):
    """(attributes, separator, name) of each LIST or LSUB line; imaplib gives literals as tuples."""
    for line in lines:
        if line is None:
            continue
        if isinstance(line, tuple):
            found = LIST.match(line[0][:line[0].rindex(b"{")] + b"x")
            name = line[1]
        else:
            found = LIST.match(line)
            if not found:
                continue
            name = found.group("name")
            if name.startswith(b'"'):
                name = name[1:-1].replace(b'\\"', b'"').replace(b"\\\\", b"\\")
        yield found.group("attributes"), found.group("separator"), name


def _path(name, separator, prefix):
    if name.upper() == b"INBOX":
        return ("INBOX",)
    if prefix and name.startswith(prefix):
        name = name[len(prefix):]
    return tuple(p.decode("ascii") for p in (name.split(separator) if separator else [name]))


def quote(name):
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _messages(client):
    kind, data = client.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")
    if kind != "OK":
        raise RuntimeError("FETCH: %s %r" % (kind, data))
    found = []
    for i, part in enumerate(data):
        if not isinstance(part, tuple):
            continue
        head, body = part
        tail = data[i + 1] if i + 1 < len(data) and isinstance(data[i + 1], bytes) else b""
        about = head + b" " + tail
        stamp = STAMP.search(body[:4096])
        flags = {f.decode().lower() for f in FLAGS.search(about).group("flags").split()}
        found.append(Message(
            uid=int(FETCH.search(about).group("uid")), flags=frozenset(flags - {"\\recent"}),
            date=int(time.mktime(imaplib.Internaldate2tuple(about))), sha256=hashlib.sha256(body).hexdigest(), size=len(body),
            stamp=stamp.group(1).decode() if stamp else ""))
    return found


def read(server, user, context, password=None):
    """{path: Folder} of everything the user has on that server."""
    client = connect(server, user, password, context)
    try:
        _, data = client.namespace()
        prefix = re.match(rb'\(\("([^"]*)"', data[0] or b"")
        prefix = prefix.group(1) if prefix else b""
        # Courier also lists the parents of subscribed folders, as \\Noselect.
        subscribed = {name for attributes, _, name in list_lines(client.lsub()[1])
                      if b"\\noselect" not in attributes.lower()}
        folders = {}
        for attributes, separator, name in list_lines(client.list()[1]):
            if re.search(rb"\\(Noselect|NonExistent)", attributes, re.I):
                continue
            kind, data = client.select(quote(name).decode("ascii"), readonly=True)
            if kind != "OK":
                raise RuntimeError("SELECT %r: %r" % (name, data))
            path = _path(name, separator, prefix)
            messages = _messages(client) if int(data[0]) else []
            folders[path] = Folder(path, name, name in subscribed,
                                   int(client.response("UIDVALIDITY")[1][0]), messages)
        return folders
    finally:
        try:
            client.logout()
        except (imaplib.IMAP4.error, OSError):
            pass


@dataclasses.dataclass
class Difference:
    compared: int = 0       # messages found on both sides
    lost: list = dataclasses.field(default_factory=list)        # on old, not on new
    doubled: list = dataclasses.field(default_factory=list)     # more often on new than on old
    extra: list = dataclasses.field(default_factory=list)       # on new only
    flags: list = dataclasses.field(default_factory=list)
    dates: list = dataclasses.field(default_factory=list)
    folders: list = dataclasses.field(default_factory=list)     # on old, not on new
    subscriptions: list = dataclasses.field(default_factory=list)

    def __bool__(self):
        return any((self.lost, self.doubled, self.extra, self.flags, self.dates, self.folders,
                    self.subscriptions))

    def __str__(self):
        text = "%d compared" % self.compared
        for name in ("lost", "doubled", "extra", "flags", "dates", "folders", "subscriptions"):
            values = getattr(self, name)
            if values:
                text += "; %s %d: %s" % (name, len(values), values[:5])
        return text


def compare(old, new):
    """Two answers of read(), folder by folder, messages as multisets of their bytes."""
    d = Difference()
    for path, folder in old.items():
        if path not in new:
            d.folders.append(path)
            d.lost += [(path, m.stamp or m.uid) for m in folder.messages]
            continue
        if folder.subscribed != new[path].subscribed:
            d.subscriptions.append(path)
        _compare_folder(path, folder.messages, new[path].messages, d)
    for path, folder in new.items():
        if path not in old:
            d.extra += [(path, m.stamp or m.uid) for m in folder.messages]
    return d


def _by_bytes(messages):
    groups = collections.defaultdict(list)
    for m in messages:
        groups[m.sha256].append(m)
    return groups


def _compare_folder(path, old, new, d):
    ours, theirs = _by_bytes(old), _by_bytes(new)
    for digest, group in ours.items():
        others = theirs.get(digest, [])
        name = (path, group[0].stamp or group[0].uid)
        d.compared += min(len(group), len(others))
        d.lost += [name] * (len(group) - len(others))
        d.doubled += [name] * (len(others) - len(group))
        if len(group) == len(others):
            for what, differing in (("flags", d.flags), ("date", d.dates)):
                mine = collections.Counter(getattr(m, what) for m in group)
                got = collections.Counter(getattr(m, what) for m in others)
                differing += [(name, list(mine - got), list(got - mine))] * sum((mine - got).values())
    for digest, group in theirs.items():
        if digest not in ours:
            d.extra += [(path, m.stamp or m.uid) for m in group]
