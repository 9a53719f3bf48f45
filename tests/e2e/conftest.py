"""Two real servers for the whole run, users of one's own for each test, mailferry in between."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lib import mail, processes, reader  # noqa: E402
from lib.ca import CA  # noqa: E402
from lib.copier import Copier  # noqa: E402
from lib.courier import Courier  # noqa: E402
from lib.cyrus import Cyrus  # noqa: E402
from lib.dovecot import Dovecot  # noqa: E402
from lib.imapclient import ImapClient, client_context  # noqa: E402
from lib.mailferry import Mailferry  # noqa: E402
from lib.popclient import PopClient  # noqa: E402
from lib.postgres import Postgres  # noqa: E402

POOL = 240
MASTERS = {"ferry": "ferry-master-secret"}
ODD_PASSWORD = 'quote" and \\backslash'
# Each kind as old and as new, as unlike each other as it goes; MAILFERRY_SERVERS=old,new picks (tests/run --full).
KINDS = {
    "dovecot": (Dovecot, {"old": {"separator": ".", "prefix": "INBOX.", "compress": True, "rawlog": True},
                          "new": {"storage": "sdbox", "rawlog": True}}),
    "cyrus": (Cyrus, {"old": {"separator": ".", "prefix": "INBOX."}, "new": {}}),
    "courier": (Courier, {"old": {}, "new": {}}),
}
# Of what tests ask for. "dovecot" is its own ways: user*master, transcripts of its sessions, one process each.
LACKS = {"cyrus": {"dovecot"}, "courier": {"dovecot", "master", "COMPRESS", "ID", "LITERAL+"}}
SERVERS = os.environ.get("MAILFERRY_SERVERS", "dovecot,dovecot").split(",")
SHOWN = 6000    # characters of a log on failure


def pytest_configure(config):
    # TERM (a time-out's) ends the run as Ctrl-C does: every fixture stops what it started. After KILL the
    # kernel sends TERM to the servers and to mailferry.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    processes.tied = True
    config.addinivalue_line("markers", "full: takes long; only with tests/run --full")
    config.addinivalue_line("markers", "alone: measures, so nothing runs beside it; only with full")
    config.addinivalue_line("markers", "offers(capability): only where the servers offer it")
    config.addinivalue_line("markers", "any_servers: whose they are is all one to it; only with the usual ones")


def pytest_collection_modifyitems(config, items):
    """Leaves out what the chosen servers cannot do, and for others than the usual what needs no server."""
    lacking = set().union(*(LACKS.get(kind, ()) for kind in SERVERS))
    out = [i for i in items if any(m.args[0] in lacking for m in i.iter_markers("offers"))]
    if set(SERVERS) != {"dovecot"}:
        out += [i for i in items if i not in out and ("stage" not in i.fixturenames or i.get_closest_marker("any_servers"))]
    config.hook.pytest_deselected(items=out)
    items[:] = [i for i in items if i not in out]


@contextlib.contextmanager
def postgres_of_one_s_own():
    """Nothing of it stays, whether it started or not."""
    folder = tempfile.mkdtemp(prefix="mailferry-pg-")
    try:
        os.chmod(folder, 0o755)
        p = Postgres(os.path.join(folder, "pg"))
        try:
            yield p.start()
        finally:
            p.stop()
    finally:
        shutil.rmtree(folder)


class Person:
    """A user of the pool, with the same password on both servers."""

    def __init__(self, name, password):
        self.name, self.password = name, password

    def __repr__(self):
        return self.name


class StageCopier(Copier):
    """Between the stage's servers, for a person of its pool."""

    def __init__(self, stage, person, folder):
        super().__init__(stage.old, stage.new, stage.ca, person.name, person.password, folder)
        self.context = stage.context

    def difference(self):
        return super().difference(self.context)


class Stage:
    """The servers and all that was opened during a test, for its end and for its failure."""

    def __init__(self, ca):
        self.folder, self.ca = tempfile.mkdtemp(prefix="mailferry-test-"), ca
        os.chmod(self.folder, 0o755)
        self.context = client_context(ca.cert)
        names = {"user%03d@example.com" % i: "secret-of-%03d" % i for i in range(POOL)}
        names["odd@example.com"] = ODD_PASSWORD
        self.pool = [Person(n, p) for n, p in names.items() if n != "odd@example.com"]
        self.odd = Person("odd@example.com", ODD_PASSWORD)
        self.old = self._server("old", SERVERS[0], names)
        self.new = self._server("new", SERVERS[1], names)
        self.opened, self.ferries, self.taken = [], [], []

    def _server(self, name, kind, users):
        make, options = KINDS[kind]
        return make(name, os.path.join(self.folder, name), self.ca, users, MASTERS, **options[name])

    def start(self):
        self.old.start()
        self.new.start()
        return self

    def end(self):
        self.old.stop()
        self.new.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def take(self):
        person = self.pool.pop(0)
        self.taken.append(person)
        return person

    def fill(self, person, folders=None, size=500):
        """Writes mail straight to old: {folder name on old: count}; stamps say person, folder and number."""
        client = ImapClient(self.old.address, self.old.ports["imaps"], self.context)
        client.login(person.name, person.password)
        flags = (b"", b"\\Seen", b"\\Flagged $Label1", b"\\Answered \\Seen")
        for folder, count in (folders or {"INBOX": 20}).items():
            if folder != "INBOX":
                client.command(b"CREATE " + reader.quote(folder.encode()))
                client.command(b"SUBSCRIBE " + reader.quote(folder.encode()))
            tags = []
            for i in range(count):
                stamp = "%s-%s-%d" % (person.name.split("@")[0], folder.replace(" ", "_"), i)
                tags.append(client.begin_append(reader.quote(folder.encode()),
                                                mail.message(stamp, size + i % 7, eight_bit=i % 2 == 1),
                                                flags[i % len(flags)], mail.imap_date(1600000000 + 3600 * i)))
                if not client.lists(b"LITERAL+"):
                    client.finish(tags.pop())
            for tag in tags:
                client.finish(tag)
        client.logout()

    def client(self, where, person, says=None):
        """Logged in: on a server, or through mailferry; says: the name by which it shows itself (IMAP ID)."""
        client = ImapClient(where.address, where.ports["imaps"], self.context)
        self.opened.append(client)
        if says:
            client.command(b'ID ("name" "%s")' % says)
        client.login(person.name, person.password)
        return client

    def read(self, server, person):
        return reader.read(server, person.name, self.context)

    def transcripts(self):
        parts = [c.transcript_text() for c in self.opened]
        for person in self.taken:
            parts += [self.old.transcripts(person.name), self.new.transcripts(person.name)]
        return "\n".join(p for p in parts if p)


@pytest.fixture(scope="session")
def ca():
    with tempfile.TemporaryDirectory(prefix="mailferry-ca-") as folder:
        os.chmod(folder, 0o755)
        yield CA(os.path.join(folder, "ca"))


@pytest.fixture(scope="session")
def stage(ca):
    s = Stage(ca).start()
    yield s
    s.end()


@pytest.fixture(scope="session")
def old(stage):
    return stage.old


@pytest.fixture(scope="session")
def new(stage):
    return stage.new


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server that the tests share; each begins with postgres.empty()."""
    with postgres_of_one_s_own() as p:
        yield p


@pytest.fixture(autouse=True)
def tidy(request):
    """Closes what the test opened; lets both servers go on if it left one standing."""
    yield
    if "stage" in request.fixturenames:
        s = request.getfixturevalue("stage")
        s.old.resume()
        s.new.resume()
        for c in s.opened:
            c.close()
        s.opened, s.taken = [], []


@pytest.fixture
def person(stage):
    return stage.take()


@pytest.fixture
def copier(stage, person, tmp_path):
    return StageCopier(stage, person, str(tmp_path))


class Checked(Mailferry):
    """Fails the test in which a daemon said what none may ever say."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self._heard = 0

    def check(self, secrets):
        complaints = self.complaints()
        fresh, self._heard = complaints[self._heard:], len(complaints)
        assert not fresh, "\n".join(fresh)
        with open(self.log, errors="replace") as f:
            text = f.read()
        leaked = [s for s in secrets if s in text]
        assert not leaked, "passwords in the log: %s" % leaked


def _secrets(stage):
    return list(MASTERS.values()) + [p for p in stage.old.users.values()]


@pytest.fixture(scope="session")
def shared_ferry(stage):
    f = Checked(os.path.join(stage.folder, "ferry"), stage.ca, stage.old, stage.new,
                settings={"sync": {"delta_s": 20, "trailing_s": 60}})
    f.start()
    before = sorted(f.nodes() + [f.engine()])
    yield f
    after = sorted(f.nodes() + [f.engine()])
    f.stop()
    assert before == after, "a daemon died and was started again: %s -> %s\n%s" % (
        before, after, f.log_text(40))


@pytest.fixture
def ferry(stage, shared_ferry):
    """The one that most tests share; nobody may stop or kill parts of it."""
    stage.ferries = [shared_ferry]
    yield shared_ferry
    shared_ferry.check(_secrets(stage))


@pytest.fixture
def own_ferry(stage):
    """A factory: own_ferry({section: {name: value}}) starts one that the test may mistreat."""
    stage.ferries = []

    def start(settings=None, **kw):
        folder = tempfile.mkdtemp(prefix="ferry-", dir=stage.folder)
        os.chmod(folder, 0o755)
        f = Checked(folder, stage.ca, stage.old, stage.new, settings=settings, **kw)
        stage.ferries.append(f)
        return f.start()
    yield start
    for c in stage.opened:      # else each end waits for them to go
        c.close()
    for f in stage.ferries:
        f.stop()
        f.check(_secrets(stage))


@pytest.fixture
def host(postgres, own_ferry):
    """A factory: host("mx1", sync={…}) starts a host on a store that is new for each test."""
    postgres.empty()

    def start(name, **more):
        settings = {"run": {"host": name, "nodes": 1}, "store": {"url": postgres.url}}
        for section, values in more.items():
            settings.setdefault(section, {}).update(values)
        return own_ferry(settings)
    return start


@pytest.fixture
def resident(stage, ferry, person):
    """A person who is known to the shared ferry."""
    ferry.import_users([person.name])
    return person


@pytest.fixture
def imap(stage):
    """A factory: imap(ferry) is a raw client before login, over TLS unless port says otherwise."""
    def connect(f, port="imaps", context=True, **kw):
        client = ImapClient(f.address, f.ports[port],
                            stage.context if context and port.endswith("s") else None, **kw)
        stage.opened.append(client)
        return client
    return connect


@pytest.fixture
def pop3(stage):
    def connect(f, port="pop3s", **kw):
        client = PopClient(f.address, f.ports[port], stage.context if port.endswith("s") else None, **kw)
        stage.opened.append(client)
        return client
    return connect


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    stage = item.funcargs.get("stage") if hasattr(item, "funcargs") else None
    if not report.failed or not isinstance(stage, Stage):
        return
    report.sections.append(("transcripts", stage.transcripts()[-4 * SHOWN:]))
    for f in stage.ferries:
        said = [line for line in f.log_text(4000).splitlines(True) if ": api: GET " not in line]    # those of a poll
        report.sections.append(("mailferry's log", "".join(said)[-2 * SHOWN:]))
    for server in (stage.old, stage.new):
        report.sections.append(("log of " + server.name, server.log_text()[-SHOWN:]))
