"""A POP3 server with mail in it, which does what no well-behaved one does."""

from .fakes import FakePop3, Hangup, Talk


def stuffed(data):
    """A message as it goes out (RFC 1939 3), without the last dot."""
    lines = data.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)


class DropTalk(Talk):
    shown = ()      # the session's snapshot
    read = ()


class FakeDrop(FakePop3):
    """
    mail      [(UIDL, bytes)] in the maildrop's order; may change between sessions
    sizes     {UIDL: what LIST says} where that is a lie
    window    so many messages are shown to a session, as Gmail does it: those that were read and QUIT on show no more
    cut       {UIDL: bytes of its answer after which the connection ends}
    commands  of all sessions, verbs only
    deletes   what was read goes at QUIT
    busy      {verb: -ERR line}, once each
    """

    talk = DropTalk

    def __init__(self, users, mail=()):
        self.mail, self.sizes, self.window, self.cut, self.busy = list(mail), {}, None, {}, {}
        self.deletes, self.popped = False, set()
        super().__init__(users)
        self.capa = [b"TOP", b"UIDL", b"RESP-CODES", b"PIPELINING", b"USER", b"SASL PLAIN"]

    @property
    def commands(self):
        return [line.split()[0].decode() for line in self.heard if line and line[:4].isupper()]

    def rule_for(self, verb):
        def rule(fake, talk, rest):
            if verb in fake.busy:
                talk.say(fake.busy.pop(verb) + b"\r\n")
            else:
                getattr(fake, "do_" + verb.lower())(talk, rest)
        return rule

    def be_busy(self, verb, line):
        self.busy[verb] = line
        self.rules[verb] = self.rule_for(verb)

    def finish(self, talk, how, user):
        left = [m for m in self.mail if m[0] not in self.popped]
        talk.shown, talk.read = left[:self.window], set()
        super().finish(talk, how, user)

    def size(self, message):
        return self.sizes.get(message[0], len(message[1]))

    def do_stat(self, talk, _):
        talk.say(b"+OK %d %d\r\n" % (len(talk.shown), sum(map(self.size, talk.shown))))

    def say_lines(self, talk, rows):
        talk.say(b"+OK\r\n" + b"".join(b"%d %s\r\n" % (i + 1, row) for i, row in enumerate(rows)) + b".\r\n")

    def do_list(self, talk, _):
        self.say_lines(talk, [b"%d" % self.size(m) for m in talk.shown])

    def do_uidl(self, talk, _):
        if self.capa is not None and b"UIDL" not in self.capa:
            talk.say(b"-ERR what is that\r\n")
        else:
            self.say_lines(talk, [m[0] for m in talk.shown])

    def do_top(self, talk, rest):
        if self.capa is None or b"TOP" not in self.capa:
            talk.say(b"-ERR what is that\r\n")
            return
        number, count = (int(n) for n in rest.split())
        head, end, body = talk.shown[number - 1][1].partition(b"\r\n\r\n")
        talk.say(b"+OK\r\n" + stuffed(head + end + b"".join(body.splitlines(True)[:count])) + b".\r\n")

    def do_retr(self, talk, rest):
        uidl, data = talk.shown[int(rest) - 1]
        answer = b"+OK\r\n" + stuffed(data) + (b"" if data.endswith(b"\r\n") or not data else b"\r\n") + b".\r\n"
        if uidl in self.cut:
            talk.say(answer[:self.cut[uidl]])
            raise Hangup
        talk.read.add(uidl)
        talk.say(answer)

    def do_quit(self, talk, rest):
        if self.window:
            self.popped |= talk.read
        if self.deletes:
            self.mail = [m for m in self.mail if m[0] not in talk.read]
        super().do_quit(talk, rest)
