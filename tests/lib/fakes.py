"""
Servers that do what no Dovecot does: no SASL-IR, a LOGIN that is disabled, a referral, an OAuth challenge.

Each connection is a thread; all of it can be changed while the server runs.
"""

import base64
import re
import socket
import threading

from . import processes

LITERAL = re.compile(rb"\{(\d+)(\+?)\}$")
CHALLENGE = base64.b64encode(b'{"status":"401","schemes":"bearer","scope":"mail"}')


class Hangup(Exception):
    """The fake ends this connection."""


class Talk:
    def __init__(self, fake, sock):
        self.fake, self.sock, self._file = fake, sock, sock.makefile("rb")
        self.secure = False

    def say(self, data):
        self.sock.sendall(data)

    def line(self):
        line = self._file.readline()
        if not line.endswith(b"\n"):        # the client has gone, perhaps within a line
            raise Hangup
        line = line.rstrip(b"\r\n")
        self.fake.heard.append(line)
        return line

    def read(self, n):
        return self._file.read(n)

    def start_tls(self):
        self._file.close()
        self.sock = self.fake.context.wrap_socket(self.sock, server_side=True)
        self._file = self.sock.makefile("rb")
        self.secure = True

    def close(self):
        try:
            self._file.close()
            self.sock.close()
        except OSError:
            pass


class Fake:
    """
    greeting   its first line
    context    an ssl.SSLContext for STARTTLS and STLS
    users      {login: password}; tokens {login: token}
    heard      every line that came, of all connections; probes of mailferry's among them
    logins     (how, login) of those that were let in
    talk       the class of its connections
    challenge  why a token is refused, in base64
    rules      {verb: bytes or function(fake, talk, tag, rest)} go before what it would do itself;
               bytes may hold %t for the tag
    """

    talk = Talk
    challenge = CHALLENGE

    def __init__(self, users=None, tokens=None, context=None):
        self.users, self.tokens, self.context = dict(users or {}), dict(tokens or {}), context
        self.heard, self.logins, self.rules = [], [], {}
        self.connections, self._live = 0, set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._socket,), daemon=True).start()

    def close(self):
        """Nobody can connect any more; connections stay."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            talk = self.talk(self, sock)
            self._live.add(talk)
            threading.Thread(target=self._serve, args=(talk,), daemon=True).start()

    def wait_alone(self):
        """Until whoever was connected has gone, and all that he said was heard."""
        processes.wait_until(lambda: not self._live, 30, "all connections to end")

    def _serve(self, talk):
        try:
            self.serve(talk)
        except (Hangup, OSError):
            pass
        talk.close()
        self._live.discard(talk)

    def probes(self):
        """How often it was asked what it can do, and left behind that."""
        return sum(line in (b"P LOGOUT", b"QUIT") for line in self.heard)

    def check_plain(self, message):
        """The login of a PLAIN message that is right, or None."""
        authzid, name, password = message.split(b"\0")
        name = name.decode()
        if self.users.get(name) != password.decode():
            return None
        return "%s*%s" % (authzid.decode(), name) if authzid and authzid.decode() != name else name

    def check_token(self, message):
        """The same of either mechanism with a token."""
        found = re.match(rb"(?:user=([^\x01]*)|n,a=([^\x01,]*),)\x01(?:.*\x01)?auth=Bearer ([^\x01]*)\x01\x01$", message)
        plain, escaped, token = (g and g.decode() for g in found.groups())
        name = plain or escaped.replace("=2C", ",").replace("=3D", "=")
        return name if self.tokens.get(name) == token else None


class FakeImap(Fake):
    """
    capability  before login; `after` behind it
    codes       tell them in the greeting and with the OK of a login
    """

    def __init__(self, *args, **kw):
        self.greeting = b"* OK fake ready"
        self.capability = b"IMAP4rev1 SASL-IR AUTH=PLAIN IDLE ID ENABLE"
        self.after = b"IMAP4rev1 IDLE MOVE COMPRESS=DEFLATE OBJECTID"
        self.codes = True
        super().__init__(*args, **kw)

    def has(self, word):
        return word in self.capability.split()

    def serve(self, talk):
        if self.codes and self.greeting == b"* OK fake ready":
            talk.say(b"* OK [CAPABILITY %s] fake ready\r\n" % self.capability)
        else:
            talk.say(self.greeting + b"\r\n")
        while True:
            tag, verb, rest = (talk.line() + b"  ").split(b" ", 2)
            self.command(talk, tag, verb.upper().decode(), rest.rstrip(b" "))

    def command(self, talk, tag, verb, rest):
        rule = self.rules.get(verb)
        if isinstance(rule, bytes):
            talk.say(rule.replace(b"%t", tag))
            if b"* BYE" in rule:
                raise Hangup
            return
        if rule:
            rule(self, talk, tag, rest)
            return
        done = getattr(self, "do_" + verb.lower(), None)
        if done:
            done(talk, tag, rest)
        else:
            talk.say(tag + b" BAD what is that\r\n")

    def do_capability(self, talk, tag, _):
        talk.say(b"* CAPABILITY %s\r\n%s OK done\r\n" % (self.after if self.logged_in(talk) else self.capability, tag))

    def do_noop(self, talk, tag, _):
        talk.say(tag + b" OK done\r\n")

    do_select = do_noop

    def do_logout(self, talk, tag, _):
        talk.say(b"* BYE bye\r\n%s OK done\r\n" % tag)
        raise Hangup

    def do_starttls(self, talk, tag, _):
        talk.say(tag + b" OK go\r\n")
        talk.start_tls()

    def logged_in(self, talk):
        return getattr(talk, "user", None) is not None

    def finish(self, talk, tag, how, user):
        if user is None:
            talk.say(tag + b" NO [AUTHENTICATIONFAILED] no\r\n")
            return
        talk.user = user
        self.logins.append((how, user))
        code = b"[CAPABILITY %s] " % self.after if self.codes else b""
        talk.say(tag + b" OK " + code + b"in\r\n")

    def do_authenticate(self, talk, tag, rest):
        mech, _, initial = rest.partition(b" ")
        if not self.has(b"AUTH=" + mech):
            talk.say(tag + b" NO no such mechanism\r\n")
            return
        if mech == b"LOGIN":
            self._login_steps(talk, tag)
            return
        if initial and not self.has(b"SASL-IR"):
            talk.say(tag + b" BAD no arguments please\r\n")
            return
        if not initial:
            talk.say(b"+ \r\n")
            initial = talk.line()
        message = base64.b64decode(initial, validate=True)
        user = self.check_plain(message) if mech == b"PLAIN" else self.check_token(message)
        if user is None and mech != b"PLAIN":
            talk.say(b"+ " + self.challenge + b"\r\n")
            talk.line()
        self.finish(talk, tag, mech.decode() + ("" if rest == mech else " ir"), user)

    def _login_steps(self, talk, tag):
        talk.say(b"+ VXNlcm5hbWU6\r\n")
        name = base64.b64decode(talk.line()).decode()
        talk.say(b"+ UGFzc3dvcmQ6\r\n")
        right = self.users.get(name) == base64.b64decode(talk.line()).decode()
        self.finish(talk, tag, "AUTH LOGIN", name if right else None)

    def do_login(self, talk, tag, rest):
        if self.has(b"LOGINDISABLED"):
            talk.say(tag + b" NO [PRIVACYREQUIRED] not that\r\n")
            return
        strings, how = [], "LOGIN"
        while len(strings) < 2:
            quoted = re.match(rb' *"((?:[^"\\]|\\.)*)"', rest)
            literal = LITERAL.search(rest)
            if quoted:
                strings.append(quoted.group(1))
                rest = rest[quoted.end():]
                how += " quoted"
            elif literal:
                n, plus = int(literal.group(1)), literal.group(2)
                if plus and not self.has(b"LITERAL+") and not (self.has(b"LITERAL-") and n <= 4096):
                    talk.say(tag + b" BAD such a literal\r\n")
                    return
                if not plus:
                    talk.say(b"+ go on\r\n")
                strings.append(talk.read(n))
                rest = talk.line()
                how += " plus" if plus else " sync"
            else:
                atom, _, rest = rest.lstrip(b" ").partition(b" ")
                strings.append(atom)
                how += " atom"
        name, password = (s.decode() for s in strings)
        self.finish(talk, tag, how, name if self.users.get(name) == password else None)


class FakePop3(Fake):
    """capa: the lines of its CAPA; None: it knows no CAPA."""

    def __init__(self, *args, **kw):
        self.greeting = b"+OK fake ready"
        self.capa = [b"TOP", b"UIDL", b"RESP-CODES", b"PIPELINING", b"USER", b"SASL PLAIN", b"STLS", b"UTF8",
                     b"IMPLEMENTATION fake"]
        super().__init__(*args, **kw)

    def mechs(self):
        for line in self.capa or []:
            if line.startswith(b"SASL "):
                return line.split()[1:]
        return []

    def serve(self, talk):
        talk.say(self.greeting + b"\r\n")
        while True:
            verb, _, rest = talk.line().partition(b" ")
            verb = verb.upper().decode()
            rule = self.rules.get(verb)
            if isinstance(rule, bytes):
                talk.say(rule)
                continue
            if rule:
                rule(self, talk, rest)
                continue
            done = getattr(self, "do_" + verb.lower(), None)
            if done:
                done(talk, rest)
            else:
                talk.say(b"-ERR what is that\r\n")

    def do_capa(self, talk, _):
        if self.capa is None:
            talk.say(b"-ERR what is that\r\n")
        else:
            talk.say(b"+OK\r\n" + b"".join(line + b"\r\n" for line in self.capa) + b".\r\n")

    def do_stls(self, talk, _):
        talk.say(b"+OK go\r\n")
        talk.start_tls()

    def do_quit(self, talk, _):
        talk.say(b"+OK bye\r\n")
        raise Hangup

    def do_stat(self, talk, _):
        talk.say(b"+OK 0 0\r\n")

    do_noop = do_stat

    def do_user(self, talk, rest):
        talk.name = rest.decode()
        talk.say(b"+OK\r\n")

    def do_pass(self, talk, rest):
        right = self.users.get(talk.name) == rest.decode()
        self.finish(talk, "USER", talk.name if right else None)

    def finish(self, talk, how, user):
        if user is None:
            talk.say(b"-ERR [AUTH] no\r\n")
            return
        self.logins.append((how, user))
        talk.say(b"+OK in\r\n")

    def do_auth(self, talk, rest):
        mech, _, initial = rest.partition(b" ")
        if mech not in self.mechs():
            talk.say(b"-ERR no such mechanism\r\n")
            return
        if not initial:
            talk.say(b"+ \r\n")
        message = base64.b64decode(initial or talk.line(), validate=True)
        user = self.check_plain(message) if mech == b"PLAIN" else self.check_token(message)
        if user is None and mech != b"PLAIN":
            talk.say(b"+ " + self.challenge + b"\r\n")
            talk.line()
        self.finish(talk, mech.decode() + (" ir" if initial else ""), user)
